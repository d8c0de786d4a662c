"""Copies a transcript so that it appears whole or not at all, and never over another (T5, T6)."""

from __future__ import annotations

__all__ = ("SourceChanged", "Survey", "copy_transcript", "survey")

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec.structs import replace

from stages.floor.directories import Directory, walk
from stages.floor.files import flush
from stages.floor.text import Names
from stages.relocate.working import FILE_MODE, Working, working

DIRECTORY_MODE = 0o750
PIECE_BYTES = 8 * 1024 * 1024  # between two looks whether the run goes on
READ_BYTES = 256 * 1024  # of the path without in-kernel copies; more was no faster
# A cancelled run waits for a flush that is under way, so none may be long.
FLUSH_BYTES = 64 * 1024 * 1024
ATTEMPTS = 3  # at a source that changes while it is read

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


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """A transcript with its sidecar, as it is at one moment."""

    size_bytes: int
    left_out: tuple[str, ...]  # paths of links and special files; the first of them
    left_out_count: int
    state: int  # the same as long as no name, size or time in it has changed


def copy_transcript(
    source: Directory,
    destination: Directory,
    uuid: str,
    *,
    check: Callable[[], None],
    count: Count,
) -> Survey:
    """Copy `{uuid}.jsonl` and the directory beside it from one bucket to another (T5).

    All bytes and names have reached the disk when this returns, but for the name of the
    destination itself. `check` may end it between pieces; `count` gets the bytes of
    each piece, and takes them back where all has to be copied again.

    :raises FileExistsError: the destination has it, or another run was faster.
    :raises SourceChanged: it was written to each time.
    :raises OSError: whatever else kept it from being copied. Nothing is left behind.
    """
    file = f"{uuid}.jsonl"
    if destination.kind(file) is not None:
        path = os.path.join(destination.path, file)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)

    has_room = destination.kind(uuid) is None
    with working(destination, uuid) as work:
        for _ in range(ATTEMPTS):
            copier = _Copier(check, count)
            before = survey(source, uuid)
            has_sidecar = has_room and source.kind(uuid) == stat.S_IFDIR
            try:
                if has_sidecar:
                    copier.copy_directory(source, uuid, destination, work.directory)
                with source.reading(file, follow=True) as (fd, info):
                    copier.copy_content(fd, work.fd, info.st_size)
                is_whole = copier.is_exact and survey(source, uuid) == before
            except FileNotFoundError:  # of a name that was there a moment ago
                is_whole = False
            if is_whole:
                _publish(destination, work, uuid, has_sidecar=has_sidecar)
                return replace(before, size_bytes=copier.copied_bytes)

            count(-copier.copied_bytes)
            destination.discard(work.directory)
            os.lseek(work.fd, 0, os.SEEK_SET)
            os.ftruncate(work.fd, 0)

    problem = "it is being written to; end that session and import again"
    raise SourceChanged(None, problem, os.path.join(source.path, file))


def _publish(
    destination: Directory, work: Working, uuid: str, *, has_sidecar: bool
) -> None:
    # Both are whole before the first of them gets its name, so that a full disk leaves no
    # sidecar without its transcript.
    if has_sidecar:
        # The same one, whole, if another run was faster.
        with suppress(FileExistsError):
            destination.rename(work.directory, uuid)
    destination.publish_file(work.file, f"{uuid}.jsonl")
    destination.flush()


def survey(source: Directory, uuid: str) -> Survey:
    """Return what there is to copy of a transcript. Reads no content.

    :raises OSError: the transcript could not be opened, or its sidecar not be listed.
    """
    surveyor = _Surveyor()
    with source.reading(f"{uuid}.jsonl", follow=True) as (_, info):
        surveyor.add(uuid, info)
    kind = source.kind(uuid)
    if kind == stat.S_IFDIR:
        with source.enter(uuid) as sidecar:
            walk(sidecar, surveyor)
    elif kind == stat.S_IFLNK:
        surveyor.left_out.add(os.path.join(source.path, uuid))

    return Survey(
        size_bytes=surveyor.size_bytes,
        left_out=tuple(surveyor.left_out.first),
        left_out_count=surveyor.left_out.count,
        state=surveyor.state,
    )


class _Surveyor:
    """Adds up what a walk comes upon; the order in which it does has no meaning."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.left_out = Names()
        self.state = 0

    def file(self, parent: Directory, entry: os.DirEntry[str]) -> None:
        info = entry.stat(follow_symlinks=False)
        self.add(os.path.join(parent.path, entry.name), info)

    def enter(self, name: str) -> None:
        self.state += hash(name)

    def leave(self) -> None:
        pass

    def pass_over(self, parent: Directory, entry: os.DirEntry[str]) -> None:
        path = os.path.join(parent.path, entry.name)
        self.left_out.add(path)
        self.state += hash(path)

    def add(self, path: str, info: os.stat_result) -> None:
        self.size_bytes += info.st_size
        self.state += hash((path, info.st_ino, info.st_size, info.st_mtime_ns))


class _Copier:
    """Copies what a walk comes upon."""

    def __init__(self, check: Callable[[], None], count: Count) -> None:
        self._check, self._count = check, count
        self._unflushed_bytes = 0
        self._made: list[Directory] = []
        self.copied_bytes = 0
        self.is_exact = True  # each file had as many bytes as it said

    def copy_directory(
        self, source: Directory, name: str, parent: Directory, new_name: str
    ) -> None:
        """Copy a directory, in which nothing may be a link, under a new name."""
        self._made = [parent]
        try:
            with source.enter(name) as old:
                self.enter(new_name)
                walk(old, self)
                self.leave()
        finally:
            for made in self._made[1:]:
                made.close()

    def file(self, parent: Directory, entry: os.DirEntry[str]) -> None:
        with (
            parent.reading(entry.name, follow=False) as (old, info),
            self._made[-1].creating(entry.name, FILE_MODE) as new,
        ):
            self.copy_content(old, new, info.st_size)

    def enter(self, name: str) -> None:
        self._made.append(self._made[-1].make(name, DIRECTORY_MODE))

    def leave(self) -> None:
        with self._made.pop() as made:
            made.flush()

    def pass_over(self, parent: Directory, entry: os.DirEntry[str]) -> None:
        pass  # the survey counts it

    def copy_content(self, old: int, new: int, claimed_bytes: int) -> None:
        """Copy to the end, or past the claimed size, and bring it to the disk.

        What has more than it claims has changed, or has no end.
        """
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
            copied += size_bytes
            self.copied_bytes += size_bytes
            self._count(size_bytes)
            self._unflushed_bytes += size_bytes
            if not size_bytes or copied >= claimed_bytes:
                break
            if self._unflushed_bytes >= FLUSH_BYTES:
                self._flush(new)
        self._flush(new)
        self.is_exact = self.is_exact and copied == claimed_bytes

    def _flush(self, new: int) -> None:
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
