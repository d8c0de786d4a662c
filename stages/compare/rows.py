"""The rows of what was planned against those of the new store."""

from __future__ import annotations

__all__ = ("RowComparer", "read_rows")

from collections.abc import Iterable, Mapping

import aiosqlite
import msgspec

from stages.database.lookup import Lookup, look_up
from stages.floor.buckets import is_uuid
from stages.floor.json_text import decode_object
from stages.floor.text import quote
from stages.messages import (
    Checked,
    Note,
    PlannedProject,
    ProjectRow,
    SessionRow,
    TranscriptPlan,
)
from stages.notes import note

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
)

_Rows = dict[str, dict[str, object]]


async def read_rows(
    batch: list[PlannedProject], connection: aiosqlite.Connection | None
) -> tuple[Lookup, _Rows, _Rows]:
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
) -> _Rows:
    if connection is None:
        return {}

    # The names of table and columns are constants of ours; the ids are bound.
    rows = await connection.execute_fetchall(
        f"SELECT id, {', '.join(columns)} FROM {table}"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(tuple(ids)).decode(),),
    )
    return {row[0]: dict(zip(columns, tuple(row)[1:], strict=True)) for row in rows}


class RowComparer:
    """Compares row by row; what it has seen of a run's paths it keeps."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        self._id_by_path = dict(owners)

    def compare(
        self, planned: PlannedProject, lookup: Lookup, projects: _Rows, sessions: _Rows
    ) -> tuple[Checked, TranscriptPlan | None]:
        """Compare the rows; the plan is that of the transcript to compare next."""
        faults: list[Note] = []
        changed: list[Note] = []
        transcript: TranscriptPlan | None = None
        row, session = planned.project, planned.session
        if row.id in lookup.project_ids:
            changed += _differences(row.id, "project", row, projects[row.id])
        else:
            owner = self._id_by_path.setdefault(planned.real_path, row.id)
            if owner != row.id:  # left out by rule P5
                return Checked(
                    id=row.id, faults=(), changed=(), transcript_bytes=0
                ), None
            faults.append(note("project-missing", row.id, "its row is missing"))

        if session is not None:
            existing = lookup.sessions.get(session.id)
            if existing is not None and existing.project_id == row.id:
                found = sessions[session.id]
                changed += _differences(row.id, "session", session, found)
                transcript = _plan_of(planned.transcript, found)
            elif existing is not None:
                text = (
                    f"the session {quote(session.id)} is missing; the one of that name "
                    f"belongs to {quote(existing.project_id)}"
                )
                faults.append(note("session-missing", row.id, text))
            elif row.id not in lookup.numbered and row.id not in lookup.live:  # else L8
                text = f"the session {quote(session.id)} is missing"
                faults.append(note("session-missing", row.id, text))

        checked = Checked(
            id=row.id, faults=tuple(faults), changed=tuple(changed), transcript_bytes=0
        )
        return checked, transcript


def _plan_of(
    plan: TranscriptPlan | None, found: dict[str, object]
) -> TranscriptPlan | None:
    if plan is None or not plan.is_found:
        return plan

    uuid = found["agent_session_id"]
    if not isinstance(uuid, str) or not is_uuid(uuid):
        return None

    return (
        plan
        if uuid == plan.uuid
        else msgspec.structs.replace(plan, uuid=uuid, located=None)
    )


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
