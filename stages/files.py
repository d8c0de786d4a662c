"""Files, opened so that neither their kind nor their size can surprise us.

What a platform lacks (`dir_fd`, `O_NOFOLLOW`, `posix_fadvise`, `F_FULLFSYNC`) is
found out here, once, by looking for it; there is a path without each.
"""

from __future__ import annotations

__all__ = (
    "CAN_OPEN_AT",
    "NotRegular",
    "TooLarge",
    "flush",
    "flush_directory",
    "open_regular",
    "opener",
    "read_all",
    "read_regular",
    "reason",
    "will_need",
)

import os
import stat
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

    data = os.read(fd, READ_BYTES)
    if size_bytes <= len(data) < READ_BYTES:
        return data

    pieces, size = [data], len(data)
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


def will_need(fd: int) -> None:
    """Tell the system that the file will be read, where it can be told."""
    if _advise is not None:
        _advise(fd, 0, 0, _WILLNEED)


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
