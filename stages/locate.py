"""Locate: whose conversation goes with a session, and where it is (rules T1, T3, L9)."""

from __future__ import annotations

__all__ = ("locate_project", "run")

import os
import stat
from collections.abc import Sequence

import msgspec
from anyio.abc import ObjectSendStream
from msgspec.structs import replace

from stages.floor.buckets import Buckets, is_uuid, unreadable
from stages.floor.hops import run_in_hops
from stages.floor.streams import BatchReceiveStream, receive_batch
from stages.floor.text import quote
from stages.floor.workers import Workers
from stages.messages import Located, Note, PlannedProject, TranscriptPlan
from stages.notes import note


class _Newest(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """The newest transcript of some buckets; the order is that of its fields."""

    modified_nanoseconds: int
    uuid: str
    bucket: str


async def run(
    receive: BatchReceiveStream[PlannedProject],
    send: ObjectSendStream[PlannedProject],
    *,
    buckets: Buckets,
    workers: Workers,
) -> None:
    """Send each planned project on, its transcript located, in the order of arrival."""

    async def take(most: int) -> list[PlannedProject]:
        return await receive_batch(receive, most)

    def locate(projects: Sequence[PlannedProject]) -> list[PlannedProject]:
        return [locate_project(planned, buckets) for planned in projects]

    async def give(projects: list[PlannedProject]) -> None:
        for planned in projects:
            await send.send(planned)

    async with receive, send:
        await run_in_hops(take, locate, give, workers)


def locate_project(planned: PlannedProject, buckets: Buckets) -> PlannedProject:
    """Return the project with its transcript located, and what there is to say. Blocks.

    Where the record names none, or one that is nowhere, the newest transcript of its
    worktree's bucket is taken, and the session's row names that one (rule T3).
    """
    session, plan = planned.session, planned.transcript
    if session is None:
        return planned

    notes = [*planned.session_notes, *_worktree_that_stays(planned)]
    if plan is not None:
        recorded = plan.uuid
        plan = _locate(plan, buckets)
        session = replace(session, agent_session_id=plan.uuid)
        if not plan.uuid:
            notes.append(_no_history(session.project_id))
        elif plan.uuid != recorded:
            notes.append(_transcript_found(session.project_id, recorded, plan.uuid))

    return replace(
        planned, session=session, transcript=plan, session_notes=tuple(notes)
    )


def _locate(plan: TranscriptPlan, buckets: Buckets) -> TranscriptPlan:
    located = buckets.find(plan) if plan.uuid else Located(state="nowhere")
    if located.state != "nowhere":
        return replace(plan, located=located)

    try:
        newest = _find_newest(plan, buckets)
    except OSError as error:
        located, newest = unreadable(error, buckets.path), None
    if newest is None:
        return replace(plan, is_found=True, located=located)

    located = Located(state="found", bucket=newest.bucket)
    return replace(plan, uuid=newest.uuid, is_found=True, located=located)


def _find_newest(plan: TranscriptPlan, buckets: Buckets) -> _Newest | None:
    """Return the newest transcript of a session's buckets, but never one of the user's.

    :raises OSError: a bucket is there and cannot be read.
    """
    of_the_user = buckets.bucket_of(plan.project_path)
    newest: list[_Newest] = []
    for directory in plan.worktrees:
        bucket = buckets.bucket_of(directory)
        if bucket in (None, of_the_user) or _is_own_checkout(directory):
            continue
        newest += _newest_of(buckets.path, bucket)

    return max(newest, default=None)


def _newest_of(buckets: str, bucket: str) -> list[_Newest]:
    """Return the newest transcript of a bucket, if it has any."""
    newest: _Newest | None = None
    try:
        entries = os.scandir(os.path.join(buckets, bucket))
    except (FileNotFoundError, NotADirectoryError):
        return []

    with entries:
        for entry in entries:
            uuid, ending = os.path.splitext(entry.name)
            if ending != ".jsonl" or not is_uuid(uuid) or not entry.is_file():
                continue
            candidate = _Newest(
                modified_nanoseconds=entry.stat().st_mtime_ns, uuid=uuid, bucket=bucket
            )
            newest = max(newest or candidate, candidate)

    return [newest] if newest else []


def _is_own_checkout(directory: str) -> bool:
    """Whether a directory is a repository by itself, and no worktree of another.

    One that may not be looked into counts as one: its transcripts can be anybody's.
    """
    try:
        return stat.S_ISDIR(os.stat(os.path.join(directory, ".git")).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _worktree_that_stays(planned: PlannedProject) -> list[Note]:
    """Return the note on a legacy worktree that still exists (rule L9)."""
    for directory in planned.worktrees:
        if os.path.isabs(directory) and os.path.isdir(directory):
            branch = planned.legacy_branch
            of_branch = f" (branch {quote(branch)})" if branch else ""
            text = (
                f"the legacy worktree {quote(directory)}{of_branch} stays where it is, "
                "and so does what is not committed there"
            )
            return [note("worktree-stays", planned.project.id, text, directory)]

    return []


def _transcript_found(project_id: str, recorded: str, uuid: str) -> Note:
    why = (
        f"the recorded transcript {recorded} is nowhere"
        if recorded
        else "the record names no transcript"
    )
    text = f"{why}; the newest of its bucket, {uuid}, was taken"

    return note("transcript-found", project_id, text)


def _no_history(project_id: str) -> Note:
    text = (
        "the record names no transcript and its worktree has none; the orchestrator "
        "starts without its history"
    )

    return note("no-history", project_id, text)
