"""Connections to the new store's database: opened, asked, waited for and closed."""

from __future__ import annotations

__all__ = (
    "BUSY_SECONDS",
    "DATABASE_NAME",
    "POLL_SECONDS",
    "close",
    "connect",
    "note_odd_place",
    "run",
    "run_script",
    "value",
    "wait_for",
)

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiosqlite
import anyio
from anyio import CancelScope

from stages.floor.text import quote
from stages.messages import Note
from stages.notes import note

DATABASE_NAME = "ao.db"
# How long another writer may hold the database. The wait is ours, in short pieces, as
# SQLite's own would hold a cancelled run for all of it.
BUSY_SECONDS = 30.0
POLL_SECONDS = 0.05


def note_odd_place(data_dir: Path) -> tuple[Note, ...]:
    """Return a note if some daemons take the data dir for another one (rule D1).

    They make an URI of its path without escapes, so that it ends at a `#` or a `?`.
    """
    odd = [character for character in "#?%" if character in str(data_dir)]
    if not odd:
        return ()

    text = (
        f"the path of the data dir {quote(str(data_dir))} has a {' and a '.join(odd)}; "
        "daemons of mid-2026 open another file for it"
    )
    return (note("data-dir", None, text),)


async def connect(file: Path, options: str) -> aiosqlite.Connection:
    """Open a file that is there, with options of SQLite's URIs.

    Text that is no UTF-8 arrives with replacement characters: the application's rows may
    hold some, and one of them must not end the run (rule D10).
    """
    with CancelScope(shield=True):  # cancelled here, its thread would never end
        connection = await aiosqlite.connect(
            _uri(file, options), uri=True, isolation_level=None
        )
    connection.text_factory = _decode

    return connection


async def close(connection: aiosqlite.Connection) -> None:
    """Close, also in a run that is being cancelled."""
    with CancelScope(shield=True):
        await connection.close()


async def run(connection: aiosqlite.Connection, statement: str) -> None:
    """Run a statement that gives nothing."""
    # One crossing to the connection's thread; `execute` needs another for its cursor.
    await connection.execute_fetchall(statement)


async def run_script(connection: aiosqlite.Connection, script: str) -> None:
    """Run several statements in one crossing to the connection's thread."""
    async with connection.executescript(script):
        pass


async def value(connection: aiosqlite.Connection, statement: str) -> object:
    """Return the first column of the first row, or None."""
    rows = await connection.execute_fetchall(statement)

    return next((row[0] for row in rows), None)


async def wait_for(
    connection: aiosqlite.Connection, work: Callable[[], Awaitable[None]]
) -> None:
    """Run what needs a lock, and wait for it in pieces short enough to be cancelled."""
    deadline = anyio.current_time() + BUSY_SECONDS
    await run(connection, "PRAGMA busy_timeout = 0")
    while True:
        try:
            await work()
        except sqlite3.OperationalError as error:
            is_busy = (error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_BUSY
            if not is_busy or anyio.current_time() >= deadline:
                raise
        else:
            break
        await anyio.sleep(POLL_SECONDS)
    await run(connection, "PRAGMA busy_timeout = 5000")


def _uri(file: Path, options: str) -> str:
    return f"{file.absolute().as_uri()}?{options}"


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")
