"""One import at a time on a data dir: a lock that dies with its process."""

from __future__ import annotations

__all__ = ("LOCK_NAME", "only_import")

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import CancelScope

from stages.database import make_data_dir
from stages.errors import ImportRunning, WriteFailed
from stages.files import reason
from stages.workers import Workers

LOCK_NAME = ".import.lock"
LOCK_MODE = 0o600


@asynccontextmanager
async def only_import(data_dir: Path, workers: Workers) -> AsyncIterator[None]:
    """Hold the lock of a data dir, which is made if need be.

    :raises ImportRunning: another import holds it.
    :raises WriteFailed: the data dir or the lock cannot be made.
    """
    import filelock

    lock = filelock.FileLock(
        data_dir / LOCK_NAME,
        timeout=0,
        mode=LOCK_MODE,
        thread_local=False,  # it is taken and given back in threads of ours
        preserve_lock_file=True,
    )

    def acquire() -> None:
        make_data_dir(data_dir)
        lock.acquire()

    try:
        with CancelScope(shield=True):
            await workers.submit(acquire)
    except filelock.Timeout as error:
        raise ImportRunning(data_dir) from error
    except (OSError, NotImplementedError) as error:
        problem = reason(error) if isinstance(error, OSError) else str(error)
        raise WriteFailed(data_dir / LOCK_NAME, problem) from error

    try:
        yield
    finally:
        lock.release()
