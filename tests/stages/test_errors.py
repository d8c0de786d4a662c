from __future__ import annotations

import errno
from pathlib import Path

import pytest

from stages.errors import (
    ConfigBroken,
    DaemonRunning,
    DatabaseUnusable,
    Exhausted,
    ImportFailed,
    ImportRunning,
    RunFileBroken,
    StoreUnreadable,
    UnknownProject,
    UnsupportedBackend,
    WriteFailed,
    exhausted_by,
)

ODD = Path("/a\nb")


@pytest.mark.parametrize(
    "error",
    [
        ConfigBroken(ODD, 3, 7, "odd\x1b"),
        DaemonRunning(7),
        DatabaseUnusable(ODD, "odd\x1b"),
        Exhausted("the memory ran out", "end other programs"),
        ImportRunning(ODD),
        RunFileBroken(ODD, "odd\x1b"),
        StoreUnreadable(ODD, "odd\x1b"),
        UnknownProject("odd\x1b", ("a", "b")),
        UnsupportedBackend("trio"),
        WriteFailed(ODD, "odd\x1b"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_text_of_an_error_is_one_line_that_says_what_to_do(error: ImportFailed) -> None:
    text = str(error)

    assert isinstance(error, ImportFailed)
    assert text.splitlines() == [text]
    assert text.isprintable()
    assert text.endswith((".", "?"))


def test_broken_configuration_names_its_place() -> None:
    error = ConfigBroken(Path("/c.yaml"), 3, 7, "a mapping is wanted here")

    assert str(error).startswith("/c.yaml: line 3, column 7: a mapping is wanted here")
    assert (error.file, error.line, error.column) == (Path("/c.yaml"), 3, 7)


def test_every_kind_of_failure_stands_in_the_tree_of_the_docstring() -> None:
    import stages.errors

    tree = stages.errors.__doc__ or ""

    assert all(kind.__name__ in tree for kind in ImportFailed.__subclasses__())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(MemoryError(), "the memory ran out", id="memory"),
        pytest.param(
            OSError(errno.ENOMEM, "x"), "the memory ran out", id="the-system's-memory"
        ),
        pytest.param(
            RuntimeError("can't start new thread"),
            "the system starts no more threads",
            id="threads",
        ),
        pytest.param(
            OSError(errno.EMFILE, "x", "/a"),
            "the limit of open files was reached",
            id="descriptors",
        ),
        pytest.param(
            FileNotFoundError(errno.ENOENT, "x"),
            "the working directory is gone",
            id="the-working-directory",
        ),
        pytest.param(FileNotFoundError(errno.ENOENT, "x", "/a"), None, id="a-file"),
        pytest.param(OSError(errno.EIO, "x", "/a"), None, id="a-disk"),
        pytest.param(RuntimeError("x"), None, id="a-mistake-of-ours"),
        pytest.param(KeyError("x"), None, id="another-mistake-of-ours"),
    ],
)
def test_want_of_what_every_program_needs_is_told_from_mistakes(
    error: Exception, said: str | None
) -> None:
    found = exhausted_by(error)

    assert (found and found.found) == said
