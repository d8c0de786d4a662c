"""A copy appears whole or not at all, and follows no link (rules T5, T6)."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.floor.directories import LEVELS, Directory
from stages.floor.workers import Stopped
from stages.relocate.copying import SourceChanged, Survey, copy_transcript, survey
from tests.support import UUID, never

FILE = f"{UUID}.jsonl"
CONTENT = b'{"type": "user"}\n' * 1000
SEED = 20261125


class Pair:
    """The bucket that a transcript comes from, and the one that it goes to."""

    def __init__(self, directory: Path) -> None:
        self.old, self.new = directory / "old", directory / "new"
        self.sidecar = self.old / UUID
        self.counted: list[int] = []
        for place in (self.old, self.new):
            place.mkdir()
        (self.old / FILE).write_bytes(CONTENT)

    def copy(self, check: Callable[[], None] = never) -> Survey:
        with Directory.open(str(self.old)) as old, Directory.open(str(self.new)) as new:
            return copy_transcript(
                old, new, UUID, check=check, count=self.counted.append
            )

    def survey(self) -> Survey:
        with Directory.open(str(self.old)) as old:
            return survey(old, UUID)

    def write(self, name: str, content: bytes) -> Path:
        """Write a file of the sidecar."""
        file = self.sidecar / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

        return file


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def tree(directory: Path) -> dict[str, bytes | None]:
    """Return all that is in a directory, by relative path; None for a directory."""
    return {
        place.relative_to(directory).as_posix(): (
            None if place.is_dir() else place.read_bytes()
        )
        for place in directory.rglob("*")
    }


def once(change: Callable[[], object], at: int = 1) -> Callable[[], None]:
    """Return a `check` that changes something the first time, or that one, it is called."""
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == at:
            change()

    return check


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1])
def test_copy_is_the_same_byte_for_byte(pair: Pair, size: int) -> None:
    (pair.old / FILE).write_bytes(os.urandom(size))

    pair.copy()

    assert tree(pair.new) == tree(pair.old)


def test_sidecar_is_surveyed_as_it_is_copied(pair: Pair) -> None:
    pair.write("a/b/c", b"12345")

    surveyed = pair.survey()
    copied = pair.copy()

    assert surveyed == copied
    assert copied.size_bytes == sum(pair.counted) == len(CONTENT) + 5
    assert tree(pair.new) == tree(pair.old)


def test_sidecar_is_copied_down_to_its_limit_and_the_rest_is_named(pair: Pair) -> None:
    """One directory for each level is entered; the one below the last is left out."""
    deepest = "/".join(["d"] * LEVELS)
    pair.write(f"{deepest}/file", b"1")
    pair.write(f"{deepest}/d/file", b"1")

    copied = pair.copy()

    assert copied.left_out == (str(pair.sidecar / deepest / "d"),)
    assert (pair.new / UUID / deepest / "file").exists()
    assert not (pair.new / UUID / deepest / "d").exists()


def test_many_that_are_left_out_are_counted_and_the_first_named(pair: Pair) -> None:
    pair.sidecar.mkdir()
    for number in range(50):
        (pair.sidecar / f"{number:02}").symlink_to("x")

    surveyed = pair.survey()

    assert surveyed.left_out_count == 50
    assert surveyed.left_out == tuple(
        str(pair.sidecar / f"{number:02}") for number in range(20)
    )


@pytest.mark.parametrize("stopped_at", [1, 2])  # in the sidecar, in the transcript
def test_copy_that_is_stopped_leaves_nothing(pair: Pair, stopped_at: int) -> None:
    pair.write("a", b"x")

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        pair.copy(once(stop, at=stopped_at))

    assert tree(pair.new) == {}


def test_source_that_goes_on_changing_is_not_copied(pair: Pair) -> None:
    def grow() -> None:
        with open(pair.old / FILE, "ab") as file:
            file.write(b"x")

    with pytest.raises(SourceChanged, match="it is being written to"):
        pair.copy(grow)

    assert tree(pair.new) == {}
    assert sum(pair.counted) == 0


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda pair: pair.write("new", b"x"), id="a-name-is-added"),
        pytest.param(
            lambda pair: pair.write("deep/er/new", b"x"), id="a-directory-is-added"
        ),
        pytest.param(lambda pair: pair.write("a", b"grown"), id="a-file-grows"),
        pytest.param(lambda pair: (pair.sidecar / "b").unlink(), id="a-name-goes"),
        pytest.param(
            lambda pair: (pair.sidecar / "a").rename(pair.sidecar / "z"),
            id="a-name-changes",
        ),
        pytest.param(
            lambda pair: (pair.sidecar / "link").symlink_to("a"), id="a-link-is-added"
        ),
        pytest.param(
            lambda pair: (pair.old / FILE).write_bytes(CONTENT + b"more"),
            id="the-transcript-grows",
        ),
    ],
)
@pytest.mark.parametrize("moment", [1, 2, 3])  # at each file, and at the transcript
def test_source_that_changes_meanwhile_is_copied_as_it_is_then(
    pair: Pair, change: Callable[[Pair], object], moment: int
) -> None:
    pair.write("a", b"1")
    pair.write("b", b"2")

    copied = pair.copy(once(lambda: change(pair), at=moment))

    wanted = tree(pair.old)
    wanted.pop(f"{UUID}/link", None)
    assert tree(pair.new) == wanted
    assert copied.size_bytes == sum(pair.counted)
    assert copied.left_out_count == (pair.sidecar / "link").is_symlink()


def test_sidecar_that_comes_meanwhile_comes_along(pair: Pair) -> None:
    pair.copy(once(lambda: pair.write("a", b"1")))

    assert tree(pair.new) == tree(pair.old)


def test_transcript_that_goes_meanwhile_is_missing(pair: Pair) -> None:
    with pytest.raises(FileNotFoundError):
        pair.copy(once((pair.old / FILE).unlink))

    assert tree(pair.new) == {}


def test_copy_never_takes_the_place_of_another(pair: Pair) -> None:
    (pair.new / FILE).write_bytes(b"there before")

    with pytest.raises(FileExistsError):
        pair.copy()

    assert tree(pair.new) == {FILE: b"there before"}


def test_copy_that_another_run_has_made_meanwhile_stays(pair: Pair) -> None:
    pair.write("a", b"1")

    def overtake() -> None:
        (pair.new / UUID).mkdir()
        (pair.new / UUID / "a").write_bytes(b"faster")
        (pair.new / FILE).write_bytes(b"faster")

    with pytest.raises(FileExistsError):
        pair.copy(once(overtake))

    faster = {UUID: None, f"{UUID}/a": b"faster", FILE: b"faster"}
    assert tree(pair.new) == faster


def test_sidecar_that_the_destination_has_already_is_left_alone(pair: Pair) -> None:
    pair.write("a", b"1")
    (pair.new / UUID).mkdir()

    copied = pair.copy()

    assert tree(pair.new) == {UUID: None, FILE: CONTENT}
    assert copied.size_bytes == len(CONTENT)


@pytest.mark.parametrize(
    ("call", "failing"), [("scandir", ""), ("stat", UUID), ("open", "a")]
)
@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.ENAMETOOLONG])
def test_sidecar_that_cannot_be_read_costs_no_more_than_its_transcript(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, call: str, failing: str, error: int
) -> None:
    pair.write("a", b"1")
    real = getattr(os, call)

    def fail(path: Any, *args: Any, **kwargs: Any) -> Any:
        if call == "scandir" or os.path.basename(path) == failing:
            raise OSError(error, os.strerror(error), path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=os.strerror(error)):
        pair.copy()
    monkeypatch.undo()

    assert tree(pair.new) == {}


# Copies one transcript, again and again until it is there.
RUN = """
import sys
from stages.floor.directories import Directory
from stages.relocate.copying import copy_transcript
from stages.relocate.working import discard_leftovers

old, new, uuid = sys.argv[1:]
with Directory.open(old) as source, Directory.open(new) as destination:
    discard_leftovers(destination, uuid)
    try:
        copy_transcript(source, destination, uuid, check=lambda: None, count=lambda _: None)
    except FileExistsError:
        pass
"""


@pytest.mark.parametrize("rounds", [4, pytest.param(50, marks=pytest.mark.slow)])
def test_of_two_runs_that_meet_neither_harms_the_other_however_they_end(
    tmp_path: Path, rounds: int
) -> None:
    moments = random.Random(SEED)
    killed = 0
    for number in range(rounds):
        directory = tmp_path / str(number)
        directory.mkdir()
        pair = Pair(directory)
        content = os.urandom(16 * 1024 * 1024)
        (pair.old / FILE).write_bytes(content)
        pair.write("a/b", content[:100_000])
        runs = [start(pair), start(pair)]
        victim = moments.choice(runs)
        while not os.listdir(pair.new) and victim.poll() is None:
            pass  # until one of them has begun
        ends_at = time.monotonic() + moments.uniform(0, 0.08)
        while any(run.poll() is None for run in runs):
            if time.monotonic() > ends_at:
                victim.kill()
            assert_whole(pair, content)
        killed += victim.returncode != 0
        other = runs[1 - runs.index(victim)]
        assert other.returncode == 0
        assert_whole(pair, content)
        assert (pair.new / FILE).exists()

        assert start(pair).wait() == 0
        assert tree(pair.new) == tree(pair.old)

    assert killed or rounds < 50


def start(pair: Pair) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", RUN, str(pair.old), str(pair.new), UUID]

    return subprocess.Popen(command, cwd=Path(__file__).parents[3])


def assert_whole(pair: Pair, content: bytes) -> None:
    """Look at what stands under the final names, at this instant."""
    file = pair.new / FILE
    if file.exists():
        assert file.stat().st_size == len(content)
        assert file.read_bytes() == content
        assert (pair.new / UUID / "a" / "b").read_bytes() == content[:100_000]
    elif (pair.new / UUID).exists():
        assert (pair.new / UUID / "a" / "b").stat().st_size == 100_000
