"""Copies a transcript so that it appears whole or not at all, and never over another (T5, T6)."""

from __future__ import annotations

__all__ = ("Copied", "SourceChanged", "copy_transcript", "discard_leftovers", "measure")

import errno
import os
import stat
from collections.abc import Callable

import msgspec

from stages.floor.directories import Directory
from stages.floor.files import flush

FILE_MODE = 0o600
DIRECTORY_MODE = 0o750
PIECE_BYTES = 8 * 1024 * 1024  # between two looks whether the run goes on
READ_BYTES = 256 * 1024  # of the path without in-kernel copies; more was no faster
# A cancelled run waits for a flush that is under way, so none may be long.
FLUSH_BYTES = 64 * 1024 * 1024
ATTEMPTS = 3  # at a source that changes while it is read
DEPTH_LIMIT = 32  # of directories in a sidecar

_copy_file_range = getattr(os, "copy_file_range", None)
_NO_COPY_IN_KERNEL = frozenset(
    {
        errno.EXDEV,
        errno.EINVAL,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EBADF,
    }
)

Count = Callable[[int], None]


class SourceChanged(OSError):
    """The source was written to each time that it was copied."""


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """The size of a transcript with its sidecar, and what in that was left out."""

    size_bytes: int
    left_out: tuple[str, ...]  # paths of links and special files


def copy_transcript(
    source: Directory,
    destination: Directory,
    uuid: str,
    *,
    check: Callable[[], None],
    count: Count,
) -> Copied:
    """Copy `{uuid}.jsonl` and the directory beside it from one bucket to another.

    All bytes and names have reached the disk when this returns, but for the name of the
    destination itself. `check` may end it between pieces; `count` gets the bytes of
    each piece.

    :raises FileExistsError: another process was faster.
    :raises OSError: whatever else kept it from being copied. Nothing is left behind.
    """
    final, work = f"{uuid}.jsonl", _work_name(uuid)
    copier = _Copier(check, count)
    work_directory = _work_name(uuid, "d")
    discard_leftovers(destination, uuid)
    try:
        has_sidecar = (
            _is_there(source, uuid, copier.left_out) and destination.kind(uuid) is None
        )
        if has_sidecar:
            copier.copy_tree(source, uuid, destination, work_directory, DEPTH_LIMIT)
        copier.copy_file(source, final, destination, work, follow=True)
        # Both are whole before the first of them gets its name, so that a full disk
        # leaves no sidecar without its transcript.
        if has_sidecar:
            destination.rename(work_directory, uuid)
        destination.publish_file(work, final)
        destination.flush()
    except BaseException:
        discard_leftovers(destination, uuid)
        raise

    return Copied(size_bytes=copier.size_bytes, left_out=tuple(sorted(copier.left_out)))


def measure(source: Directory, uuid: str) -> Copied:
    """Return what a copy would come to. Reads no content.

    :raises OSError: the transcript could not be opened.
    """
    left_out: list[str] = []
    with source.reading(f"{uuid}.jsonl", follow=True) as (_, info):
        size_bytes = info.st_size
    if _is_there(source, uuid, left_out):
        with source.enter(uuid) as sidecar:
            size_bytes += _measure_tree(sidecar, left_out, DEPTH_LIMIT)

    return Copied(size_bytes=size_bytes, left_out=tuple(sorted(left_out)))


def discard_leftovers(destination: Directory, uuid: str) -> None:
    """Remove what a run that was killed has left of this transcript."""
    destination.discard(_work_name(uuid))
    destination.discard(_work_name(uuid, "d"))


def _work_name(uuid: str, kind: str = "part") -> str:
    # Hidden and without the ending that readers of transcripts look for.
    return f".{uuid}.ao-import-{kind}"


class _Copier:
    def __init__(self, check: Callable[[], None], count: Count) -> None:
        self._check, self._count = check, count
        self._unflushed_bytes = 0
        self.size_bytes = 0
        self.left_out: list[str] = []

    def copy_tree(
        self, source: Directory, name: str, parent: Directory, new_name: str, depth: int
    ) -> None:
        with source.enter(name) as old, parent.make(new_name, DIRECTORY_MODE) as new:
            for entry in old.names():
                if entry.is_file(follow_symlinks=False):
                    self.copy_file(old, entry.name, new, entry.name, follow=False)
                elif entry.is_dir(follow_symlinks=False) and depth:
                    self.copy_tree(old, entry.name, new, entry.name, depth - 1)
                else:
                    self.left_out.append(os.path.join(old.path, entry.name))
            new.flush()

    def copy_file(
        self,
        source: Directory,
        name: str,
        parent: Directory,
        new_name: str,
        *,
        follow: bool,
    ) -> None:
        with (
            source.reading(name, follow=follow) as (old, before),
            parent.creating(new_name, FILE_MODE) as new,
        ):
            for _ in range(ATTEMPTS):
                copied = self._copy_content(old, new, before.st_size)
                after = source.stat(name)
                if copied == after.st_size and _state(before) == _state(after):
                    flush(new)
                    self._unflushed_bytes = 0
                    self.size_bytes += copied
                    return

                before = os.fstat(old)
                self._count(-copied)
                os.lseek(old, 0, os.SEEK_SET)
                os.lseek(new, 0, os.SEEK_SET)
                os.ftruncate(new, 0)

        problem = "it is being written to; end that session and import again"
        raise SourceChanged(None, problem, os.path.join(source.path, name))

    def _copy_content(self, old: int, new: int, claimed_bytes: int) -> int:
        """Copy to the end, or past the claimed size: it has changed then, or has no end."""
        copied = 0
        copy_piece = _copy_piece
        while True:
            self._check()
            try:
                size_bytes = copy_piece(old, new)
            except OSError as error:
                if (
                    copy_piece is _read_and_write
                    or error.errno not in _NO_COPY_IN_KERNEL
                ):
                    raise
                copy_piece = _read_and_write
                continue
            if not size_bytes and copy_piece is not _read_and_write and not copied:
                copy_piece = _read_and_write  # some file systems copy nothing in-kernel
                continue
            if not size_bytes:
                return copied

            copied += size_bytes
            self._count(size_bytes)
            self._unflushed_bytes += size_bytes
            if copied >= claimed_bytes:  # whether it grew meanwhile is seen afterwards
                return copied
            if self._unflushed_bytes >= FLUSH_BYTES:
                flush(new)
                self._unflushed_bytes = 0


def _copy_piece(old: int, new: int) -> int:
    if _copy_file_range is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    return int(_copy_file_range(old, new, PIECE_BYTES))


def _read_and_write(old: int, new: int) -> int:
    data = os.read(old, READ_BYTES)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(new, rest) :]

    return len(data)


def _state(info: os.stat_result) -> tuple[int, int, int, int]:
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


def _is_there(source: Directory, uuid: str, left_out: list[str]) -> bool:
    """Whether the transcript has a sidecar directory; a link in its place is left out."""
    kind = source.kind(uuid)
    if kind == stat.S_IFLNK:
        left_out.append(os.path.join(source.path, uuid))

    return kind == stat.S_IFDIR


def _measure_tree(directory: Directory, left_out: list[str], depth: int) -> int:
    size_bytes = 0
    for entry in directory.names():
        if entry.is_file(follow_symlinks=False):
            size_bytes += entry.stat(follow_symlinks=False).st_size
        elif entry.is_dir(follow_symlinks=False) and depth:
            with directory.enter(entry.name) as child:
                size_bytes += _measure_tree(child, left_out, depth - 1)
        else:
            left_out.append(os.path.join(directory.path, entry.name))

    return size_bytes
