"""Write: planned projects become rows, a hundred to a transaction (P4, P5, L8, L9)."""

from __future__ import annotations

__all__ = ("run",)

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain

import aiosqlite
from anyio.abc import ObjectSendStream
from msgspec.structs import astuple, replace

from stages.database.decision import Decider
from stages.database.lookup import Lookup, find_owners, look_up
from stages.database.reading import Reader
from stages.database.writing import Writer
from stages.floor.streams import BatchReceiveStream, receive_batch
from stages.floor.times import to_stored
from stages.floor.workers import Workers
from stages.messages import (
    PlannedProject,
    ProjectRow,
    SessionRow,
    WorktreeRow,
    WrittenProject,
)

# Measured: 100 rows bring executemany close to its best, and make a commit that is
# flushed affordable on slow disks; more gain little.
PROJECTS_PER_TRANSACTION = 100
# Large projects come one by one. Measured: without this each has a transaction of its
# own, and a quarter of the run goes into those; a third of it still costs a twelfth of
# the run. It delays nothing but the first transcript: at the end nobody lingers.
LINGER_SECONDS = 0.1

# Each row of `executemany` lets go of the interpreter's lock, and whatever computes takes
# it: measured, a third of what 10,000 projects took. SQLite before 3.32 knows no more
# than 999 parameters to a statement, and a session has 18.
ROWS_PER_STATEMENT = 50


Row = ProjectRow | SessionRow | WorktreeRow


async def run(
    receive: BatchReceiveStream[PlannedProject],
    send: ObjectSendStream[WrittenProject],
    *,
    database: Writer | Reader | None,
    now: datetime,
    committed: Callable[[WrittenProject], None],
    workers: Workers,
) -> None:
    """Insert the rows that are not there yet, and send what became of each project.

    A project and its session are in one transaction. A dry run decides the same and
    inserts nothing: it has a reader, or None where there is no database. `committed`
    gets each project at once when its rows are: what is sent may be lost on its way, if
    the run is interrupted.

    :raises WriteFailed: the database could not be written. What was sent is committed.
    """
    async with receive, send:
        find_all = partial(find_owners, workers)
        decider = Decider(
            await (database.read(find_all) if database else find_all(None))
        )
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
        [planned.session.id for planned in batch if planned.session],
    )


async def _insert(
    connection: aiosqlite.Connection, decider: Decider, now: datetime
) -> None:
    stored_now = to_stored(now.astimezone(UTC))
    projects = [
        row if row.registered_at else replace(row, registered_at=stored_now)
        for row in decider.projects
    ]
    await _insert_rows(connection, "projects", projects)
    await _insert_rows(connection, "sessions", decider.sessions)
    # The sessions are new: a mark that bears the id of one is left over from another.
    await _insert_rows(
        connection, "session_worktrees", decider.worktrees, instead="OR REPLACE "
    )


async def _insert_rows(
    connection: aiosqlite.Connection,
    table: str,
    rows: Sequence[Row],
    *,
    instead: str = "",
) -> None:
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        some = rows[start : start + ROWS_PER_STATEMENT]
        columns = some[0].__struct_fields__
        values = f"({', '.join('?' * len(columns))})"
        # The names of the table and its columns are ours; the values are bound.
        statement = (
            f"INSERT {instead}INTO {table} ({', '.join(columns)}) VALUES "
            + ", ".join([values] * len(some))
        )
        # One crossing to the connection's thread; `execute` needs another for its cursor.
        await connection.execute_fetchall(
            statement, tuple(chain.from_iterable(map(astuple, some)))
        )
