"""Files, opened so that neither their kind nor their size can surprise us.

What a platform lacks (`dir_fd`, `O_NOFOLLOW`, `posix_fadvise`, `F_FULLFSYNC`) is
found out here, once, by looking for it; there is a path without each.
"""

from __future__ import annotations

__all__ = (
    "CAN_OPEN_AT",
    "DIRECTORY_FLAGS",
    "DiskWatch",
    "NotRegular",
    "Owner",
    "READ_BYTES",
    "TooLarge",
    "begins_with",
    "flush",
    "flush_directory",
    "give",
    "open_regular",
    "opener",
    "owner_above",
    "read_all",
    "read_many",
    "read_regular",
    "read_rest",
    "reading_regular",
    "reason",
    "write_whole",
)

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import msgspec

try:
    import fcntl
except ImportError:  # where there is no fcntl there is no F_FULLFSYNC either
    fcntl = None  # type: ignore[assignment]  # the module is looked at before use
try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]  # the module is looked at before use

# One read of this size gets nearly every record whole; a larger buffer would come
# from a fresh mapping each time, which was measured to cost four times as much.
READ_BYTES = 65_536
ATTEMPTS = 3  # to read a file that others write to
COMPARED_BYTES = (
    256 * 1024
)  # of each of two files, from one look at the run to the next

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
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
CAN_OPEN_AT = os.open in os.supports_dir_fd and os.scandir in os.supports_fd

_full_fsync = getattr(fcntl, "F_FULLFSYNC", None)
_advise = cast(
    "Callable[[int, int, int, int], None] | None", getattr(os, "posix_fadvise", None)
)
_WILLNEED = cast(int, getattr(os, "POSIX_FADV_WILLNEED", 0))
_RUSAGE_THREAD = cast("int | None", getattr(resource, "RUSAGE_THREAD", None))


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

    One that is changed in place meanwhile is read again.

    :raises OSError: it is missing, unreadable, no regular file, too large, or changed
        each time.
    """
    for _ in range(ATTEMPTS):
        with reading_regular(path) as fd:
            before = os.fstat(fd)
            data = read_all(fd, before.st_size, limit)
            after = os.fstat(fd)
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return data

    raise OSError(None, "it was changed each time while it was read")


@contextmanager
def reading_regular(path: str) -> Iterator[int]:
    """Open a regular file for reading, and close it afterwards.

    :raises OSError: it is missing, unreadable or no regular file.
    """
    fd, _ = open_regular(path)
    try:
        yield fd
    finally:
        os.close(fd)


def begins_with(fd: int, beginning: int, advance: Callable[[int], None]) -> bool:
    """Whether what is left of a file begins with all that is left of another one.

    Both are descriptors. `advance` gets the bytes of each piece that is the same, and
    may end the work.
    """
    while expected := os.read(beginning, COMPARED_BYTES):
        if _read_exactly(fd, len(expected)) != expected:
            return False
        advance(len(expected))

    return True


def _read_exactly(fd: int, size_bytes: int) -> bytes:
    data = os.read(fd, size_bytes)
    while len(data) < size_bytes and (more := os.read(fd, size_bytes - len(data))):
        data += more

    return data


class DiskWatch:
    """Tells the thread that made it whether what it reads comes from the disk."""

    def __init__(self) -> None:
        self._blocks = _blocks_read()

    def was_read(self) -> bool | None:
        """Whether the disk was read since this was last asked; None: who knows."""
        before, self._blocks = self._blocks, _blocks_read()

        return None if before is None else self._blocks != before


def _blocks_read() -> int | None:
    if _RUSAGE_THREAD is None:
        return None

    return resource.getrusage(_RUSAGE_THREAD).ru_inblock


def read_many(
    directory: str,
    at: int | None,
    names: Sequence[str],
    failed: Callable[[str, OSError], None],
    *,
    announce: bool,
) -> Iterator[tuple[str, int, bytes]]:
    """Open files of a directory and read them.

    Yields the name, a descriptor that is closed after it, and what a first read gave:
    all of nearly every file. Who cannot be sure of that asks `read_rest`, which also
    finds out what kind of file it is. `at` is a descriptor of the directory, where such
    can be used; `failed` gets the name of each file that could not be read, and why.
    `announce`: tell the system first that all will be read, which saves three quarters
    where they come from the disk and costs a tenth where they do not.

    This is what runs for every record of a store, so the names are local and nothing is
    called that need not be: a third of the time was measured to be in that.

    :raises OSError: not even one more file can be opened (EMFILE, ENFILE).
    """
    open_, read, close = os.open, os.read, os.close
    advise = _advise if announce else None
    position = 0
    while position < len(names):
        opened: list[tuple[str, int]] = []
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
                else:
                    opened.append((name, fd))
                    if advise:
                        with suppress(OSError):  # of a FIFO; it is passed over later
                            advise(fd, 0, 0, _WILLNEED)
                position += 1

            opened.reverse()
            while opened:
                name, fd = opened[-1]
                try:
                    try:
                        data = read(fd, READ_BYTES)
                    except OSError as error:
                        if _may_be_regular(fd):
                            failed(name, error)
                    else:
                        yield name, fd, data
                finally:
                    opened.pop()
                    close(fd)
        finally:
            for _, fd in opened:
                close(fd)


def _may_be_regular(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return True


def read_rest(fd: int, beginning: bytes, limit: int) -> tuple[bytes, os.stat_result]:
    """Return the whole content of a file, and what the system knows of it.

    :raises NotRegular: it is something else.
    :raises TooLarge: it claims or holds more than `limit` bytes.
    """
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        raise NotRegular(None, "not a regular file")
    if len(beginning) == info.st_size:
        return beginning, info

    return beginning + read_all(fd, info.st_size, limit), info


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


def write_whole(file: Path, content: bytes, mode: int) -> None:
    """Write a file beside its place, flush it, and give it its name.

    The mode is given whatever the umask says. What a killed run has left beside the
    place goes; only one run at a time may do this.

    :raises OSError: it could not be written; a file of that name stays as it was.
    """
    work = file.with_name(f"{file.name}.part")
    work.unlink(missing_ok=True)
    # Exclusive: a link that was planted under this name is not written through.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    fd = os.open(work, flags, mode)
    try:
        with open(fd, "wb") as stream:
            if hasattr(os, "fchmod"):
                os.fchmod(fd, mode)
            give(fd, owner_above(file))
            stream.write(content)
            stream.flush()
            flush(fd)
        os.replace(work, file)
    except BaseException:
        work.unlink(missing_ok=True)
        raise
    flush_directory(str(file.parent))


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The user and the group that something belongs to, by the system's numbers."""

    user: int
    group: int


def owner_above(path: Path) -> Owner | None:
    """Return who is to own what is made at a path, where that is not who makes it.

    Root that restores another user's home, or runs by `sudo` or in a container, makes
    files for that user: the one of the nearest directory that is there (rule D9).
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None

    for directory in path.parents if not path.is_dir() else (path,):
        try:
            info = os.stat(directory)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if info.st_uid == 0:
            return None
        return Owner(user=info.st_uid, group=info.st_gid)

    return None


def give(made: int | str, owner: Owner | None) -> None:
    """Give what was just made, a descriptor or a path, to its owner (rule D9)."""
    if owner is None:
        return

    if isinstance(made, int):
        os.fchown(made, owner.user, owner.group)
    else:
        os.chown(made, owner.user, owner.group, follow_symlinks=False)


def reason(error: OSError) -> str:
    """Return what the system says of an error, without numbers and names."""
    return error.strerror or str(error)
