"""What SQLite and the system say becomes sentences, each with what to do (rule D10)."""

from __future__ import annotations

import errno
import re
import sqlite3
from pathlib import Path

import pytest

from stages.database.problems import unusable, write_failed

FILE = Path("/data/ao.db")


def failure(name: str) -> sqlite3.Error:
    """Return an error as the driver raises it."""
    error = sqlite3.OperationalError("SELECT secret FROM nowhere")
    error.sqlite_errorname = name
    error.sqlite_errorcode = 0

    return error


@pytest.mark.parametrize(
    ("error", "found", "remedy"),
    [
        pytest.param(
            failure("SQLITE_CORRUPT"), "it is damaged", "Restore it", id="damaged"
        ),
        pytest.param(
            failure("SQLITE_CORRUPT_INDEX"),
            "it is damaged",
            "Restore it",
            id="an-index",
        ),
        pytest.param(
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
            "it is damaged",
            "Restore it",
            id="damaged-text-in-a-message",
        ),
        pytest.param(
            failure("SQLITE_BUSY_RECOVERY"),
            "another program holds it",
            "End",
            id="busy",
        ),
        pytest.param(
            failure("SQLITE_IOERR_SHMMAP"),
            "a local disk with --data-dir",
            "See",
            id="shm",
        ),
        pytest.param(
            OSError(errno.ENOLCK, "x"),
            "a local disk with --data-dir",
            "Make",
            id="locks",
        ),
        pytest.param(
            failure("SQLITE_IOERR_READ"), "the disk gave an error", "See", id="disk"
        ),
        pytest.param(
            OSError(errno.EACCES, "Permission denied"),
            "Permission",
            "Make",
            id="denied",
        ),
        pytest.param(
            failure("SQLITE_MISMATCH"),
            "SQLite gave up on it (SQLITE_MISMATCH)",
            "See",
            id="nothing-known",
        ),
        pytest.param(
            sqlite3.ProgrammingError("x"),
            "SQLite gave up on it (ProgrammingError)",
            "See",
            id="the-driver's-own",
        ),
    ],
)
def test_problem_of_a_database_is_a_sentence_with_a_remedy(
    error: OSError | sqlite3.Error | UnicodeError, found: str, remedy: str
) -> None:
    reading, writing = unusable(FILE, error), write_failed(FILE, error)

    assert found in reading.found
    assert found in writing.problem
    assert reading.remedy.startswith(remedy)
    assert "secret" not in f"{reading} {writing}"


def test_every_code_of_sqlite_has_a_name_that_is_understood() -> None:
    names = [
        name for name in dir(sqlite3) if re.match("SQLITE_(IOERR|BUSY|READONLY)", name)
    ]

    assert names
    assert not [
        name for name in names if "gave up" in str(unusable(FILE, failure(name)))
    ]
