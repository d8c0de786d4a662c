"""Write: planned projects become rows, a hundred to a transaction (P4, P5, L8)."""

from __future__ import annotations

__all__ = ("run",)

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import chain

import aiosqlite
from anyio.abc import ObjectSendStream

from stages.database.decision import Decider
from stages.database.lookup import Lookup, look_up
from stages.database.reading import Reader
from stages.database.writing import Writer
from stages.floor.streams import BatchReceiveStream, receive_batch
from stages.floor.times import to_stored
from stages.messages import PlannedProject, ProjectRow, SessionRow, WrittenProject

# Measured: 100 rows bring executemany close to its best, and make a commit that is
# flushed affordable on slow disks; more gain little.
PROJECTS_PER_TRANSACTION = 100
# Large projects come one by one. Measured: without this each has a transaction of its
# own, and a quarter of the run goes into those; a third of it still costs a twelfth of
# the run. It delays nothing but the first transcript: at the end nobody lingers.
LINGER_SECONDS = 0.1

# Each row of `executemany` lets go of the interpreter's lock, and whoever computes takes
# it: measured, a third of what 10,000 projects took. SQLite before 3.32 knows no more
# than 999 parameters to a statement, and a session has 13.
ROWS_PER_STATEMENT = 50

_INSERT_PROJECTS = """
INSERT INTO projects (id, path, repo_origin_url, display_name, registered_at, archived_at,
    config, kind)
VALUES
"""
_PROJECT_VALUES = "(?, ?, ?, ?, ?, NULL, ?, 'single_repo')"
_INSERT_SESSIONS = """
INSERT INTO sessions (id, project_id, num, issue_id, kind, harness, activity_state,
    activity_last_at, is_terminated, branch, workspace_path, runtime_handle_id,
    agent_session_id, prompt, created_at, updated_at, display_name, first_signal_at)
VALUES
"""
_SESSION_VALUES = (
    "(?, ?, 0, '', 'orchestrator', ?, ?, ?, 0, ?, ?, '', ?, ?, ?, ?, ?, ?)"
)


async def run(
    receive: BatchReceiveStream[PlannedProject],
    send: ObjectSendStream[WrittenProject],
    *,
    database: Writer | Reader | None,
    now: datetime,
    committed: Callable[[WrittenProject], None],
) -> None:
    """Insert the rows that are not there yet, and send what became of each project.

    A project and its session are in one transaction. A dry run decides the same and
    inserts nothing: it has a reader, or None where there is no database. `committed`
    gets each project at once when its rows are: what is sent may be lost on its way, if
    the run is interrupted.

    :raises WriteFailed: the database could not be written. What was sent is committed.
    """
    decider = Decider()
    async with receive, send:
        while batch := await receive_batch(
            receive, PROJECTS_PER_TRANSACTION, LINGER_SECONDS
        ):
            if isinstance(database, Writer):
                async with database.begin() as connection:
                    lookup = await _look_up(batch, connection)
                    written = decider.decide(batch, lookup)
                    if decider.projects or decider.sessions:
                        await database.keep_copy()
                        await _insert(connection, decider, now)
            else:
                find = partial(_look_up, batch)
                lookup = await (database.read(find) if database else find(None))
                written = decider.decide(batch, lookup)
            for project in written:
                committed(project)
            for project in written:
                await send.send(project)


async def _look_up(
    batch: list[PlannedProject], connection: aiosqlite.Connection | None
) -> Lookup:
    return await look_up(
        connection,
        [planned.project.id for planned in batch],
        [planned.project.path for planned in batch],
        [planned.session.id for planned in batch if planned.session],
    )


async def _insert(
    connection: aiosqlite.Connection, decider: Decider, now: datetime
) -> None:
    projects = [_project_values(row, now) for row in decider.projects]
    sessions = [_session_values(row) for row in decider.sessions]
    await _insert_rows(connection, _INSERT_PROJECTS, _PROJECT_VALUES, projects)
    await _insert_rows(connection, _INSERT_SESSIONS, _SESSION_VALUES, sessions)


async def _insert_rows(
    connection: aiosqlite.Connection,
    insert: str,
    row_values: str,
    rows: list[tuple[str | None, ...]],
) -> None:
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        some = rows[start : start + ROWS_PER_STATEMENT]
        statement = insert + ", ".join([row_values] * len(some))
        # One crossing to the connection's thread; `execute` needs another for its cursor.
        await connection.execute_fetchall(statement, tuple(chain.from_iterable(some)))


def _project_values(row: ProjectRow, now: datetime) -> tuple[str | None, ...]:
    registered_at = row.registered_at or to_stored(now.astimezone(UTC))

    return (
        row.id,
        row.path,
        row.repo_origin_url,
        row.display_name,
        registered_at,
        row.config,
    )


def _session_values(row: SessionRow) -> tuple[str | None, ...]:
    return (
        row.id,
        row.project_id,
        row.harness,
        row.activity_state,
        row.activity_last_at,
        row.branch,
        row.workspace_path,
        row.agent_session_id,
        row.prompt,
        row.created_at,
        row.updated_at,
        row.display_name,
        row.activity_last_at,
    )
