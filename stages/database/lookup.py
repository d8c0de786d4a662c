"""What the database already has of some planned rows: a few statements for a batch."""

from __future__ import annotations

__all__ = ("ExistingSession", "Lookup", "look_up")

from collections.abc import Iterable

import aiosqlite
import msgspec


class ExistingSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that the database already has."""

    project_id: str
    harness: str
    agent_session_id: str


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """What the database already has of some planned rows."""

    project_ids: frozenset[str]
    id_by_path: dict[str, str]  # of unarchived projects
    sessions: dict[str, ExistingSession]  # by id
    numbered: frozenset[str]  # projects that have a session number 0


async def look_up(
    connection: aiosqlite.Connection | None,
    project_ids: Iterable[str],
    paths: Iterable[str],
    session_ids: Iterable[str],
) -> Lookup:
    """Ask in four statements what the database, if there is one, has of some rows."""
    if connection is None:
        return Lookup(
            project_ids=frozenset(), id_by_path={}, sessions={}, numbered=frozenset()
        )

    ids = _json(project_ids)
    projects = await connection.execute_fetchall(
        "SELECT id FROM projects WHERE id IN (SELECT value FROM json_each(?))", (ids,)
    )
    by_path = await connection.execute_fetchall(
        "SELECT path, id FROM projects WHERE archived_at IS NULL"
        " AND path IN (SELECT value FROM json_each(?)) ORDER BY id DESC",
        (_json(paths),),
    )
    sessions = await connection.execute_fetchall(
        "SELECT id, project_id, harness, agent_session_id FROM sessions"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (_json(session_ids),),
    )
    numbered = await connection.execute_fetchall(
        "SELECT project_id FROM sessions"
        " WHERE num = 0 AND project_id IN (SELECT value FROM json_each(?))",
        (ids,),
    )

    return Lookup(
        project_ids=frozenset(row[0] for row in projects),
        id_by_path={row[0]: row[1] for row in by_path},
        sessions={
            row[0]: ExistingSession(
                project_id=row[1], harness=row[2], agent_session_id=row[3]
            )
            for row in sessions
        },
        numbered=frozenset(row[0] for row in numbered),
    )


def _json(values: Iterable[str]) -> str:
    return msgspec.json.encode(tuple(values)).decode()
