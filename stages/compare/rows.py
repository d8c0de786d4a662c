"""The rows of what was planned against those of the new store."""

from __future__ import annotations

__all__ = ("Rows", "compare_rows", "read_rows")

from collections.abc import Iterable

import aiosqlite
import msgspec

from stages.database.lookup import Lookup, look_up
from stages.floor.json_text import decode_object
from stages.floor.text import quote
from stages.messages import (
    Checked,
    Note,
    PlannedProject,
    ProjectRow,
    SessionRow,
    WrittenProject,
)
from stages.notes import KINDS, note

_PROJECT_COLUMNS = (
    "path",
    "repo_origin_url",
    "display_name",
    "registered_at",
    "config",
)
_SESSION_COLUMNS = (
    "harness",
    "activity_state",
    "activity_last_at",
    "branch",
    "workspace_path",
    "agent_session_id",
    "prompt",
    "created_at",
    "updated_at",
    "display_name",
    "is_terminated",
)
# Notes on an orchestrator that has ended, or is of no use, on the legacy side.
_ENDED = frozenset({"terminal", "not-importable"})

Rows = dict[str, dict[str, object]]


async def read_rows(
    batch: list[PlannedProject], connection: aiosqlite.Connection | None
) -> tuple[Lookup, Rows, Rows]:
    """Return what the database has of these projects, and their rows by id."""
    sessions = [planned.session.id for planned in batch if planned.session]
    ids = [planned.project.id for planned in batch]

    return (
        await look_up(connection, ids, sessions),
        await _rows(connection, "projects", _PROJECT_COLUMNS, ids),
        await _rows(connection, "sessions", _SESSION_COLUMNS, sessions),
    )


async def _rows(
    connection: aiosqlite.Connection | None,
    table: str,
    columns: tuple[str, ...],
    ids: Iterable[str],
) -> Rows:
    if connection is None:
        return {}

    # The names of table and columns are constants of ours; the ids are bound.
    rows = await connection.execute_fetchall(
        f"SELECT id, {', '.join(columns)} FROM {table}"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(tuple(ids)).decode(),),
    )
    return {row[0]: dict(zip(columns, tuple(row)[1:], strict=True)) for row in rows}


def compare_rows(
    planned: PlannedProject,
    decided: WrittenProject,
    lookup: Lookup,
    projects: Rows,
    sessions: Rows,
) -> Checked:
    """Return how the rows compare; `decided` is what an import would do (P4, P5, L8)."""
    faults: list[Note] = []
    changed: list[Note] = []
    row, session = planned.project, planned.session
    orchestrator = decided.orchestrator
    if decided.project == "present":
        changed += _differences(row.id, "project", row, projects[row.id])
    elif decided.project == "imported":
        faults.append(note("project-missing", row.id, "its row is missing"))
    if session is not None and orchestrator == "present":
        changed += _compare_session(session, sessions[session.id])
    elif session is not None and orchestrator == "imported":
        text = f"the session {quote(session.id)} is missing"
        faults.append(note("session-missing", row.id, text))
    elif session is None and row.id in lookup.numbered:
        # The legacy application has ended it since; what was imported before is there.
        orchestrator = "present"

    return Checked(
        id=row.id,
        project=decided.project,
        orchestrator=orchestrator,
        faults=tuple(faults),
        changed=tuple(changed),
        not_there=_not_there(planned, decided, has_session=orchestrator == "present"),
        worktrees=tuple(
            each for each in planned.session_notes if each.kind == "worktree-stays"
        ),
        transcript_bytes=0,
        sessions_read=planned.sessions_read,
    )


def _not_there(
    planned: PlannedProject, decided: WrittenProject, *, has_session: bool
) -> tuple[Note, ...]:
    """Return the notes on what is left behind, also those that an import gave before."""
    notes = (*planned.project_notes, *planned.session_notes, *decided.notes)

    return tuple(
        each
        for each in dict.fromkeys(notes)
        if (each.severity == "failed" or KINDS[each.kind].leaves_out)
        and not (has_session and each.kind in _ENDED)
    )


def _compare_session(session: SessionRow, found: dict[str, object]) -> list[Note]:
    columns = {name: value for name, value in found.items() if name != "is_terminated"}
    changed = _differences(session.project_id, "session", session, columns)
    if not found["is_terminated"]:
        return changed

    text = f"the new application has ended its orchestrator {quote(session.id)}"
    return [note("session-ended", session.project_id, text), *changed]


def _differences(
    project_id: str, what: str, row: ProjectRow | SessionRow, found: dict[str, object]
) -> list[Note]:
    columns = [
        column
        for column, value in found.items()
        if not _is_equal(column, getattr(row, column), value)
    ]
    if not columns:
        return []

    text = f"its {what}'s row has changed since: {', '.join(columns)}"
    return [note(f"{what}-changed", project_id, text)]


def _is_equal(column: str, planned: object, found: object) -> bool:
    if column == "registered_at" and planned is None:  # it was the time of the import
        return True
    if column == "config" and isinstance(planned, str) and isinstance(found, str):
        return decode_object(planned) == decode_object(found)

    return planned == found
