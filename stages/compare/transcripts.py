"""Transcripts against their sources, byte by byte (rule T4)."""

from __future__ import annotations

__all__ = ("Compared", "TranscriptComparer")

import os
import stat
from collections.abc import Callable

import msgspec

from stages.floor.buckets import Buckets
from stages.floor.directories import Directory
from stages.floor.files import begins_with, reason
from stages.floor.text import listing, quote
from stages.messages import Note, TranscriptPlan
from stages.notes import note


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How one transcript compares."""

    faults: tuple[Note, ...] = ()
    size_bytes: int = 0


class TranscriptComparer:
    """Compares one transcript after the other, in several threads at once."""

    def __init__(
        self, buckets: Buckets, count: Callable[[int], None], check: Callable[[], None]
    ) -> None:
        self._buckets, self._count, self._check = buckets, count, check

    def compare(self, project_id: str, plan: TranscriptPlan) -> Compared:
        """Compare a transcript with its source, if that is still there. Blocks."""
        located = plan.located or self._buckets.find(plan)
        if not located.bucket:
            return Compared()

        source = os.path.join(self._buckets.path, located.bucket)
        try:
            file = f"{plan.uuid}.jsonl"
            destination = self._buckets.bucket_of(plan.new_worktree, file)
            assert destination is not None, "the data dir is absolute"
        except OSError as error:
            return _not_compared(project_id, self._buckets.path, source, error)

        return self._compare_with(project_id, plan.uuid, source, destination)

    def _compare_with(
        self, project_id: str, uuid: str, source_path: str, destination_name: str
    ) -> Compared:
        path = os.path.join(self._buckets.path, destination_name, f"{uuid}.jsonl")
        try:
            with Directory.open(source_path) as source:
                try:
                    buckets = Directory.open(self._buckets.path)
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
            return _not_compared(project_id, path, source_path, error)

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
        compared: list[int] = []

        def advance(size_bytes: int) -> None:
            self._check()
            self._count(size_bytes)
            compared.append(size_bytes)

        with (
            destination.reading(name, follow=False) as (new, _),
            source.reading(name, follow=follow) as (old, _),
        ):
            if not begins_with(new, old, advance):
                differing.append(os.path.join(destination.path, name))

        return sum(compared)


def _not_compared(
    project_id: str, path: str, source_path: str, error: OSError
) -> Compared:
    text = f"the transcript {quote(path)} could not be compared: {reason(error)}"

    return Compared(
        faults=(note("transcript-unreadable", project_id, text, source_path),)
    )
