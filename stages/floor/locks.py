"""Locks of files that end with the process that holds them."""

from __future__ import annotations

__all__ = ("CannotLock", "lock")

import errno
from importlib import import_module
from typing import Any

# What a file system says that has no locks.
_NO_LOCKS = frozenset(
    {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
)


class CannotLock(OSError):
    """The file system has no locks."""


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


# By feature: one of the two is everywhere. A library for this (filelock) was measured to
# add 36 ms to each start, a quarter of what all else together takes to load.
_fcntl, _msvcrt = _module("fcntl"), _module("msvcrt")


def lock(fd: int) -> None:
    """Lock an open file until its descriptor is closed.

    :raises BlockingIOError: another descriptor holds the lock.
    :raises CannotLock: there are no locks here.
    """
    try:
        if _fcntl is not None:
            _fcntl.flock(fd, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        else:
            _lock_byte(fd)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise CannotLock(error.errno, error.strerror) from error
        raise


def _lock_byte(fd: int) -> None:
    try:
        _msvcrt.locking(fd, _msvcrt.LK_NBLCK, 1)
    except OSError as error:  # it has one number for all that can go wrong
        raise BlockingIOError(error.errno, error.strerror) from error
