"""Where Claude Code keeps its transcripts: buckets named after directories (T1, T3)."""

from __future__ import annotations

__all__ = ("Buckets", "Resolver", "is_uuid", "real_path", "slug_of", "unreadable")

import os
import re
import stat
import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from threading import Lock
from zlib import crc32

from stages.floor.files import begins_with, reading_regular, reason
from stages.floor.text import listing, quote
from stages.messages import Located, TranscriptPlan

SLUG_LENGTH = 200  # in UTF-16 units, past which a hash takes the place of the rest
LONGEST_PATH = 32_768  # characters; no system has longer ones
DEEPEST_KEPT = 100  # directories; the way down to them is remembered
DIRECTORIES_KEPT = 256

_NUMBER_BITS = 32  # of a bucket's number, below the key of a file's name

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OTHER_UNITS = re.compile(r"[^a-zA-Z0-9]")


class Resolver:
    """Resolves the links of many paths; what it found of their directories it keeps.

    The worktrees of a store lie side by side: to resolve each from the root down was
    measured to take longer than all else that is done for a project without transcript.
    """

    def __init__(self) -> None:
        self._directory = lru_cache(maxsize=DIRECTORIES_KEPT)(self.resolve)

    def resolve(self, path: str) -> str:
        """Return what `real_path` does for an absolute path."""
        above, name = os.path.split(path)
        if name in ("", os.curdir, os.pardir) or path.count(os.sep) > DEEPEST_KEPT:
            return real_path(path)

        real = os.path.join(self._directory(above), name)
        return real_path(real) if os.path.islink(real) else real


def real_path(path: str) -> str:
    """Return the path with its links followed, as far as they can be.

    What a store names is never an error: a path that holds a NUL, or leads through a
    link that may not be read, comes back as it is, tidied up. So does one that is longer
    than any system has them: resolving takes the square of the length, which would be
    hours for the longest that a record can name.
    """
    if len(path) > LONGEST_PATH:
        return os.path.normpath(path)

    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return os.path.normpath(path)


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in its usual form, in either case (rule T2)."""
    return _UUID.fullmatch(text) is not None


def slug_of(directory: str) -> str:
    """Return the name of the bucket of a resolved directory.

    The hash behind a long one is that of a new bucket; `Buckets.bucket_of` finds old ones.
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


class Buckets:
    """The directory of all buckets; what they hold is listed once, when first needed.

    Its methods block; several threads use it at once.
    """

    def __init__(self, path: str, check: Callable[[], None]) -> None:
        """Take the directory's path, and what ends the work when the run has ended."""
        self.path = path
        self._check = check
        self._resolve = Resolver().resolve
        self._listing = Lock()
        self._names: list[str] | None = None
        # A few bytes for each transcript: there can be 100,000 of them.
        self._index: array[int] | None = None
        self._unreadable: list[str] = []

    def bucket_of(self, directory: str, holding: str = "") -> str | None:
        """Return the name of a directory's bucket; None if the path is not absolute (T1).

        Where the slug was cut, the hash behind it differs between builds of Claude Code:
        a bucket that exists under another hash is the one, if it has the file `holding`.

        :raises OSError: the buckets had to be listed, and could not be.
        """
        if not os.path.isabs(directory) or "\0" in directory:
            return None

        return self._name_of(directory, holding)

    def destination_of(self, plan: TranscriptPlan) -> str:
        """Return the name of the bucket that a plan's transcript goes to (T1).

        :raises OSError: as for `bucket_of`.
        """
        return self._name_of(plan.new_worktree, f"{plan.uuid}.jsonl")

    def find(self, plan: TranscriptPlan) -> Located:
        """Return where the transcript of a plan is (rules T1, T3)."""
        file = f"{plan.uuid}.jsonl"
        try:
            for directory in plan.worktrees:
                bucket = self.bucket_of(directory, file)
                if bucket is not None and self._stat(bucket, file) is not None:
                    return Located(state="found", bucket=bucket)

            return self._seek(file, self.destination_of(plan))
        except OSError as error:
            return unreadable(error, self.path)

    def _seek(self, file: str, destination: str) -> Located:
        """Look in all buckets for what is in none of those where it should be."""
        copies = {
            bucket: info
            for bucket in self._holders(file)
            if (info := self._stat(bucket, file)) is not None
        }
        has_arrived = copies.pop(destination, None) is not None
        if len(copies) == 1:
            return Located(state="moved", bucket=next(iter(copies)))
        if has_arrived:  # whatever the others are: the one that counts is there
            return Located(state="arrived")
        if copies:
            longest = self._longest(copies, file)
            return (
                Located(state="ambiguous", detail=listing(sorted(copies)))
                if longest is None
                else Located(state="moved", bucket=longest)
            )
        if self._unreadable:
            return Located(state="unreadable", detail=listing(self._unreadable))

        return Located(state="nowhere")

    def _longest(self, copies: dict[str, os.stat_result], file: str) -> str | None:
        """Return the bucket of the longest copy; None if they are not of one kind.

        That is: each of them is a beginning of the next one. Of equal ones, one with a
        sidecar comes before others.
        """
        by_length = sorted(
            copies,
            key=lambda bucket: (
                copies[bucket].st_size,
                self._has(bucket, file.removesuffix(".jsonl")),
                bucket,
            ),
        )
        for shorter, longer in pairwise(by_length):
            is_same = os.path.samestat(copies[shorter], copies[longer])
            if not is_same and not self._is_beginning(shorter, longer, file):
                return None

        return by_length[-1]

    def _is_beginning(self, shorter: str, longer: str, file: str) -> bool:
        with (
            reading_regular(os.path.join(self.path, longer, file)) as whole,
            reading_regular(os.path.join(self.path, shorter, file)) as beginning,
        ):
            return begins_with(whole, beginning, lambda _: self._check())

    def _holders(self, file: str) -> list[str]:
        """Return the names of the buckets that were seen to have a file, or nearly."""
        names, index = self._list_names(), self._list_transcripts()
        first = _key_of(file) << _NUMBER_BITS
        last = first | (1 << _NUMBER_BITS) - 1
        found = index[bisect_left(index, first) : bisect_right(index, last)]

        return [names[key - first] for key in found]

    def _name_of(self, directory: str, holding: str) -> str:
        slug = slug_of(self._resolve(directory))
        if len(slug) <= SLUG_LENGTH or self._has(slug, holding):
            return slug

        start, names = slug[: SLUG_LENGTH + 1], self._list_names()
        alike = names[bisect_left(names, start) : bisect_left(names, f"{start}\uffff")]
        return next((name for name in alike if self._has(name, holding)), slug)

    def _list_names(self) -> list[str]:
        with self._listing:
            if self._names is None:
                try:
                    self._names = sorted(os.listdir(self.path))
                except (FileNotFoundError, NotADirectoryError):
                    self._names = []

            return self._names

    def _list_transcripts(self) -> array[int]:
        names = self._list_names()
        with self._listing:
            if self._index is None:
                index = array("Q")
                for number, bucket in enumerate(names):
                    try:
                        index.extend(self._keys_in(bucket, number))
                    except NotADirectoryError:
                        continue
                    except OSError as error:
                        self._unreadable.append(f"{bucket}: {reason(error)}")
                self._index = array("Q", sorted(index))

            return self._index

    def _keys_in(self, bucket: str, number: int) -> Iterator[int]:
        self._check()
        with os.scandir(os.path.join(self.path, bucket)) as entries:
            for entry in entries:
                stem, ending = os.path.splitext(entry.name)
                if ending == ".jsonl" and is_uuid(stem):
                    self._check()
                    yield _key_of(entry.name) << _NUMBER_BITS | number

    def _stat(self, bucket: str, file: str) -> os.stat_result | None:
        """Return what the system knows of a transcript; None if there is none.

        :raises OSError: the bucket is there and cannot be looked into.
        """
        try:
            info = os.stat(os.path.join(self.path, bucket, file))
        except (FileNotFoundError, NotADirectoryError):
            return None

        return info if stat.S_ISREG(info.st_mode) else None

    def _has(self, bucket: str, name: str) -> bool:
        return os.path.lexists(os.path.join(self.path, bucket, name))


def unreadable(error: OSError, place: str) -> Located:
    """Return that a transcript could not be looked for; `place` is where, if it says none."""
    where = error.filename if isinstance(error.filename, str) else place

    return Located(state="unreadable", detail=f"{quote(where)}: {reason(error)}")


def _key_of(file: str) -> int:
    # Two names can have one key: what is found by it is looked at under its name.
    return crc32(os.fsencode(file))


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
