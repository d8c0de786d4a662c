"""A directory held open: what is done in it cannot be led elsewhere by a planted link."""

from __future__ import annotations

__all__ = ("Directory", "LinkRefused", "Visitor", "walk")

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from stages.floor.files import (
    DIRECTORY_FLAGS,
    flush,
    flush_directory,
    give,
    open_regular,
    owner_above,
)

LEVELS = 32  # of directories below one another, through which a walk goes

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CAN_DO_AT = {
    os.open,
    os.mkdir,
    os.stat,
    os.unlink,
    os.rename,
    os.rmdir,
} <= os.supports_dir_fd and os.scandir in os.supports_fd
_CAN_LINK = hasattr(os, "link")
_CAN_LINK_AT = _CAN_LINK and os.link in os.supports_dir_fd
# What a file system says that has no hard links.
_NO_LINKS = frozenset(
    {
        errno.EPERM,
        errno.ENOSYS,
        errno.EMLINK,
        errno.EOPNOTSUPP,
        errno.EXDEV,
        errno.EACCES,
    }
)


class LinkRefused(OSError):
    """A link stands where a file or directory of ours belongs; it was not followed."""


class Directory:
    """A directory of the transcripts' side; names in it are single components.

    Where the system can work relative to a descriptor, that is what happens; elsewhere
    paths are looked at first, which leaves a moment between look and use.
    """

    def __init__(self, path: str, fd: int | None) -> None:
        self.path, self._fd = path, fd

    @classmethod
    def open(cls, path: str) -> Self:
        """Open the directory at a path; links on the way are followed."""
        return cls(path, os.open(path, DIRECTORY_FLAGS) if _CAN_DO_AT else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)

    def enter(self, name: str) -> Self:
        """Open a directory in this one.

        :raises LinkRefused: it is a link.
        """
        path = os.path.join(self.path, name)
        kind = self.kind(name)
        if kind == stat.S_IFLNK:
            raise LinkRefused(None, "a link stands there and is not followed", path)
        if kind is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if kind != stat.S_IFDIR:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        if self._fd is None:
            return type(self)(path, None)

        return type(self)(
            path, os.open(name, DIRECTORY_FLAGS | _NOFOLLOW, dir_fd=self._fd)
        )

    def kind(self, name: str) -> int | None:
        """Return the kind of what has this name (`stat.S_IFREG` …), or None."""
        try:
            info = os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

        return stat.S_IFMT(info.st_mode)

    def is_file(self, name: str) -> bool:
        """Whether a regular file has this name, and no link to one."""
        return self.kind(name) == stat.S_IFREG

    def names(self) -> Iterator[os.DirEntry[str]]:
        """Yield what is in it, in the order in which the system gives it."""
        with os.scandir(self.path if self._fd is None else self._fd) as entries:
            yield from entries

    @contextmanager
    def reading(
        self, name: str, *, follow: bool
    ) -> Iterator[tuple[int, os.stat_result]]:
        """Open a regular file for reading.

        :raises OSError: it is missing, unreadable, no regular file, or a link that is
            not to be followed.
        """
        if not follow and not _NOFOLLOW and self.kind(name) == stat.S_IFLNK:
            path = os.path.join(self.path, name)
            raise LinkRefused(None, "a link stands there and is not followed", path)
        fd, info = open_regular(
            self._at(name), dir_fd=self._fd, flags=0 if follow else _NOFOLLOW
        )
        try:
            yield fd, info
        finally:
            os.close(fd)

    def stat(self, name: str) -> os.stat_result:
        """Return what the system knows of a file, links followed."""
        return os.stat(self._at(name), dir_fd=self._fd)

    @contextmanager
    def creating(self, name: str, mode: int) -> Iterator[int]:
        """Make a new file for writing, with exactly this mode, for the directory's owner.

        :raises FileExistsError: something has that name.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW
        flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        fd = os.open(self._at(name), flags, mode, dir_fd=self._fd)
        try:
            _set_mode(fd, os.path.join(self.path, name), mode)
            give(fd, owner_above(Path(self.path)))
            yield fd
        finally:
            os.close(fd)

    def make(self, name: str, mode: int) -> Self:
        """Make a directory in this one, with exactly this mode, and open it.

        It belongs to whom this one does (rule D9).
        """
        os.mkdir(self._at(name), mode, dir_fd=self._fd)
        try:
            made = self.enter(name)
            try:
                _set_mode(made._fd, made.path, mode)
                owner = owner_above(Path(self.path))
                give(made.path if made._fd is None else made._fd, owner)
            except BaseException:
                made.close()
                raise
        except BaseException:
            self.discard_if_empty(name)
            raise

        return made

    def publish_file(self, name: str, final: str) -> None:
        """Give a finished file its name, never in the place of another.

        :raises FileExistsError: something has that name.
        """
        if _CAN_LINK and (self._fd is None or _CAN_LINK_AT):
            try:
                os.link(
                    self._at(name),
                    self._at(final),
                    src_dir_fd=self._fd,
                    dst_dir_fd=self._fd,
                )
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
            else:
                # It is published. Not every system takes a name from an open file: its
                # maker does that in the end.
                with suppress(OSError):
                    self.unlink(name)
                return
        self.rename(name, final)

    def rename(self, name: str, final: str) -> None:
        """Rename, after a look that nothing has the new name.

        :raises FileExistsError: something has that name.
        """
        path = os.path.join(self.path, final)
        taken = FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        if self.kind(final) is not None:
            raise taken

        try:
            os.rename(
                self._at(name),
                self._at(final),
                src_dir_fd=self._fd,
                dst_dir_fd=self._fd,
            )
        except OSError as error:
            # A directory got that name since; one with something in it is not replaced.
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise taken from error
            raise

    def unlink(self, name: str) -> None:
        os.unlink(self._at(name), dir_fd=self._fd)

    def discard(self, name: str) -> None:
        """Remove a file, a link or a whole directory; nothing is no error."""
        kind = self.kind(name)
        if kind == stat.S_IFDIR:
            try:
                shutil.rmtree(self._at(name), dir_fd=self._fd)
            except RecursionError as error:  # it goes down level by level
                path = os.path.join(self.path, name)
                problem = "it is nested too deeply to be removed"
                raise OSError(None, problem, path) from error
        elif kind is not None:
            self.unlink(name)

    def discard_if_empty(self, name: str) -> None:
        """Remove a directory, unless something is in it."""
        try:
            os.rmdir(self._at(name), dir_fd=self._fd)
        except OSError:
            return

    def flush(self) -> None:
        """Bring the names in it to the disk."""
        if self._fd is None:
            flush_directory(self.path)
        else:
            flush(self._fd)

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name) if self._fd is None else name


class Visitor(Protocol):
    """What is done with each thing that a walk comes upon."""

    def file(self, parent: Directory, entry: os.DirEntry[str]) -> None:
        """It is a regular file."""

    def enter(self, name: str) -> None:
        """It is a directory; what comes now is in it."""

    def leave(self) -> None:
        """That was all of the directory that was entered last."""

    def pass_over(self, parent: Directory, entry: os.DirEntry[str]) -> None:
        """It is a link, a special file, or a directory below too many others."""


def walk(directory: Directory, visitor: Visitor, levels: int = LEVELS) -> None:
    """Show a visitor all that is in a directory, in the order that the system gives."""
    for entry in directory.names():
        if entry.is_file(follow_symlinks=False):
            visitor.file(directory, entry)
        elif levels and entry.is_dir(follow_symlinks=False):
            with directory.enter(entry.name) as child:
                visitor.enter(entry.name)
                walk(child, visitor, levels - 1)
                visitor.leave()
        else:
            visitor.pass_over(directory, entry)


def _set_mode(fd: int | None, path: str, mode: int) -> None:
    # The umask may have taken bits away when it was made.
    if fd is not None and hasattr(os, "fchmod"):
        os.fchmod(fd, mode)
    else:
        os.chmod(path, mode)
