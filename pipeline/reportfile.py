"""The report as a file: written whole or not at all."""

from __future__ import annotations

__all__ = ("write_report",)

import os
from pathlib import Path

import aiofiles
import msgspec
from anyio import CancelScope

from pipeline.report import Report
from stages.errors import WriteFailed
from stages.files import flush, flush_directory, reason
from stages.workers import Workers


async def write_report(report: Report, place: Path) -> None:
    """Write the report as JSON beside its place, flush it, and give it its name.

    :raises WriteFailed: it could not be written; a file of that name stays as it was.
    """
    content = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    path = Path(os.path.abspath(place))
    work = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        async with Workers(1, "ao-import-report") as workers:
            with CancelScope(shield=True):
                await _write(content, work, path, workers)
    except OSError as error:
        raise WriteFailed(path, reason(error)) from error


async def _write(content: bytes, work: Path, path: Path, workers: Workers) -> None:
    try:
        file = await aiofiles.open(work, "wb", executor=workers.executor)
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
