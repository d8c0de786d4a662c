"""Where Claude Code keeps its transcripts: buckets named after directories (T1)."""

from __future__ import annotations

__all__ = (
    "Resolver",
    "bucket_of",
    "bucket_path",
    "is_uuid",
    "newest_uuid",
    "real_path",
    "slug_of",
)

import os
import re
import stat
import unicodedata
from collections.abc import Callable

SLUG_LENGTH = 200  # in UTF-16 units, past which a hash takes the place of the rest
LONGEST_PATH = 32_768  # characters; no system has longer ones
DEEPEST_KEPT = 100  # directories, of which what was found is kept

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OTHER_UNITS = re.compile(r"[^a-zA-Z0-9]")


class Resolver:
    """Resolves the links of many paths; what it found of their directories it keeps.

    The worktrees of a store lie side by side: to look at each from the root down was
    measured to take longer than all else that is done for a project without transcript.
    """

    def __init__(self) -> None:
        self._directories: dict[str, tuple[str, bool]] = {}

    def resolve(self, path: str) -> str:
        """Return what `real_path` does for an absolute path."""
        if path.count(os.sep) > DEEPEST_KEPT:
            return real_path(path)

        return self._look(path)[0]

    def _look(self, path: str) -> tuple[str, bool]:
        """Return the resolved path, and whether something can be there."""
        above, name = os.path.split(path)
        if not name or name in (os.curdir, os.pardir):
            return real_path(path), True

        if above not in self._directories:
            self._directories[above] = self._look(above)
        directory, is_there = self._directories[above]
        real = os.path.join(directory, name)
        if not is_there:
            return real, False

        try:
            is_link = stat.S_ISLNK(os.lstat(real).st_mode)
        except FileNotFoundError:
            return real, False
        except OSError:  # as for `realpath`
            return real, True
        return real_path(real) if is_link else real, True


def real_path(path: str) -> str:
    """Return what `os.path.realpath` does, soon also for what no system could open.

    That takes the square of the length: for the longest path that a record can name, it
    would be hours.
    """
    if len(path) > LONGEST_PATH:
        return os.path.normpath(path)

    return os.path.realpath(path)


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in its usual form, in either case (rule T2)."""
    return _UUID.fullmatch(text) is not None


def slug_of(directory: str) -> str:
    """Return the name of the bucket of a resolved directory.

    The hash behind a long one is that of a new bucket; `bucket_path` finds old ones.
    """
    if directory.isascii() and len(directory) <= SLUG_LENGTH:
        return _OTHER_UNITS.sub("-", directory)

    encoded = unicodedata.normalize("NFC", directory).encode(
        "utf-16-le", "surrogatepass"
    )
    units = memoryview(encoded).cast("H")
    slug = _OTHER_UNITS.sub("-", "".join(map(chr, units)))
    if len(slug) <= SLUG_LENGTH:
        return slug

    return f"{slug[:SLUG_LENGTH]}-{_hash(units)}"


def bucket_path(buckets: str, directory: str, holding: str = "") -> str:
    """Return the path of the bucket of a resolved directory.

    Where the slug was cut, the hash behind it differs between builds of Claude Code:
    a bucket that exists under another hash is the one, if it has the file `holding`.
    """
    slug = slug_of(directory)
    path = os.path.join(buckets, slug)
    if len(slug) <= SLUG_LENGTH or os.path.lexists(os.path.join(path, holding)):
        return path

    start = slug[: SLUG_LENGTH + 1]
    try:
        names = sorted(name for name in os.listdir(buckets) if name.startswith(start))
    except OSError:
        return path

    for name in names:
        if os.path.lexists(os.path.join(buckets, name, holding)):
            return os.path.join(buckets, name)

    return path


def bucket_of(
    buckets: str,
    directory: str,
    holding: str = "",
    resolve: Callable[[str], str] = real_path,
) -> str | None:
    """Return the bucket's path for a directory as recorded; None if not absolute."""
    if not os.path.isabs(directory) or "\0" in directory:
        return None

    return bucket_path(buckets, resolve(directory), holding)


def newest_uuid(bucket: str) -> str | None:
    """Return the UUID of the newest transcript of a bucket, or None (rule T3).

    :raises OSError: the bucket is there and cannot be read.
    """
    newest: tuple[int, str] | None = None
    try:
        with os.scandir(bucket) as entries:
            for entry in entries:
                uuid, ending = os.path.splitext(entry.name)
                if ending != ".jsonl" or not is_uuid(uuid) or not entry.is_file():
                    continue

                candidate = (entry.stat().st_mtime_ns, uuid)
                newest = max(newest or candidate, candidate)
    except (FileNotFoundError, NotADirectoryError):
        return None

    return newest[1] if newest else None


def _hash(units: memoryview) -> str:
    value = 0
    for unit in units:
        value = (31 * value + unit) & 0xFFFFFFFF
    value = abs(value - (1 << 32) if value >> 31 else value)

    digits = ""
    while True:
        value, rest = divmod(value, 36)
        digits = _DIGITS[rest] + digits
        if not value:
            return digits
