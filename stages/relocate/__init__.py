"""Relocate: the transcripts of imported sessions are copied to their new buckets (T1 to T6)."""

from __future__ import annotations

__all__ = ("run",)

import asyncio
import os
import stat
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from stages.directories import Directory, LinkRefused
from stages.errors import WriteFailed
from stages.files import flush_directory, reason
from stages.messages import (
    Note,
    RelocatedProject,
    Severity,
    TranscriptOutcome,
    TranscriptPlan,
    WrittenProject,
)
from stages.relocate.copying import (
    DIRECTORY_MODE,
    Copied,
    copy_transcript,
    discard_leftovers,
    measure,
)
from stages.text import listing, plain, quote
from stages.transcripts import Located, locate, search
from stages.workers import Workers

COPIES_AHEAD = 16  # for each copier, so that none idles behind a long transcript


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one transcript."""

    outcome: TranscriptOutcome
    size_bytes: int = 0
    notes: tuple[Note, ...] = ()
    is_sought: bool = False  # it is not in its bucket; another may have it (rule T3)
    made_bucket: bool = False


async def run(
    receive: ObjectReceiveStream[WrittenProject],
    send: ObjectSendStream[RelocatedProject],
    *,
    buckets: str,
    is_dry_run: bool,
    count: Callable[[int], None],
    workers: Workers,
) -> None:
    """Send one relocated project for each written one, once its transcript is on disk.

    `buckets` is the directory of all buckets; `count` gets the bytes of each piece that
    was copied, in a thread. A dry run looks for the same and copies nothing.

    :raises WriteFailed: the names of new buckets could not be brought to the disk.
    """
    relocator = _Relocator(buckets, is_dry_run, count, workers)
    copies: deque[tuple[WrittenProject, asyncio.Future[_Result]]] = deque()
    sought: list[WrittenProject] = []

    async def finish() -> None:
        project, copy = copies.popleft()
        result = await copy
        if result.is_sought:
            sought.append(project)
        else:
            await send.send(relocator.finished(project, result))

    async with receive, send:
        async for project in receive:
            if project.transcript is None:
                await send.send(relocator.finished(project, None))
                continue
            copy = workers.submit(relocator.relocate, project.id, project.transcript)
            copies.append((project, copy))
            while copies[0][1].done() or len(copies) > COPIES_AHEAD * workers.count:
                await finish()
                if not copies:
                    break
        while copies:
            await finish()

        if sought:
            uuids = {
                project.transcript.uuid for project in sought if project.transcript
            }
            places, unreadable = await workers.submit(
                search, buckets, uuids, workers.check
            )
            for project in sought:
                copies.append(
                    (
                        project,
                        workers.submit(
                            relocator.relocate_found, project, places, unreadable
                        ),
                    )
                )
            while copies:
                await finish()

        if relocator.made_bucket:
            try:
                await workers.submit(flush_directory, buckets)
            except OSError as error:
                raise WriteFailed(Path(buckets), reason(error)) from error


class _Relocator:
    """Does one transcript after the other, in several threads at once."""

    def __init__(
        self,
        buckets: str,
        is_dry_run: bool,
        count: Callable[[int], None],
        workers: Workers,
    ) -> None:
        self._buckets, self._is_dry_run = buckets, is_dry_run
        self._count, self._check = count, workers.check
        self.made_bucket = False

    def finished(
        self, project: WrittenProject, result: _Result | None
    ) -> RelocatedProject:
        self.made_bucket = self.made_bucket or (
            result is not None and result.made_bucket
        )

        return RelocatedProject(
            id=project.id,
            project=project.project,
            orchestrator=project.orchestrator,
            transcript=result.outcome if result else None,
            transcript_bytes=result.size_bytes if result else 0,
            notes=project.notes + (result.notes if result else ()),
            sessions_read=project.sessions_read,
            files_skipped=project.files_skipped,
        )

    def relocate(self, project_id: str, plan: TranscriptPlan) -> _Result:
        """Bring a transcript from the bucket of its worktree. Blocks."""
        if plan.problem:
            return _failed(project_id, plan.problem, None)
        if not plan.uuid:
            return _Result(outcome="missing")

        located = locate(plan, self._buckets)
        source = located.source and os.path.join(self._buckets, located.source)
        try:
            if self._is_present(located, plan.uuid):
                return _Result(outcome="present")
            if source is None or not _has_transcript(source, plan.uuid):
                return _Result(outcome="missing", is_sought=True)
        except OSError as error:
            return _not_copied(project_id, plan.uuid, source, error)

        return self._copy(project_id, plan.uuid, source, located.destination, ())

    def relocate_found(
        self,
        project: WrittenProject,
        places: dict[str, list[str]],
        unreadable: Collection[str],
    ) -> _Result:
        """Bring a transcript from the only bucket that has it, if there is one (T3)."""
        plan = project.transcript
        assert plan is not None
        buckets = places[plan.uuid]
        if not buckets:
            if unreadable:
                problem = f"transcript {plan.uuid} was not found, but buckets could not be read: "
                return _failed(project.id, problem + listing(sorted(unreadable)), None)
            return _Result(outcome="missing")
        if len(buckets) > 1:
            text = f"transcript {plan.uuid} is in several buckets, none was taken: "
            note = _note(project.id, "transcript-ambiguous", text + listing(buckets))
            return _Result(outcome="missing", notes=(note,))

        source = os.path.join(self._buckets, buckets[0])
        text = f"transcript {plan.uuid} was taken from the bucket {quote(buckets[0])}"
        note = _note(project.id, "transcript-moved", text, source)
        destination = locate(plan, self._buckets).destination
        return self._copy(project.id, plan.uuid, source, destination, (note,))

    def _is_present(self, located: Located, uuid: str) -> bool:
        """Whether the destination has it; what a killed run left there goes now."""
        try:
            with (
                Directory.open(self._buckets) as buckets,
                buckets.enter(located.destination) as destination,
            ):
                if not self._is_dry_run:
                    discard_leftovers(destination, uuid)
                kind = destination.kind(f"{uuid}.jsonl")
                for name in (f"{uuid}.jsonl", uuid):
                    if destination.kind(name) == stat.S_IFLNK:
                        path = os.path.join(destination.path, name)
                        problem = "a link stands in its place and is not followed"
                        raise LinkRefused(None, problem, path)
        except FileNotFoundError:
            return False

        return kind is not None

    def _copy(
        self,
        project_id: str,
        uuid: str,
        source_path: str,
        destination_name: str,
        notes: tuple[Note, ...],
    ) -> _Result:
        made_bucket = False
        try:
            with Directory.open(source_path) as source:
                if self._is_dry_run:
                    copied = measure(source, uuid)
                else:
                    copied, made_bucket = self._copy_to(source, destination_name, uuid)
        except FileExistsError:
            return _Result(outcome="present")
        except OSError as error:
            return _not_copied(project_id, uuid, source_path, error)

        return _Result(
            outcome="relocated",
            size_bytes=copied.size_bytes,
            notes=notes + _left_out(project_id, copied),
            made_bucket=made_bucket,
        )

    def _copy_to(
        self, source: Directory, destination_name: str, uuid: str
    ) -> tuple[Copied, bool]:
        with Directory.open(self._buckets) as buckets:
            made_bucket = True
            try:
                destination = buckets.make(destination_name, DIRECTORY_MODE)
            except FileExistsError:
                made_bucket = False
                destination = buckets.enter(destination_name)
            try:
                with destination:
                    copied = copy_transcript(
                        source, destination, uuid, check=self._check, count=self._count
                    )
            except BaseException:
                if made_bucket:
                    buckets.discard_if_empty(destination_name)
                raise

        return copied, made_bucket


def _has_transcript(bucket: str, uuid: str) -> bool:
    """Whether a bucket has a transcript.

    :raises OSError: the bucket is there and cannot be looked into.
    """
    try:
        return stat.S_ISREG(os.stat(os.path.join(bucket, f"{uuid}.jsonl")).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _left_out(project_id: str, copied: Copied) -> tuple[Note, ...]:
    if not copied.left_out:
        return ()

    text = f"links and special files beside the transcript were left out: {listing(copied.left_out)}"
    return (_note(project_id, "transcript-part", text, copied.left_out[0]),)


def _not_copied(
    project_id: str, uuid: str, source: str | None, error: OSError
) -> _Result:
    at = error.filename if os.path.isabs(str(error.filename)) else source
    where = f" ({plain(at)})" if at else ""
    text = f"transcript {uuid} could not be copied: {reason(error)}{where}"

    return _failed(project_id, text, source)


def _failed(project_id: str, text: str, source: str | None) -> _Result:
    note = _note(project_id, "transcript-failed", text, source, severity="failed")

    return _Result(outcome="failed", notes=(note,))


def _note(
    project_id: str,
    kind: str,
    text: str,
    source: str | None = None,
    *,
    severity: Severity = "lossy",
) -> Note:
    return Note(
        project_id=project_id, kind=kind, severity=severity, text=text, source=source
    )
