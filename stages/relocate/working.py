"""Working names in a bucket: each run has its own, and clears up only what nobody holds."""

from __future__ import annotations

__all__ = ("Working", "discard_leftovers", "working")

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import msgspec

from stages.floor.directories import Directory
from stages.floor.locks import CannotLock, lock

FILE_MODE = 0o600

_FILE, _DIRECTORY = "part", "d"  # endings


class Working(msgspec.Struct, frozen=True, kw_only=True):
    """A file that only its run writes to, and the name of a directory beside it."""

    fd: int
    file: str
    directory: str


@contextmanager
def working(destination: Directory, uuid: str) -> Iterator[Working]:
    """Provide a working file and the name of a directory; both are gone afterwards.

    The file is there first and goes last, and is locked: it holds the directory too.

    :raises OSError: it could not be made.
    """
    with ExitStack() as stack:
        yield _claim(destination, uuid, stack)


def _claim(destination: Directory, uuid: str, stack: ExitStack) -> Working:
    while True:
        name = f"{_beginning(uuid)}{secrets.token_hex(8)}-"
        # Not every system removes an open file: it is closed first.
        stack.callback(_clear_away, destination, name + _FILE)
        fd = stack.enter_context(destination.creating(name + _FILE, FILE_MODE))
        # Another run can come upon it before it is locked.
        if _is_locked(fd) and os.fstat(fd).st_nlink:
            stack.callback(_clear_away, destination, name + _DIRECTORY)
            return Working(fd=fd, file=name + _FILE, directory=name + _DIRECTORY)


def _clear_away(destination: Directory, name: str) -> None:
    # What cannot be removed goes with the next run that considers the session.
    with suppress(OSError):
        destination.discard(name)


def _is_locked(fd: int) -> bool:
    try:
        lock(fd)
    except BlockingIOError:
        return False
    except CannotLock:  # nor can others then, who leave it alone
        pass

    return True


def discard_leftovers(destination: Directory, uuid: str) -> None:
    """Remove what runs that were killed have left of this transcript.

    What a run that is alive works on stays, and so does all where nobody can tell.

    :raises OSError: it could not be removed.
    """
    beginning = _beginning(uuid)
    leftovers = {
        entry.name.removesuffix(ending)
        for entry in destination.names()
        for ending in (_FILE, _DIRECTORY)
        if entry.name.startswith(beginning) and entry.name.endswith(ending)
    }
    for name in sorted(leftovers):
        _discard(destination, name)


def _discard(destination: Directory, name: str) -> None:
    with ExitStack() as opened:
        # A directory without its file is nobody's: that was there first.
        if destination.is_file(name + _FILE):
            try:
                fd, _ = opened.enter_context(
                    destination.reading(name + _FILE, follow=False)
                )
                lock(fd)
            except (BlockingIOError, CannotLock, FileNotFoundError, PermissionError):
                return
        destination.discard(name + _DIRECTORY)
    with suppress(FileNotFoundError):  # another run was faster
        destination.discard(name + _FILE)


def _beginning(uuid: str) -> str:
    # Hidden, and the ending is not the one that readers of transcripts look for.
    return f".{uuid}.ao-import-"
