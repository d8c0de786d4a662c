"""The report as a file: written whole or not at all."""

from __future__ import annotations

__all__ = ("write_report",)

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import aiofiles
import msgspec
from anyio import CancelScope

from pipeline.report import Report
from stages.errors import WriteFailed
from stages.floor.files import NotRegular, flush, flush_directory, reason
from stages.floor.workers import Workers

# Hidden, and short enough for a report whose own name is as long as a name may be.
_WORK_NAME = ".ao-import-report."
_WORK_NAMES = re.compile(re.escape(_WORK_NAME) + r"([0-9]{1,9})\.[0-9a-f]+\.part")


async def write_report(report: Report, path: Path) -> None:
    """Write the report as JSON beside its place, flush it, and give it its name.

    :raises WriteFailed: it could not be written; a file of that name stays as it was.
        What is no regular file, a link or `/dev/null`, is not replaced.
    """
    content = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    work = path.with_name(f"{_WORK_NAME}{os.getpid()}.{token_hex(4)}.part")
    try:
        async with Workers(1, "ao-import-report") as workers:
            with CancelScope(shield=True):
                await _write(content, work, path, workers)
    except OSError as error:
        raise WriteFailed(path, reason(error)) from error


async def _write(content: bytes, work: Path, path: Path, workers: Workers) -> None:
    await workers.submit(_make_way, path)
    try:
        # Exclusive: a link that was planted under this name is not written through.
        file = await aiofiles.open(work, "xb", executor=workers.executor)
        try:
            await file.write(content)
            await file.flush()
            await workers.submit(flush, file.fileno())
        finally:
            await file.close()
        await workers.submit(os.replace, work, path)
        await workers.submit(flush_directory, str(path.parent))
    finally:
        await workers.submit(work.unlink, missing_ok=True)


def _make_way(path: Path) -> None:
    """Refuse to replace what is no file, and remove what killed runs have left.

    :raises OSError: the place is taken, or a leftover cannot be removed.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise NotRegular(None, "it is there and is no regular file", str(path))

    try:
        names = os.listdir(path.parent)
    except PermissionError:  # one may make names where one may not read them
        return
    for name in names:
        if found := _WORK_NAMES.fullmatch(name):
            import psutil  # slow to load, and hardly ever needed

            if not psutil.pid_exists(int(found[1])):
                path.with_name(name).unlink(missing_ok=True)
