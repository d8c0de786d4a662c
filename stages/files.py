"""Files, opened so that neither their kind nor their size can surprise us.

What a platform lacks (`dir_fd`, `O_NOFOLLOW`, `posix_fadvise`, `F_FULLFSYNC`) is
found out here, once, by looking for it; there is a path without each.
"""

from __future__ import annotations

__all__ = (
    "CAN_OPEN_AT",
    "DIRECTORY_FLAGS",
    "NotRegular",
    "TooLarge",
    "flush",
    "flush_directory",
    "open_regular",
    "opener",
    "read_all",
    "read_many",
    "read_regular",
    "reason",
)

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import cast

try:
    import fcntl
except ImportError:  # where there is no fcntl there is no F_FULLFSYNC either
    fcntl = None  # type: ignore[assignment]  # the module is looked at before use

# One read of this size gets nearly every record whole; a larger buffer would come
# from a fresh mapping each time, which was measured to cost four times as much.
READ_BYTES = 65_536

READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO must not hang us
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
DIRECTORY_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NONBLOCK", 0)  # where there is no O_DIRECTORY: as above
    | getattr(os, "O_CLOEXEC", 0)
)
_KIND = 0o170000  # of the mode: which kind of file it is; `stat.S_ISREG` is a call
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
CAN_OPEN_AT = os.open in os.supports_dir_fd and os.scandir in os.supports_fd

_full_fsync = getattr(fcntl, "F_FULLFSYNC", None)
_advise = getattr(os, "posix_fadvise", None)
_WILLNEED = cast(int, getattr(os, "POSIX_FADV_WILLNEED", 0))


class NotRegular(OSError):
    """It is a FIFO, a device, a directory or a socket; it was not read."""


class TooLarge(OSError):
    """It has more bytes than its kind may have."""


def open_regular(
    path: str, *, dir_fd: int | None = None, flags: int = 0
) -> tuple[int, os.stat_result]:
    """Open a regular file for reading; links are followed unless flags say otherwise.

    :raises NotRegular: it is something else. It was opened, but not read.
    """
    fd = os.open(path, READ_FLAGS | flags, dir_fd=dir_fd)
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise NotRegular(None, "not a regular file", path)
    except BaseException:
        os.close(fd)
        raise

    return fd, info


def opener(path: str, flags: int) -> int:
    """Open a regular file for `open` and its kin, which pass their own flags."""
    return open_regular(path)[0]


def read_all(fd: int, size_bytes: int, limit: int) -> bytes:
    """Return what the file holds, also if that is more than the size that it claims.

    :raises TooLarge: it claims or holds more than `limit` bytes.
    """
    if size_bytes > limit:
        raise TooLarge(None, f"it has more than {limit} bytes")

    # To the end: what claims no size (as under /proc) may come in pieces of any length.
    pieces, size = [], 0
    while data := os.read(fd, READ_BYTES):
        pieces.append(data)
        size += len(data)
        if size > limit:
            raise TooLarge(None, f"it has more than {limit} bytes")

    return b"".join(pieces)


def read_regular(path: str, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes.

    :raises OSError: it is missing, unreadable, no regular file or too large.
    """
    fd, info = open_regular(path)
    try:
        return read_all(fd, info.st_size, limit)
    finally:
        os.close(fd)


def read_many(
    directory: str,
    at: int | None,
    names: Sequence[str],
    limit: int,
    failed: Callable[[str, OSError], None],
) -> Iterator[tuple[str, bytes, os.stat_result]]:
    """Open files of a directory, tell the system that all will be read, and read them.

    Yields what is not empty. `at` is a descriptor of the directory, where such can be
    used; `failed` gets the name of each file that could not be read, and why.

    This is what runs for every record of a store, so the names are local and nothing is
    called that need not be: a third of the time was measured to be in that.

    :raises OSError: not even one more file can be opened (EMFILE, ENFILE).
    """
    open_, fstat, read, close = os.open, os.fstat, os.read, os.close
    position = 0
    while position < len(names):
        opened: list[tuple[str, int, os.stat_result]] = []
        try:
            for name in names[position:]:
                path = name if at is not None else os.path.join(directory, name)
                try:
                    fd = open_(path, READ_FLAGS, dir_fd=at)
                except OSError as error:
                    if error.errno in _OUT_OF_DESCRIPTORS:
                        if not opened:
                            raise
                        break  # those that are open make room when they are read
                    failed(name, error)
                    position += 1
                    continue

                position += 1
                try:
                    info = fstat(fd)
                except OSError as error:
                    close(fd)
                    failed(name, error)
                    continue
                opened.append((name, fd, info))
                if _advise is not None and info.st_mode & _KIND == stat.S_IFREG:
                    _advise(fd, 0, 0, _WILLNEED)

            opened.reverse()
            while opened:
                name, fd, info = opened[-1]
                data = b""
                try:
                    if info.st_mode & _KIND == stat.S_IFREG:
                        data = (
                            read(fd, READ_BYTES) if info.st_size < READ_BYTES else b""
                        )
                        if len(data) != info.st_size:
                            data += read_all(fd, info.st_size, limit)
                except OSError as error:
                    failed(name, error)
                    data = b""
                finally:
                    opened.pop()
                    close(fd)
                if data:
                    yield name, data, info
        finally:
            for _, fd, _ in opened:
                close(fd)


def flush(fd: int) -> None:
    """Bring a file's bytes to the disk, past the disk's own cache where that is apart."""
    if _full_fsync is not None:
        try:
            fcntl.fcntl(fd, _full_fsync)
            return
        except OSError:  # not every file system there knows it
            pass
    os.fsync(fd)


def flush_directory(path: str) -> None:
    """Bring a directory's names to the disk, where directories can be opened."""
    directory = getattr(os, "O_DIRECTORY", None)
    if directory is None:
        return

    try:
        fd = os.open(path, os.O_RDONLY | directory | getattr(os, "O_CLOEXEC", 0))
    except PermissionError:  # one may make names where one may not read them
        return
    try:
        flush(fd)
    finally:
        os.close(fd)


def reason(error: OSError) -> str:
    """Return what the system says of an error, without numbers and names."""
    return error.strerror or str(error)
