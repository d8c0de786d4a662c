"""Transcripts against their sources, byte by byte (rule T4)."""

from __future__ import annotations

__all__ = ("Compared", "TranscriptComparer")

import os
import stat
from collections.abc import Callable

import msgspec

from stages.floor.directories import Directory
from stages.floor.files import reason
from stages.floor.text import listing, quote
from stages.floor.transcripts import locate
from stages.messages import Note, TranscriptPlan
from stages.notes import note

READ_BYTES = 256 * 1024


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How one transcript compares."""

    faults: tuple[Note, ...] = ()
    size_bytes: int = 0
    is_sought: bool = False  # its source is not where the record says


class TranscriptComparer:
    """Compares one transcript after the other, in several threads at once."""

    def __init__(
        self, buckets: str, count: Callable[[int], None], check: Callable[[], None]
    ) -> None:
        self._buckets, self._count, self._check = buckets, count, check

    def compare(self, project_id: str, plan: TranscriptPlan) -> Compared:
        """Compare a transcript with the one in the bucket of its worktree. Blocks."""
        located = locate(plan, self._buckets)
        source = located.source and os.path.join(self._buckets, located.source)
        if source is None or not _is_regular(
            os.path.join(source, f"{plan.uuid}.jsonl")
        ):
            return Compared(is_sought=True)

        return self._compare_with(project_id, plan.uuid, source, located.destination)

    def compare_found(
        self, project_id: str, plan: TranscriptPlan, places: list[str]
    ) -> Compared:
        """Compare a transcript with the only other one of its name, if there is one."""
        destination = locate(plan, self._buckets).destination
        others = [place for place in places if place != destination]
        if len(others) != 1:
            return Compared()

        source = os.path.join(self._buckets, others[0])
        return self._compare_with(project_id, plan.uuid, source, destination)

    def _compare_with(
        self, project_id: str, uuid: str, source_path: str, destination_name: str
    ) -> Compared:
        path = os.path.join(self._buckets, destination_name, f"{uuid}.jsonl")
        try:
            with Directory.open(source_path) as source:
                try:
                    buckets = Directory.open(self._buckets)
                    with buckets, buckets.enter(destination_name) as destination:
                        differing: list[str] = []
                        size_bytes = self._compare_file(
                            source, destination, f"{uuid}.jsonl", differing, follow=True
                        )
                        if source.kind(uuid) == stat.S_IFDIR:
                            size_bytes += self._compare_tree(
                                source, destination, uuid, differing
                            )
                except FileNotFoundError:
                    text = f"the transcript {quote(path)} is missing"
                    fault = note("copy-missing", project_id, text, source_path)
                    return Compared(faults=(fault,))
        except OSError as error:
            text = (
                f"the transcript {quote(path)} could not be compared: {reason(error)}"
            )
            fault = note("transcript-unreadable", project_id, text, source_path)
            return Compared(faults=(fault,))

        if not differing:
            return Compared(size_bytes=size_bytes)
        text = f"does not begin with what its source holds: {listing(differing)}"
        fault = note("transcript-differs", project_id, text, source_path)
        return Compared(faults=(fault,), size_bytes=size_bytes)

    def _compare_tree(
        self, source: Directory, destination: Directory, name: str, differing: list[str]
    ) -> int:
        size_bytes = 0
        with source.enter(name) as old:
            if destination.kind(name) != stat.S_IFDIR:
                differing.append(os.path.join(destination.path, name))
                return 0
            with destination.enter(name) as new:
                for entry in old.names():
                    if entry.is_dir(follow_symlinks=False):
                        size_bytes += self._compare_tree(
                            old, new, entry.name, differing
                        )
                    elif entry.is_file(follow_symlinks=False):
                        if new.kind(entry.name) == stat.S_IFREG:
                            size_bytes += self._compare_file(
                                old, new, entry.name, differing, follow=False
                            )
                        else:
                            differing.append(os.path.join(new.path, entry.name))

        return size_bytes

    def _compare_file(
        self,
        source: Directory,
        destination: Directory,
        name: str,
        differing: list[str],
        *,
        follow: bool,
    ) -> int:
        size_bytes = 0
        with (
            destination.reading(name, follow=False) as (new, _),
            source.reading(name, follow=follow) as (old, _),
        ):
            while expected := os.read(old, READ_BYTES):
                self._check()
                if _read_exactly(new, len(expected)) != expected:
                    differing.append(os.path.join(destination.path, name))
                    break
                size_bytes += len(expected)
                self._count(len(expected))

        return size_bytes


def _read_exactly(fd: int, size_bytes: int) -> bytes:
    data = os.read(fd, size_bytes)
    while len(data) < size_bytes and (more := os.read(fd, size_bytes - len(data))):
        data += more

    return data


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False
