"""Relocate: the transcripts of imported sessions are copied to their new buckets (T1 to T6)."""

from __future__ import annotations

__all__ = ("run",)

import asyncio
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
from anyio.abc import ObjectSendStream

from stages.errors import WriteFailed
from stages.floor.buckets import Buckets
from stages.floor.directories import Directory, LinkRefused
from stages.floor.files import flush_directory, reason
from stages.floor.hops import InOrder
from stages.floor.streams import BatchReceiveStream, receive_batch
from stages.floor.text import listing, plain, quote
from stages.floor.workers import Workers
from stages.messages import (
    Located,
    Note,
    RelocatedProject,
    TranscriptOutcome,
    TranscriptPlan,
    WrittenProject,
)
from stages.notes import note, transcript_lost
from stages.relocate.copying import DIRECTORY_MODE, Survey, copy_transcript, survey
from stages.relocate.working import discard_leftovers

PROJECTS_PER_HOP = 64  # a hop to a thread costs as much as preparing several
COPIES_AHEAD = 16  # for each copier, so that none idles behind a long transcript


_UnderWay = dict[tuple[str, str], asyncio.Future[RelocatedProject]]


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one transcript."""

    outcome: TranscriptOutcome
    size_bytes: int = 0
    notes: tuple[Note, ...] = ()


class _Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A transcript that is to be copied."""

    project_id: str
    uuid: str
    source: str  # the names of the buckets that it comes from and goes to
    destination: str
    notes: tuple[Note, ...] = ()  # given if it is copied

    @property
    def place(self) -> tuple[str, str]:
        """Where it goes, the same for names that some file systems take for one."""
        return self.destination.casefold(), self.uuid.casefold()


async def run(
    receive: BatchReceiveStream[WrittenProject],
    send: ObjectSendStream[RelocatedProject],
    *,
    buckets: Buckets,
    is_dry_run: bool,
    count: Callable[[int], None],
    copiers: Workers,
    readers: Workers,
) -> None:
    """Send one relocated project for each written one, once its transcript is on disk.

    `count` gets the bytes of each piece that was copied, in a thread. A dry run prepares
    the same and copies nothing. `copiers` copy; `readers` find out what is to be copied.

    :raises WriteFailed: the names of new buckets could not be brought to the disk.
    """
    relocator = _Relocator(buckets, is_dry_run, count, copiers.check, readers.check)
    has_copied = False

    async def give(relocated: RelocatedProject) -> None:
        nonlocal has_copied
        # Also where the bucket was there: the run that made it may have been killed.
        has_copied = has_copied or relocated.transcript == "relocated"
        await send.send(relocated)

    copies = InOrder(COPIES_AHEAD * copiers.count, give)
    under_way: _UnderWay = {}
    async with receive, send:
        while batch := await receive_batch(receive, PROJECTS_PER_HOP):
            prepared = await readers.submit(relocator.prepare, batch)
            for project, due in zip(batch, prepared, strict=True):
                if not isinstance(due, _Copy):
                    await give(_relocated(project, due))
                    continue
                # Two sessions can name one transcript and one bucket: `a_b` and `a-b`
                # have the same slug. The second then finds what the first has copied.
                if due.place in under_way:
                    await asyncio.wait([under_way[due.place]])
                copy = copiers.submit(relocator.copy, project, due)
                under_way[due.place] = copy
                copy.add_done_callback(partial(_forget, under_way, due.place))
                await copies.add(copy)
        await copies.finish()

        if has_copied and not is_dry_run:
            try:
                await copiers.submit(flush_directory, buckets.path)
            except OSError as error:
                raise WriteFailed(Path(buckets.path), reason(error)) from error


def _forget(under_way: _UnderWay, place: tuple[str, str], _: object) -> None:
    del under_way[place]


def _relocated(project: WrittenProject, result: _Result | None) -> RelocatedProject:
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


class _Relocator:
    """Does one transcript after the other, in several threads at once."""

    def __init__(
        self,
        buckets: Buckets,
        is_dry_run: bool,
        count: Callable[[int], None],
        check_copying: Callable[[], None],
        check_preparing: Callable[[], None],
    ) -> None:
        self._buckets, self._path = buckets, buckets.path
        self._is_dry_run = is_dry_run
        self._count = count
        # Each of the two that do the work has to see for itself that it goes on.
        self._check_copying, self._check_preparing = check_copying, check_preparing

    def prepare(self, projects: list[WrittenProject]) -> list[_Result | _Copy | None]:
        """Say of each project what is to be copied, or what came of it without. Blocks."""
        return [
            self._prepare(project.id, project.transcript)
            if project.transcript
            else None
            for project in projects
        ]

    def _prepare(self, project_id: str, plan: TranscriptPlan) -> _Result | _Copy:
        self._check_preparing()
        try:
            destination = self._buckets.destination_of(plan)
            if plan.uuid and self._is_present(destination, plan.uuid):
                return _Result(outcome="present")
        except OSError as error:
            return _not_copied(project_id, plan.uuid, None, error)

        located = plan.located or self._buckets.find(plan)
        return _copy_due(project_id, plan, located, destination)

    def _is_present(self, destination_name: str, uuid: str) -> bool:
        """Whether the destination has it; what a killed run left there goes now."""
        # In a first run hardly one is there, and this is the quickest way to see that.
        if not os.path.lexists(os.path.join(self._path, destination_name)):
            return False

        try:
            with (
                Directory.open(self._path) as buckets,
                buckets.enter(destination_name) as destination,
            ):
                if not self._is_dry_run:
                    discard_leftovers(destination, uuid)
                kind = destination.kind(f"{uuid}.jsonl")
                for name in (f"{uuid}.jsonl", uuid):
                    if destination.kind(name) == stat.S_IFLNK:
                        path = os.path.join(destination.path, name)
                        problem = "a link stands in its place and is not followed"
                        raise LinkRefused(None, problem, path)
                if kind is not None and not self._is_dry_run:
                    # The run that published it may have been killed before it did this.
                    destination.flush()
        except FileNotFoundError:
            return False

        return kind is not None

    def copy(self, project: WrittenProject, due: _Copy) -> RelocatedProject:
        """Bring a transcript from one bucket to another. Blocks."""
        return _relocated(project, self._copy(due))

    def _copy(self, due: _Copy) -> _Result:
        source_path = os.path.join(self._path, due.source)
        try:
            with Directory.open(source_path) as source:
                copied = (
                    survey(source, due.uuid)
                    if self._is_dry_run
                    else self._copy_to(source, due.destination, due.uuid)
                )
        except FileExistsError:
            return _Result(outcome="present")
        except OSError as error:
            return _not_copied(due.project_id, due.uuid, source_path, error)

        return _Result(
            outcome="relocated",
            size_bytes=copied.size_bytes,
            notes=due.notes + _left_out(due.project_id, copied),
        )

    def _copy_to(self, source: Directory, destination_name: str, uuid: str) -> Survey:
        with Directory.open(self._path) as buckets:
            made_bucket = True
            try:
                destination = buckets.make(destination_name, DIRECTORY_MODE)
            except FileExistsError:
                made_bucket = False
                destination = buckets.enter(destination_name)
            try:
                with destination:
                    copied = copy_transcript(
                        source,
                        destination,
                        uuid,
                        check=self._check_copying,
                        count=self._count,
                    )
            except BaseException:
                if made_bucket:
                    buckets.discard_if_empty(destination_name)
                raise

        return copied


def _copy_due(
    project_id: str, plan: TranscriptPlan, located: Located, destination: str
) -> _Result | _Copy:
    """Return the copy that is due, or why there is none."""
    if located.state == "unreadable":
        which = f"transcript {plan.uuid}" if plan.uuid else "the transcript"
        text = f"{which} could not be looked for: {located.detail}"
        return _failed(project_id, text, None)
    if not located.bucket:
        lost = transcript_lost(project_id, plan.uuid, located)
        return _Result(outcome="missing", notes=(lost,) if lost else ())

    text = f"transcript {plan.uuid} was taken from the bucket {quote(located.bucket)}"
    moved = note("transcript-moved", project_id, text)
    return _Copy(
        project_id=project_id,
        uuid=plan.uuid,
        source=located.bucket,
        destination=destination,
        notes=(moved,) if located.state == "moved" else (),
    )


def _left_out(project_id: str, copied: Survey) -> tuple[Note, ...]:
    if not copied.left_out:
        return ()

    names = listing(copied.left_out, copied.left_out_count)
    text = (
        "links, special files and what is nested too deeply beside the transcript were "
        f"left out: {names}"
    )
    return (note("transcript-part", project_id, text, copied.left_out[0]),)


def _not_copied(
    project_id: str, uuid: str, source: str | None, error: OSError
) -> _Result:
    at = error.filename if os.path.isabs(str(error.filename)) else source
    where = f" ({plain(at)})" if at else ""
    text = f"transcript {uuid} could not be copied: {reason(error)}{where}"

    return _failed(project_id, text, source)


def _failed(project_id: str, text: str, source: str | None) -> _Result:
    failure = note("transcript-failed", project_id, text, source)

    return _Result(outcome="failed", notes=(failure,))
