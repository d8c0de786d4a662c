"""Relocate: the transcripts of imported sessions are copied to their new buckets (T1 to T6)."""

from __future__ import annotations

__all__ = ("run",)

import asyncio
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec
from anyio.abc import ObjectSendStream

from stages.errors import WriteFailed
from stages.floor.buckets import Buckets
from stages.floor.directories import Directory, LinkRefused
from stages.floor.files import flush_directory, reason
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
from stages.notes import note
from stages.relocate.copying import (
    DIRECTORY_MODE,
    Copied,
    copy_transcript,
    discard_leftovers,
    measure,
)

PROJECTS_PER_LOOK = 64  # one crossing to a thread costs as much as several looks
COPIES_AHEAD = 16  # for each copier, so that none idles behind a long transcript


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


async def run(
    receive: BatchReceiveStream[WrittenProject],
    send: ObjectSendStream[RelocatedProject],
    *,
    buckets: Buckets,
    is_dry_run: bool,
    count: Callable[[int], None],
    workers: Workers,
    looking: Workers,
) -> None:
    """Send one relocated project for each written one, once its transcript is on disk.

    `count` gets the bytes of each piece that
    was copied, in a thread. A dry run looks for the same and copies nothing. `workers`
    copy; where the transcripts are is found out by those for `looking`.

    :raises WriteFailed: the names of new buckets could not be brought to the disk.
    """
    relocator = _Relocator(
        buckets, is_dry_run, count, copying=workers.check, looking=looking.check
    )
    copies: deque[tuple[WrittenProject, asyncio.Future[_Result]]] = deque()

    async def finish(most: int) -> None:
        """Send what is done, and wait until no more than so many are under way."""
        while copies and (copies[0][1].done() or len(copies) > most):
            project, copy = copies.popleft()
            await send.send(relocator.finished(project, await copy))

    async with receive, send:
        while batch := await receive_batch(receive, PROJECTS_PER_LOOK):
            looks = await looking.submit(relocator.look, batch)
            for project, look in zip(batch, looks, strict=True):
                if isinstance(look, _Copy):
                    copies.append((project, workers.submit(relocator.copy, look)))
                    await finish(COPIES_AHEAD * workers.count)
                else:
                    await send.send(relocator.finished(project, look))
        await finish(0)

        if relocator.has_copied and not is_dry_run:
            try:
                await workers.submit(flush_directory, buckets.path)
            except OSError as error:
                raise WriteFailed(Path(buckets.path), reason(error)) from error


class _Relocator:
    """Does one transcript after the other, in several threads at once."""

    def __init__(
        self,
        buckets: Buckets,
        is_dry_run: bool,
        count: Callable[[int], None],
        *,
        copying: Callable[[], None],
        looking: Callable[[], None],
    ) -> None:
        self._buckets, self._path = buckets, buckets.path
        self._is_dry_run = is_dry_run
        self._count = count
        # Each of the two that do the work has to see for itself that it goes on.
        self._check_copying, self._check_looking = copying, looking
        # Two sessions of a store can name one transcript and one bucket: `a.b` and `a-b`
        # have the same slug. One copy at a time has the working name.
        self._locks: WeakValueDictionary[tuple[str, str], threading.Lock] = (
            WeakValueDictionary()
        )
        self._locks_lock = threading.Lock()
        self.has_copied = False

    def finished(
        self, project: WrittenProject, result: _Result | None
    ) -> RelocatedProject:
        # Also where the bucket was there: the run that made it may have been killed.
        self.has_copied = self.has_copied or (
            result is not None and result.outcome == "relocated"
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

    def look(self, projects: list[WrittenProject]) -> list[_Result | _Copy | None]:
        """Say of each project what is to be copied, or what came of it without. Blocks."""
        return [
            self._look(project.id, project.transcript) if project.transcript else None
            for project in projects
        ]

    def _look(self, project_id: str, plan: TranscriptPlan) -> _Result | _Copy:
        self._check_looking()
        if not plan.uuid and plan.located is None:
            return _Result(outcome="missing")

        file = f"{plan.uuid}.jsonl"
        try:
            destination = self._buckets.bucket_of(plan.new_worktree, file)
            assert destination is not None, "the data dir is absolute"
            if plan.uuid:
                with self._alone(destination, plan.uuid):
                    is_present = self._is_present(destination, plan.uuid)
                if is_present:
                    return _Result(outcome="present")
        except OSError as error:
            return _not_copied(project_id, plan.uuid, None, error)

        return _what_to_do(
            project_id, plan, plan.located or self._buckets.find(plan), destination
        )

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

    def copy(self, copy: _Copy) -> _Result:
        """Bring a transcript from one bucket to another. Blocks."""
        try:
            with Directory.open(os.path.join(self._path, copy.source)) as source:
                if self._is_dry_run:
                    copied = measure(source, copy.uuid)
                else:
                    with self._alone(copy.destination, copy.uuid):
                        copied = self._copy_to(source, copy.destination, copy.uuid)
        except FileExistsError:
            return _Result(outcome="present")
        except OSError as error:
            source_path = os.path.join(self._path, copy.source)
            return _not_copied(copy.project_id, copy.uuid, source_path, error)

        return _Result(
            outcome="relocated",
            size_bytes=copied.size_bytes,
            notes=copy.notes + _left_out(copy.project_id, copied),
        )

    def _alone(self, destination_name: str, uuid: str) -> threading.Lock:
        key = (destination_name.casefold(), uuid.casefold())
        with self._locks_lock:
            return self._locks.setdefault(key, threading.Lock())

    def _copy_to(self, source: Directory, destination_name: str, uuid: str) -> Copied:
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


def _what_to_do(
    project_id: str, plan: TranscriptPlan, located: Located, destination: str
) -> _Result | _Copy:
    """Return the copy that is due, or why there is none."""
    if located.state == "unreadable":
        text = f"transcript {plan.uuid} could not be looked for: {located.detail}"
        return _failed(project_id, text, None)
    if located.state == "ambiguous":
        text = (
            f"transcript {plan.uuid} differs between several buckets, none was taken: "
        )
        found = note("transcript-ambiguous", project_id, text + located.detail)
        return _Result(outcome="missing", notes=(found,))
    if not located.bucket:
        text = f"transcript {plan.uuid} is nowhere to be found"
        missing = note("transcript-missing", project_id, text)
        return _Result(outcome="missing", notes=(missing,) if plan.uuid else ())

    text = f"transcript {plan.uuid} was taken from the bucket {quote(located.bucket)}"
    moved = note("transcript-moved", project_id, text)
    return _Copy(
        project_id=project_id,
        uuid=plan.uuid,
        source=located.bucket,
        destination=destination,
        notes=(moved,) if located.state == "moved" else (),
    )


def _left_out(project_id: str, copied: Copied) -> tuple[Note, ...]:
    if not copied.left_out:
        return ()

    text = f"links and special files beside the transcript were left out: {listing(copied.left_out)}"
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
