"""One import at a time on a data dir: a lock that dies with its process."""

from __future__ import annotations

__all__ = ("LOCK_NAME", "lock_file", "only_import")

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from anyio import CancelScope

from stages.database.problems import write_failed
from stages.database.writing import make_data_dir
from stages.errors import ImportRunning
from stages.floor.files import NotRegular, give, owner_above
from stages.floor.workers import Workers

LOCK_NAME = ".import.lock"
LOCK_MODE = 0o600


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


# By feature: one of the two is everywhere. A library for this (filelock) was measured to
# add 36 ms to each start, a quarter of what all else together takes to load.
_fcntl, _msvcrt = _module("fcntl"), _module("msvcrt")


@asynccontextmanager
async def only_import(data_dir: Path, workers: Workers) -> AsyncIterator[None]:
    """Hold the lock of a data dir, which is made if need be; the lock's file stays.

    :raises ImportRunning: another import holds it.
    :raises WriteFailed: the data dir or the lock cannot be made.
    """
    try:
        with CancelScope(shield=True):
            fd = await workers.submit(_acquire, data_dir)
    except BlockingIOError as error:
        raise ImportRunning(data_dir) from error
    except OSError as error:
        raise write_failed(data_dir / LOCK_NAME, error) from error

    try:
        yield
    finally:
        os.close(fd)  # which gives the lock back, as the end of the process would


def _acquire(data_dir: Path) -> int:
    """Return a descriptor that holds the lock.

    :raises BlockingIOError: another one holds it.
    """
    make_data_dir(data_dir)
    flags = os.O_RDWR | os.O_CREAT
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    file = data_dir / LOCK_NAME
    fd = os.open(file, flags | getattr(os, "O_NONBLOCK", 0), LOCK_MODE)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise NotRegular(None, "not a regular file", str(file))
        lock_file(fd)
        give(fd, owner_above(file))
        if hasattr(os, "fchmod"):  # the umask may have locked us out of it
            with suppress(PermissionError):  # it is another user's
                os.fchmod(fd, LOCK_MODE)
    except BaseException:
        os.close(fd)
        raise

    return fd


def lock_file(fd: int) -> None:
    """Lock an open file until it is closed.

    :raises BlockingIOError: another one holds it.
    """
    if _fcntl is not None:
        _fcntl.flock(fd, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        return

    try:
        _msvcrt.locking(fd, _msvcrt.LK_NBLCK, 1)
    except OSError as error:  # it has one number for all that can go wrong
        raise BlockingIOError(error.errno, error.strerror) from error
