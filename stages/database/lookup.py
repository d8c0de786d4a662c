"""What the database already has of some planned rows: a few statements for a batch."""

from __future__ import annotations

__all__ = ("ExistingSession", "Lookup", "find_owners", "look_up")

from collections.abc import Iterable

import aiosqlite
import msgspec

from stages.floor.buckets import Resolver
from stages.floor.workers import Workers


class ExistingSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that the database already has."""

    project_id: str
    harness: str
    agent_session_id: str


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """What the database already has of some planned rows."""

    project_ids: frozenset[str]
    sessions: dict[str, ExistingSession]  # by id
    numbered: frozenset[str]  # projects that have a session number 0
    live: dict[str, str]  # the live orchestrator of each project that has one


async def find_owners(
    workers: Workers, connection: aiosqlite.Connection | None
) -> dict[str, str]:
    """Return the id of the unarchived project of each resolved path (rule P5).

    :raises sqlite3.Error: the database cannot be read.
    """
    if connection is None:
        return {}

    rows = await connection.execute_fetchall(
        "SELECT path, id FROM projects WHERE archived_at IS NULL ORDER BY id DESC"
    )
    return await workers.submit(_by_real_path, [(row[0], row[1]) for row in rows])


def _by_real_path(rows: list[tuple[str, str]]) -> dict[str, str]:
    resolve = Resolver().resolve

    return {resolve(path): project_id for path, project_id in rows}


async def look_up(
    connection: aiosqlite.Connection | None,
    project_ids: Iterable[str],
    session_ids: Iterable[str],
) -> Lookup:
    """Ask in four statements what the database, if there is one, has of some rows."""
    if connection is None:
        return Lookup(
            project_ids=frozenset(), sessions={}, numbered=frozenset(), live={}
        )

    ids = _json(project_ids)
    projects = await connection.execute_fetchall(
        "SELECT id FROM projects WHERE id IN (SELECT value FROM json_each(?))", (ids,)
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
    live = await connection.execute_fetchall(
        "SELECT project_id, id FROM sessions WHERE kind = 'orchestrator'"
        " AND NOT is_terminated AND project_id IN (SELECT value FROM json_each(?))"
        " ORDER BY id DESC",
        (ids,),
    )

    return Lookup(
        project_ids=frozenset(row[0] for row in projects),
        sessions={
            row[0]: ExistingSession(
                project_id=row[1], harness=row[2], agent_session_id=row[3]
            )
            for row in sessions
        },
        numbered=frozenset(row[0] for row in numbered),
        live={row[0]: row[1] for row in live},
    )


def _json(values: Iterable[str]) -> str:
    return msgspec.json.encode(tuple(values)).decode()
