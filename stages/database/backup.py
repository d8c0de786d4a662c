"""The copy of a database that an import makes before its first row (rule D11)."""

from __future__ import annotations

__all__ = ("COPY_SUFFIX", "copy_database")

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from stages.database.problems import write_failed
from stages.errors import WriteFailed
from stages.floor.files import flush, flush_directory, give, owner_above

COPY_SUFFIX = ".before-import"
COPY_MODE = 0o600  # `env` holds secrets
PAGES_PER_STEP = 256  # 1 MiB: what passes between two looks whether the run goes on


def copy_database(file: Path, check: Callable[[], None]) -> None:
    """Copy a database whole beside itself, in the place of an earlier copy.

    By SQLite's own means, so that what only its log has is in it. For use in a thread;
    `check` is called between the pieces and raises what leaves the work.

    :raises WriteFailed: it cannot be copied; an earlier copy is still there.
    """
    copy = file.with_name(f"{file.name}{COPY_SUFFIX}")
    working = copy.with_name(f"{copy.name}.part")
    try:
        _check_room(file, copy)
        working.unlink(missing_ok=True)  # of a run that was killed
        try:
            _make(working)
            _fill(file, working, check)
            _flush_file(working)
            os.replace(working, copy)
        finally:
            with suppress(OSError):
                working.unlink(missing_ok=True)
        flush_directory(str(copy.parent))
    except (OSError, sqlite3.Error, UnicodeError) as error:
        raise write_failed(copy, error) from error


def _check_room(file: Path, copy: Path) -> None:
    log = file.with_name(f"{file.name}-wal")
    needed = file.stat().st_size + (log.stat().st_size if log.exists() else 0)
    free = shutil.disk_usage(copy.parent).free
    if needed > free:
        raise WriteFailed(
            copy,
            f"before the first row the database is copied, which needs {needed} bytes "
            f"where {free} are free",
        )


def _make(working: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    fd = os.open(working, flags | getattr(os, "O_NOFOLLOW", 0), COPY_MODE)
    try:
        give(fd, owner_above(working))
    finally:
        os.close(fd)
    working.chmod(COPY_MODE)  # whatever the umask says


def _fill(file: Path, working: Path, check: Callable[[], None]) -> None:
    def go_on(status: int, remaining: int, total: int) -> None:
        check()

    with (
        closing(_connect(file, "ro")) as source,
        closing(_connect(working, "rw")) as target,
    ):
        # It is thrown away if this fails, and flushed when it is whole.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target, pages=PAGES_PER_STEP, progress=go_on)


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    uri = f"{file.absolute().as_uri()}?mode={mode}"

    return sqlite3.connect(uri, uri=True, isolation_level=None)


def _flush_file(working: Path) -> None:
    fd = os.open(working, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    try:
        flush(fd)
    finally:
        os.close(fd)
