"""The new store's database: opened for reading without a trace, or made (D1 to D4)."""

from __future__ import annotations

__all__ = (
    "DATABASE_NAME",
    "begin",
    "make_data_dir",
    "open_for_reading",
    "open_for_writing",
    "write_problem",
)

import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiosqlite
import anyio
import msgspec
from anyio import CancelScope

from stages.database.schema import CREATE_STATEMENTS, SCHEMA_VERSION
from stages.errors import DatabaseUnusable, WriteFailed
from stages.floor.files import flush_directory, reason
from stages.floor.workers import Workers

DATABASE_NAME = "ao.db"
DATABASE_MODE = 0o600  # `env` holds secrets
DIRECTORY_MODE = 0o750
# How long another writer may hold the database. The wait is ours, in short pieces, as
# SQLite's own would hold a cancelled run for all of it.
BUSY_SECONDS = 30.0
BUSY_POLL_SECONDS = 0.05

_NEEDED_COLUMNS = {
    "projects": frozenset(
        [
            "id",
            "path",
            "repo_origin_url",
            "display_name",
            "registered_at",
            "archived_at",
            "config",
            "kind",
        ]
    ),
    "sessions": frozenset(
        [
            "id",
            "project_id",
            "num",
            "issue_id",
            "kind",
            "harness",
            "activity_state",
            "activity_last_at",
            "is_terminated",
            "branch",
            "workspace_path",
            "runtime_handle_id",
            "agent_session_id",
            "prompt",
            "created_at",
            "updated_at",
            "display_name",
            "first_signal_at",
        ]
    ),
}
_TABLES = """
SELECT count(*), total(name = 'goose_db_version') FROM sqlite_master
WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
"""
_WAL = "PRAGMA journal_mode = WAL"
_VERSION = "SELECT max(version_id) FROM goose_db_version WHERE is_applied"
_COLUMNS = " UNION ALL ".join(
    f"SELECT '{table}', json_group_array(name) FROM pragma_table_info('{table}')"
    for table in _NEEDED_COLUMNS
)
# `fullfsync`: where only F_FULLFSYNC reaches the disk; elsewhere it has no effect.
_SETTINGS = """
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA foreign_keys = ON;
"""
_CREATE = ";\n".join(("BEGIN IMMEDIATE", *CREATE_STATEMENTS, "COMMIT"))


@asynccontextmanager
async def open_for_writing(
    data_dir: Path, workers: Workers
) -> AsyncIterator[aiosqlite.Connection]:
    """Open the database of a data dir; where there is none, create both.

    :raises DatabaseUnusable: it is none that we may write to; it was left as it is.
    :raises WriteFailed: it cannot be created or opened for writing.
    """
    file = data_dir / DATABASE_NAME
    async with open_for_reading(data_dir, workers) as existing:
        is_new = existing is None
    try:
        if is_new:
            await workers.submit(make_data_dir, data_dir)
            await workers.submit(_make_file, file)
        connection = await _connect(f"{_uri(file)}?mode=rw")
    except (OSError, sqlite3.Error) as error:
        raise WriteFailed(file, write_problem(error)) from error

    try:
        try:
            # Before anything is made: see rule D3.
            await _retried(connection, partial(_run, connection, _WAL))
            await _run_script(connection, _SETTINGS)
            if is_new:
                await _create(connection)
                await workers.submit(flush_directory, str(data_dir))
        except (OSError, sqlite3.Error) as error:
            raise WriteFailed(file, write_problem(error)) from error
        yield connection
    finally:
        await _close(connection)


@asynccontextmanager
async def open_for_reading(
    data_dir: Path, workers: Workers
) -> AsyncIterator[aiosqlite.Connection | None]:
    """Open the database without leaving a trace; None where there is none (rule D4).

    :raises DatabaseUnusable: there is one, and it is none of ours.
    """
    file = data_dir / DATABASE_NAME
    if not await workers.submit(_is_there, file):
        yield None
        return

    # Without a log beside it nothing needs to be made to read it.
    has_log = await workers.submit(os.path.lexists, f"{file}-wal")
    options = "mode=ro" if has_log else "mode=ro&immutable=1"
    try:
        connection = await _connect(f"{_uri(file)}?{options}")
    except sqlite3.Error as error:
        raise DatabaseUnusable(file, write_problem(error)) from error

    try:
        try:
            is_ours = await _is_ours(connection, file)
        except sqlite3.Error as error:
            raise DatabaseUnusable(file, write_problem(error)) from error
        yield connection if is_ours else None
    finally:
        await _close(connection)


@asynccontextmanager
async def begin(connection: aiosqlite.Connection) -> AsyncIterator[None]:
    """One transaction: committed at the end, rolled back on any error.

    Only the wait for another writer can be cancelled; what was begun is brought to an
    end, as the thread of the connection would do so anyway.
    """
    await _retried(connection, partial(_run, connection, "BEGIN IMMEDIATE"))
    with CancelScope(shield=True):
        try:
            yield
            await _run(connection, "COMMIT")
        except BaseException:
            # After a full disk SQLite may have rolled back by itself.
            if connection.in_transaction:
                await _run(connection, "ROLLBACK")
            raise


def write_problem(error: OSError | sqlite3.Error) -> str:
    """Return what went wrong with a file or a database, for people."""
    if isinstance(error, OSError):
        return reason(error)
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_SHMSIZE:
        return "No space left for its index file"  # SQLite says "disk I/O error"

    return str(error)


def _is_there(file: Path) -> bool:
    """Whether there is a file of more than 0 bytes (rule D4)."""
    try:
        return file.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DatabaseUnusable(file, reason(error)) from error


async def _is_ours(connection: aiosqlite.Connection, file: Path) -> bool:
    """Whether it has tables; what has some must be a version that we can write to."""
    [(tables, ledgers)] = await connection.execute_fetchall(_TABLES)
    if not tables:
        return False
    if not ledgers:
        raise DatabaseUnusable(file, "it is a database of another application")

    version = await _value(connection, _VERSION)
    if not isinstance(version, int):
        raise DatabaseUnusable(file, "its ledger names no version")
    if version < SCHEMA_VERSION:
        found = f"its schema is at version {version}, older than {SCHEMA_VERSION}"
        raise DatabaseUnusable(file, found)
    for table, columns in await connection.execute_fetchall(_COLUMNS):
        if missing := _NEEDED_COLUMNS[table] - set(msgspec.json.decode(columns)):
            names = ", ".join(sorted(missing))
            found = f"at schema version {version}, {table} lacks the columns {names}"
            raise DatabaseUnusable(file, found)

    return True


def make_data_dir(data_dir: Path) -> None:
    """Make the data dir and what is missing above it, with its mode (rule D1)."""
    missing = []
    directory = data_dir
    while not directory.is_dir():
        missing.append(directory)
        if directory == directory.parent:
            break
        directory = directory.parent
    for directory in reversed(missing):
        directory.mkdir(DIRECTORY_MODE, exist_ok=True)
        directory.chmod(DIRECTORY_MODE)  # whatever the umask says
        flush_directory(str(directory.parent))


def _make_file(file: Path) -> None:
    """Make an empty database file, with its mode (rule D1)."""
    fd = os.open(
        file,
        os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0),
        DATABASE_MODE,
    )
    os.close(fd)
    file.chmod(DATABASE_MODE)


async def _create(connection: aiosqlite.Connection) -> None:
    # Some forty statements: each by itself would be a crossing to the connection's
    # thread. Cancelled here, that thread still brings it to its end before it closes.
    try:
        await _retried(connection, partial(_run_script, connection, _CREATE))
    except sqlite3.Error:
        if connection.in_transaction:
            await _run(connection, "ROLLBACK")
        # A daemon may have been faster between the first look and this lock.
        if not await _value(connection, _TABLES):
            raise


async def _connect(uri: str) -> aiosqlite.Connection:
    with CancelScope(shield=True):  # cancelled here, its thread would never end
        connection = await aiosqlite.connect(uri, uri=True, isolation_level=None)

    return connection


async def _close(connection: aiosqlite.Connection) -> None:
    with CancelScope(shield=True):
        await connection.close()


async def _run(connection: aiosqlite.Connection, statement: str) -> None:
    # One crossing to the connection's thread; `execute` needs another for its cursor.
    await connection.execute_fetchall(statement)


async def _run_script(connection: aiosqlite.Connection, script: str) -> None:
    async with connection.executescript(script):
        pass


async def _value(connection: aiosqlite.Connection, statement: str) -> object:
    rows = await connection.execute_fetchall(statement)

    return next((row[0] for row in rows), None)


async def _retried(
    connection: aiosqlite.Connection, work: Callable[[], Awaitable[None]]
) -> None:
    """Run what needs a lock, and wait for it in pieces short enough to be cancelled."""
    deadline = anyio.current_time() + BUSY_SECONDS
    await _run(connection, "PRAGMA busy_timeout = 0")
    while True:
        try:
            await work()
        except sqlite3.OperationalError as error:
            is_busy = (error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_BUSY
            if not is_busy or anyio.current_time() >= deadline:
                raise
        else:
            break
        await anyio.sleep(BUSY_POLL_SECONDS)
    await _run(connection, "PRAGMA busy_timeout = 5000")


def _uri(file: Path) -> str:
    return file.absolute().as_uri()
