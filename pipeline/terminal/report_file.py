"""The report as a file: written whole or not at all, for its owner's eyes only."""

from __future__ import annotations

__all__ = ("write_report",)

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import msgspec

from pipeline.lock import lock_file
from pipeline.report import Report
from stages.errors import WriteFailed
from stages.floor.files import flush, flush_directory, reason

# Hidden, and short enough for a report whose own name is as long as a name may be.
WORK_NAME = ".ao-import-report."
MODE = 0o600  # it quotes the store


def write_report(report: Report, file: Path) -> None:
    """Write the report as JSON beside its place, flush it, and give it its name.

    Only the user may read it, whatever the umask. Blocks.

    :raises WriteFailed: it could not be written; a file of that name stays as it was.
    """
    content = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    try:
        _discard_leftovers(file.absolute().parent)
        work = file.with_name(f"{WORK_NAME}{token_hex(8)}")
        try:
            _write(content, work)
            os.replace(work, file)
        finally:
            work.unlink(missing_ok=True)
        flush_directory(str(file.absolute().parent))
    except OSError as error:
        raise WriteFailed(file, reason(error)) from error


def _write(content: bytes, work: Path) -> None:
    # Exclusive: a link that was planted under this name is not written through.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    fd = os.open(work, flags, MODE)
    with open(fd, "wb") as stream:
        lock_file(fd)
        if hasattr(os, "fchmod"):  # the umask may have locked us out of it
            os.fchmod(fd, MODE)
        stream.write(content)
        stream.flush()
        flush(fd)


def _discard_leftovers(directory: Path) -> None:
    """Remove what killed runs have left; a run that lives holds a lock on its own."""
    try:
        names = os.listdir(directory)
    except PermissionError:  # one may make names where one may not read them
        return
    for name in names:
        if name.startswith(WORK_NAME):
            with suppress(OSError):  # it is held, or gone already
                _discard(directory / name)


def _discard(work: Path) -> None:
    fd = os.open(work, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        lock_file(fd)
    finally:
        os.close(fd)
    work.unlink()
