"""Map: a legacy project becomes the rows that the new store holds (rules P1 to L8)."""

from __future__ import annotations

__all__ = ("map_project", "run")

import os

from anyio.abc import ObjectReceiveStream, ObjectSendStream

from stages.floor.text import listing
from stages.map.project import map_project_row
from stages.map.session import map_session_row, map_transcript, why_not_importable
from stages.messages import (
    LegacyProject,
    Note,
    Orchestrator,
    PlannedProject,
    SessionRow,
    TranscriptPlan,
)
from stages.notes import note


async def run(
    receive: ObjectReceiveStream[LegacyProject],
    send: ObjectSendStream[PlannedProject],
    *,
    worktrees: str,
) -> None:
    """Send one planned project for each legacy one.

    `worktrees` is the directory of the new application's worktrees.
    """
    async with receive, send:
        async for legacy in receive:
            await send.send(map_project(legacy, worktrees))


def map_project(legacy: LegacyProject, worktrees: str) -> PlannedProject:
    """Return the rows of a project, and the notes that go with each of them."""
    project, project_notes = map_project_row(legacy.entry)
    record_notes = list(legacy.notes)
    session_notes: list[Note] = []
    session: SessionRow | None = None
    transcript: TranscriptPlan | None = None
    orchestrator = legacy.orchestrator
    if orchestrator is not None:
        refusal = why_not_importable(legacy.entry.id, orchestrator)
        if refusal is not None:
            record_notes.append(refusal)
        else:
            session, session_notes = map_session_row(legacy.entry, orchestrator)
            new_worktree = os.path.join(
                worktrees, legacy.entry.id, "orchestrator", session.id
            )
            transcript = map_transcript(legacy.entry, orchestrator, new_worktree)
            session_notes += _also_live(legacy, orchestrator)

    return PlannedProject(
        project=project,
        session=session,
        transcript=transcript,
        worktrees=orchestrator.worktrees if orchestrator and session else (),
        legacy_branch=orchestrator.branch if orchestrator else "",
        orchestrator=(
            "absent"
            if orchestrator is None
            else "skipped"
            if session is None
            else "planned"
        ),
        project_notes=(*legacy.entry.notes, *project_notes),
        session_notes=tuple(session_notes),
        record_notes=tuple(record_notes),
        sessions_read=legacy.sessions_read,
        files_skipped=legacy.files_skipped,
    )


def _also_live(legacy: LegacyProject, orchestrator: Orchestrator) -> list[Note]:
    if not legacy.also_live_count:
        return []

    names = listing(legacy.also_live, legacy.also_live_count)
    return [
        note(
            "several-orchestrators",
            legacy.entry.id,
            f"other live orchestrators were left out: {names}",
            os.path.dirname(orchestrator.file),
        )
    ]
