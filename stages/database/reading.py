"""The database as it is read: without a trace, and beside programs that write to it.

SQLite makes files beside a database in WAL mode even to read it. `immutable=1` keeps it
from that, and also from all locks, so what was read counts only if the file did not
change meanwhile. A database that another program has open is read with its locks.
"""

from __future__ import annotations

__all__ = ("Reader", "check_kinds", "find_fault", "open_for_reading", "read_schema")

import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiosqlite
import anyio
import msgspec

from stages.database.connecting import (
    BUSY_SECONDS,
    DATABASE_NAME,
    POLL_SECONDS,
    close,
    connect,
    run,
    value,
)
from stages.database.problems import unusable
from stages.database.schema import SCHEMA_VERSION
from stages.errors import DatabaseUnusable
from stages.floor.workers import Workers
from stages.messages import ProjectRow, SessionRow, WorktreeRow

T = TypeVar("T")

# Two writes within one tick of the system's clock, at most 10 ms, leave the same time at
# a file. After this long a write cannot pass for what was there before.
SETTLE_SECONDS = 0.02
# A file that changes under so many looks is read with locks, whatever that leaves behind.
CHANGES_ALLOWED = 3
# What a look meets for an instant while another program begins or ends a transaction,
# and what a killed one leaves for good. An instant is over by then.
TRANSIENT_SECONDS = 1.0
_TRANSIENT = frozenset(
    {
        "SQLITE_CANTOPEN",
        "SQLITE_PROTOCOL",
        "SQLITE_READONLY_CANTINIT",
        "SQLITE_READONLY_RECOVERY",
        "SQLITE_READONLY_ROLLBACK",
    }
)
_SIDE_FILES = ("-journal", "-wal", "-shm")

_NEEDED_COLUMNS = {
    "projects": frozenset(ProjectRow.__struct_fields__),
    "sessions": frozenset(SessionRow.__struct_fields__),
    "session_worktrees": frozenset(WorktreeRow.__struct_fields__),
}
_TABLES = """
SELECT count(*), total(name = 'goose_db_version') FROM sqlite_master
WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
"""
_VERSION = "SELECT max(version_id) FROM goose_db_version WHERE is_applied"
_COLUMNS = " UNION ALL ".join(
    f"SELECT '{table}', json_group_array(name) FROM pragma_table_info('{table}')"
    for table in _NEEDED_COLUMNS
)


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """What a database says of itself."""

    tables: int
    has_ledger: bool = False
    version: object = None
    missing: dict[str, tuple[str, ...]] = {}  # by table, columns that we need


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What differs once a file was written to or replaced."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


class _Changed(Exception):
    """The file changed while it was read."""


class Reader:
    """A database for reading, whether or not something writes to it (rule D10).

    In WAL mode what is read is of one moment for the whole run, as long as another
    program has the database open. In rollback mode it is so for each `read` alone: a
    reader's lock holds up the other program's commits.
    """

    def __init__(self, file: Path, workers: Workers) -> None:
        self._file, self._workers = file, workers
        self._connection: aiosqlite.Connection | None = None
        self._stamp: Stamp | None = None  # while it is read without locks
        self._is_wal = False
        self._changes = 0

    async def read(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Return what statements that belong together find, at one moment.

        `work` only asks, and is called again where the file changed under it.

        :raises DatabaseUnusable: it cannot be read.
        """
        start = anyio.current_time()
        while True:
            try:
                return await self._attempt(work)
            except _Changed:
                self._changes += 1
            except (OSError, sqlite3.Error, UnicodeError) as error:
                waited = anyio.current_time() - start
                if await self._has_changed():
                    self._changes += 1
                elif waited >= _patience_seconds(error):
                    raise unusable(self._file, error) from error
            await self.close()
            await anyio.sleep(POLL_SECONDS)

    async def close(self) -> None:
        """Close the connection, if there is one; the next `read` opens another."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await close(connection)

    async def _attempt(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        connection = self._connection or await self._open()
        if self._stamp is not None:
            result = await work(connection)
            if await self._has_changed():
                raise _Changed
            return result

        if not connection.in_transaction:
            await run(connection, "BEGIN")
        result = await work(connection)
        if not self._is_wal:
            await run(connection, "COMMIT")

        return result

    async def _open(self) -> aiosqlite.Connection:
        await self._workers.submit(check_kinds, self._file)
        self._stamp = await self._settled()
        options = "mode=ro" if self._stamp is None else "mode=ro&immutable=1"
        self._connection = await connect(self._file, options)
        if self._stamp is None:
            mode = await value(self._connection, "PRAGMA journal_mode")
            self._is_wal = mode == "wal"

        return self._connection

    async def _settled(self) -> Stamp | None:
        """Return the stamp of a file that nothing else has open now, else None."""
        while self._changes < CHANGES_ALLOWED:
            before = await self._workers.submit(_stamp, self._file)
            if before is None:
                return None
            await anyio.sleep(SETTLE_SECONDS)
            if before == await self._workers.submit(_stamp, self._file):
                return before
            self._changes += 1

        return None

    async def _has_changed(self) -> bool:
        """Whether the file that is read without locks is another by now."""
        if self._stamp is None:
            return False

        try:
            return self._stamp != await self._workers.submit(_stamp, self._file)
        except OSError:
            return True


@asynccontextmanager
async def open_for_reading(
    data_dir: Path, workers: Workers
) -> AsyncIterator[Reader | None]:
    """Open the database without leaving a trace; None where there is none (rule D4).

    :raises DatabaseUnusable: there is one, and it is none of ours, or it is damaged.
    """
    file = data_dir / DATABASE_NAME
    if not await workers.submit(_is_there, file):
        yield None
        return

    reader = Reader(file, workers)
    try:
        schema = await reader.read(read_schema)
        if fault := find_fault(schema):
            raise DatabaseUnusable(file, fault)
        yield reader if schema.tables else None
    finally:
        await reader.close()


async def read_schema(connection: aiosqlite.Connection) -> Schema:
    """Return what a database says of itself."""
    [(tables, ledgers)] = await connection.execute_fetchall(_TABLES)
    if not ledgers:
        return Schema(tables=tables)

    columns = await connection.execute_fetchall(_COLUMNS)
    return Schema(
        tables=tables,
        has_ledger=True,
        version=await value(connection, _VERSION),
        missing={
            table: tuple(
                sorted(_NEEDED_COLUMNS[table] - set(msgspec.json.decode(found)))
            )
            for table, found in columns
        },
    )


def find_fault(schema: Schema) -> str | None:
    """Return why we may not write to a database that has tables (rule D4)."""
    if not schema.tables:
        return None
    if not schema.has_ledger:
        return "it is a database of another application"
    if not isinstance(schema.version, int):
        return "its ledger names no version"
    if schema.version < SCHEMA_VERSION:
        return f"its schema is at version {schema.version}, older than {SCHEMA_VERSION}"
    for table, missing in schema.missing.items():
        if missing:
            names = ", ".join(missing)
            return (
                f"at schema version {schema.version}, {table} lacks the columns {names}"
            )

    return None


def check_kinds(file: Path) -> None:
    """Refuse what would hang whatever opens it: a FIFO in the place of a file.

    :raises DatabaseUnusable: something else than a file has the name of the database, or
        of a file beside it.
    """
    for place in (file, *(file.with_name(file.name + end) for end in _SIDE_FILES)):
        try:
            mode = os.stat(place).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise unusable(place, error) from error
        if not stat.S_ISREG(mode):
            raise DatabaseUnusable(
                place, "it is not a regular file", "Move it away, then run this again"
            )


def _is_there(file: Path) -> bool:
    """Whether there is a file of more than 0 bytes (rule D4)."""
    try:
        check_kinds(file)
        return file.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unusable(file, error) from error


def _stamp(file: Path) -> Stamp | None:
    """Return the file's stamp, or None if another program has it open.

    Its log lies beside a database in WAL mode as long as somebody has it open, and a
    journal beside one in rollback mode while it is written to.
    """
    if any(os.path.lexists(f"{file}{end}") for end in ("-journal", "-wal")):
        return None

    info = os.stat(file)
    return Stamp(
        device=info.st_dev,
        inode=info.st_ino,
        size_bytes=info.st_size,
        modified_ns=info.st_mtime_ns,
        changed_ns=info.st_ctime_ns,
    )


def _patience_seconds(error: Exception) -> float:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_BUSY"):
        return BUSY_SECONDS

    return TRANSIENT_SECONDS if name in _TRANSIENT else 0.0
