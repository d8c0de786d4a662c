"""Map: a legacy project becomes the rows that the new store holds (rules P1 to L8)."""

from __future__ import annotations

__all__ = ("NewHome", "map_project", "run")

import os

from anyio.abc import ObjectReceiveStream, ObjectSendStream

from stages.floor.text import listing
from stages.map.project import map_project_row, note_unset_permissions
from stages.map.rivals import Rivals
from stages.map.session import (
    NewHome,
    map_managed,
    map_session_row,
    map_transcript,
    why_not_importable,
)
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
    home: NewHome,
) -> None:
    """Send one planned project for each legacy one; of rivals, the one that counts first.

    `home` is where the new application will keep their worktrees.
    """
    rivals = Rivals()
    async with receive, send:
        async for legacy in receive:
            planned = map_project(legacy, home)
            for each in rivals.add(planned, legacy.entry.rivals):
                await send.send(each)


def map_project(legacy: LegacyProject, home: NewHome) -> PlannedProject:
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
            managed = map_managed(legacy.entry, home)
            session, session_notes = map_session_row(
                legacy.entry, orchestrator, managed
            )
            transcript = map_transcript(legacy.entry, orchestrator, managed.worktree)
            session_notes += _also_live(legacy, orchestrator)

    # An entry of the first generation that nothing runs for is no news to anybody.
    if session is not None or not legacy.entry.behaviour.is_inline:
        project_notes += note_unset_permissions(legacy.entry)

    return PlannedProject(
        project=project,
        real_path=legacy.entry.real_path,
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
