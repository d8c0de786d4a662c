"""Transcripts against their sources, byte by byte (rule T4)."""

from __future__ import annotations

__all__ = ("TranscriptComparer",)

import os
import stat
from collections.abc import Callable

from msgspec.structs import replace

from stages.floor.buckets import Buckets
from stages.floor.directories import Directory, walk
from stages.floor.files import begins_with, reason
from stages.floor.text import Names, quote
from stages.messages import Checked, Located, Note, TranscriptPlan
from stages.notes import note, transcript_lost


class TranscriptComparer:
    """Compares one transcript after the other, in several threads at once."""

    def __init__(
        self, buckets: Buckets, count: Callable[[int], None], check: Callable[[], None]
    ) -> None:
        self._buckets, self._count, self._check = buckets, count, check

    def compare(self, checked: Checked, plan: TranscriptPlan) -> Checked:
        """Add how a transcript compares with its source, if that is there. Blocks."""
        located = plan.located or self._buckets.find(plan)
        comparison = _Comparison(self._count, self._check)
        faults = self._faults(checked.id, plan, located, comparison)
        lost = transcript_lost(checked.id, plan.uuid, located)

        return replace(
            checked,
            faults=checked.faults + faults,
            not_there=(*checked.not_there, *((lost,) if lost else ())),
            transcript_bytes=comparison.size_bytes,
        )

    def _faults(
        self,
        project_id: str,
        plan: TranscriptPlan,
        located: Located,
        comparison: _Comparison,
    ) -> tuple[Note, ...]:
        if located.state == "unreadable":
            text = f"the transcript {plan.uuid} could not be compared: {located.detail}"
            return (note("transcript-unreadable", project_id, text),)
        if not located.bucket:
            return ()

        source_path = os.path.join(self._buckets.path, located.bucket)
        path = os.path.join(self._buckets.path, f"{plan.uuid}.jsonl")
        try:
            bucket = self._buckets.destination_of(plan)
            path = os.path.join(self._buckets.path, bucket, f"{plan.uuid}.jsonl")
            with Directory.open(source_path) as source:
                try:
                    with (
                        Directory.open(self._buckets.path) as buckets,
                        buckets.enter(bucket) as destination,
                    ):
                        comparison.compare(source, destination, plan.uuid)
                except FileNotFoundError:
                    text = f"the transcript {quote(path)} is missing"
                    return (note("copy-missing", project_id, text, source_path),)
        except OSError as error:
            problem = f"could not be compared: {reason(error)}"
            text = f"the transcript {quote(path)} {problem}"
            return (note("transcript-unreadable", project_id, text, source_path),)

        if not comparison.differing.count:
            return ()
        text = f"does not begin with what its source holds: {comparison.differing}"
        return (note("transcript-differs", project_id, text, source_path),)


class _Comparison:
    """Compares what a walk over the source comes upon with what is in the copy."""

    def __init__(self, count: Callable[[int], None], check: Callable[[], None]) -> None:
        self._count, self._check = count, check
        self._copies: list[
            Directory | None
        ] = []  # None: the copy has none of that name
        self.differing = Names()
        self.size_bytes = 0

    def compare(self, source: Directory, destination: Directory, uuid: str) -> None:
        """Compare a transcript and what is beside it; what was left out is no difference.

        :raises OSError: one of them could not be read.
        """
        self._compare_file(source, destination, f"{uuid}.jsonl", follow=True)
        if source.kind(uuid) != stat.S_IFDIR:
            return

        self._copies = [destination]
        try:
            with source.enter(uuid) as sidecar:
                self.enter(uuid)
                walk(sidecar, self)
                self.leave()
        finally:
            for copy in self._copies[1:]:
                if copy is not None:
                    copy.close()

    def file(self, parent: Directory, entry: os.DirEntry[str]) -> None:
        copy = self._copies[-1]
        if copy is None:
            return
        if copy.is_file(entry.name):
            self._compare_file(parent, copy, entry.name, follow=False)
        else:
            self.differing.add(os.path.join(copy.path, entry.name))

    def enter(self, name: str) -> None:
        parent = self._copies[-1]
        if parent is not None and parent.kind(name) == stat.S_IFDIR:
            self._copies.append(parent.enter(name))
            return

        self._copies.append(None)
        if parent is not None:
            self.differing.add(os.path.join(parent.path, name))

    def leave(self) -> None:
        copy = self._copies.pop()
        if copy is not None:
            copy.close()

    def pass_over(self, parent: Directory, entry: os.DirEntry[str]) -> None:
        pass  # it was left out, with a note

    def _compare_file(
        self, source: Directory, copy: Directory, name: str, *, follow: bool
    ) -> None:
        with (
            copy.reading(name, follow=False) as (new, _),
            source.reading(name, follow=follow) as (old, _),
        ):
            if not begins_with(new, old, self._advance):
                self.differing.add(os.path.join(copy.path, name))

    def _advance(self, size_bytes: int) -> None:
        self._check()
        self._count(size_bytes)
        self.size_bytes += size_bytes
