"""What went wrong with a database, for people: SQLite's codes become sentences.

SQLite's own texts are not shown: they name parts of statements, and may quote what a
row holds.
"""

from __future__ import annotations

__all__ = ("describe", "is_interrupted", "unusable", "write_failed")

import errno
import sqlite3
from pathlib import Path

from stages.errors import DatabaseUnusable, WriteFailed
from stages.floor.files import reason

Failure = OSError | sqlite3.Error | UnicodeError

CHOOSE_LOCAL = "choose a data dir on a local disk with --data-dir"
RESTORE = "Restore it from a backup, or choose another data dir"
WAIT = "End the program that holds it, then run this again"
MAKE_READABLE = "Make it readable and run this again"
TRY_AGAIN = "See to the cause and run this again"
NO_LOCKS = (
    "its file system has no locks or no shared memory, like some network drives and "
    f"containers; {CHOOSE_LOCAL}"
)
INTERRUPTED_WRITE = (
    "the application's interrupted write has to be rolled back first, by an import or "
    "by starting the application"
)
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
# By SQLite's extended name first, then by the primary one.
_SENTENCES = {
    "SQLITE_IOERR_SHMSIZE": "No space left for its index file",
    "SQLITE_IOERR_LOCK": NO_LOCKS,
    "SQLITE_IOERR_RDLOCK": NO_LOCKS,
    "SQLITE_IOERR_CHECKRESERVEDLOCK": NO_LOCKS,
    "SQLITE_IOERR_SHMOPEN": NO_LOCKS,
    "SQLITE_IOERR_SHMMAP": NO_LOCKS,
    "SQLITE_IOERR_SHMLOCK": NO_LOCKS,
    "SQLITE_IOERR_GETTEMPPATH": "there is no directory for temporary files; set TMPDIR",
    "SQLITE_IOERR_NOMEM": "the memory ran out",
    "SQLITE_READONLY_ROLLBACK": INTERRUPTED_WRITE,
    "SQLITE_READONLY_RECOVERY": INTERRUPTED_WRITE,
    "SQLITE_READONLY_DBMOVED": "it was moved or removed meanwhile",
    "SQLITE_BUSY": "another program holds it",
    "SQLITE_LOCKED": "another program holds it",
    "SQLITE_PROTOCOL": "another program holds it",
    "SQLITE_CANTOPEN": "unable to open it or a file beside it: its directory may not be "
    "written to, or the limit of open files was reached",
    "SQLITE_CONSTRAINT": "it has a rule that refuses a row of the import",
    "SQLITE_CORRUPT": "it is damaged",
    "SQLITE_ERROR": "it is damaged, or its tables are not those of the new application",
    "SQLITE_FORMAT": "it is damaged",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "the disk gave an error",
    "SQLITE_NOLFS": "it is larger than its file system allows",
    "SQLITE_NOTADB": "the file is not a database",
    "SQLITE_PERM": "it may not be opened",
    "SQLITE_READONLY": "its mode or its file system forbids writing",
    "SQLITE_TOOBIG": "a value is larger than a database takes",
}
_REMEDIES = {
    "SQLITE_BUSY": WAIT,
    "SQLITE_CANTOPEN": MAKE_READABLE,
    "SQLITE_CORRUPT": RESTORE,
    "SQLITE_ERROR": RESTORE,
    "SQLITE_FORMAT": RESTORE,
    "SQLITE_FULL": "Make room and run this again",
    "SQLITE_IOERR": TRY_AGAIN,
    "SQLITE_LOCKED": WAIT,
    "SQLITE_PERM": MAKE_READABLE,
    "SQLITE_PROTOCOL": WAIT,
    "SQLITE_READONLY": TRY_AGAIN,
    "SQLITE_READONLY_RECOVERY": "Then run this again",
    "SQLITE_READONLY_ROLLBACK": "Then run this again",
}


def unusable(file: Path, error: Failure) -> DatabaseUnusable:
    """Return what ends a run that cannot read a database (rule D10)."""
    if isinstance(error, OSError):
        remedy = MAKE_READABLE
    else:
        remedy = _find(_REMEDIES, error) or TRY_AGAIN

    return DatabaseUnusable(file, describe(error), remedy)


def write_failed(file: Path, error: Failure) -> WriteFailed:
    """Return what ends a run that cannot write to a database."""
    return WriteFailed(file, describe(error))


def is_interrupted(error: DatabaseUnusable) -> bool:
    """Whether the reason is a write that was cut short and can be rolled back."""
    return (
        isinstance(error.__cause__, sqlite3.Error)
        and _find(_SENTENCES, error.__cause__) == INTERRUPTED_WRITE
    )


def describe(error: Failure) -> str:
    """Return what went wrong with a file or a database, as part of a sentence."""
    if isinstance(error, OSError):
        return NO_LOCKS if error.errno in _NO_LOCKS else reason(error)
    if isinstance(error, UnicodeError):  # SQLite quotes what is damaged in its message
        return _SENTENCES["SQLITE_CORRUPT"]

    name = _name(error)
    return _find(_SENTENCES, error) or f"SQLite gave up on it ({name})"


def _find(table: dict[str, str], error: Failure) -> str | None:
    name = "SQLITE_CORRUPT" if isinstance(error, UnicodeError) else _name(error)
    primary = "_".join(name.split("_")[:2])

    return table.get(name) or table.get(primary)


def _name(error: Failure) -> str:
    """Return SQLite's name of an error; those of the driver itself have none."""
    return str(getattr(error, "sqlite_errorname", None) or type(error).__name__)
