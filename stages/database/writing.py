"""The database as it is written to: made where there is none, one transaction at a time.

Before each transaction it is checked that the run may still write, and before each commit
that the file which was opened is still the one in the data dir.
"""

from __future__ import annotations

__all__ = ("Writer", "make_data_dir", "open_for_writing")

import errno
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiosqlite
from anyio import CancelScope

from stages.database.backup import copy_database
from stages.database.connecting import (
    DATABASE_NAME,
    close,
    connect,
    run,
    run_script,
    value,
    wait_for,
)
from stages.database.problems import is_interrupted, write_failed
from stages.database.reading import find_fault, open_for_reading, read_schema
from stages.database.schema import CREATE_STATEMENTS
from stages.errors import DatabaseUnusable, WriteFailed
from stages.floor.files import flush_directory, give, owner_above
from stages.floor.workers import Workers

DATABASE_MODE = 0o600  # `env` holds secrets
DIRECTORY_MODE = 0o750

_WAL = "PRAGMA journal_mode = WAL"
# `fullfsync`: where only F_FULLFSYNC reaches the disk; elsewhere it has no effect.
_SETTINGS = """
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA foreign_keys = ON;
"""
_CREATE = ";\n".join(("BEGIN IMMEDIATE", *CREATE_STATEMENTS, "COMMIT"))
_TABLES = "SELECT count(*) FROM sqlite_master"
_HAS_ROWS = "SELECT EXISTS (SELECT 1 FROM projects) OR EXISTS (SELECT 1 FROM sessions)"

T = TypeVar("T")


class Writer:
    """The one connection that a run writes by."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        file: Path,
        identity: tuple[int, int],
        workers: Workers,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        self.connection = connection
        self._file, self._identity, self._workers = file, identity, workers
        self._check = check
        self._is_copied = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[aiosqlite.Connection]:
        """One transaction: committed at the end, rolled back on any error.

        Cancelled, it is rolled back, unless the commit has begun: that is brought to its
        end, as the connection's thread would do so anyway.

        :raises WriteFailed: the database could not be written.
        """
        connection = self.connection
        try:
            await wait_for(connection, partial(run, connection, "BEGIN IMMEDIATE"))
            try:
                # With the lock in hand: who starts from now on waits for it.
                await self._check()
                yield connection
                await self.check_place()
                with CancelScope(shield=True):
                    await run(connection, "COMMIT")
            except BaseException:
                with CancelScope(shield=True):
                    # After a full disk SQLite may have rolled back by itself.
                    if connection.in_transaction:
                        await run(connection, "ROLLBACK")
                raise
        except (sqlite3.Error, UnicodeError) as error:
            await self.check_place()  # of that SQLite says "disk I/O error"
            raise write_failed(self._file, error) from error

    async def read(self, work: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Return what the work reads, outside of any transaction.

        :raises WriteFailed: the database could not be read.
        """
        try:
            return await work(self.connection)
        except (sqlite3.Error, UnicodeError) as error:
            raise write_failed(self._file, error) from error

    async def keep_copy(self) -> None:
        """Copy the database as it was before the run's first row (rule D11).

        For use inside a transaction, before it inserts. One without rows needs no copy.

        :raises WriteFailed: it cannot be copied. Nothing has been inserted.
        """
        if self._is_copied:
            return

        if await value(self.connection, _HAS_ROWS):
            await self._workers.submit(copy_database, self._file, self._workers.check)
        self._is_copied = True

    async def check_place(self) -> None:
        """Check that what is written is still what the data dir has.

        :raises WriteFailed: the data dir or the database was moved, removed or replaced.
        """
        try:
            found = await self._workers.submit(_identity, self._file)
        except OSError:
            found = None
        if found != self._identity:
            raise WriteFailed(
                self._file, "it was moved, removed or replaced while the import ran"
            )


@asynccontextmanager
async def open_for_writing(
    data_dir: Path, workers: Workers, check: Callable[[], Awaitable[None]]
) -> AsyncIterator[Writer]:
    """Open the database of a data dir; where there is none, create both.

    `check` is called in each transaction, and raises what is to end the run.

    :raises DatabaseUnusable: it is none that we may write to; it was left as it is.
    :raises WriteFailed: it cannot be created or opened for writing, or was moved away.
    """
    file = data_dir / DATABASE_NAME
    is_new = await _is_new(data_dir, workers)
    try:
        if is_new:
            await workers.submit(make_data_dir, data_dir)
            await workers.submit(_make_file, file)
        identity = await workers.submit(_identity, file)
        connection = await connect(file, "mode=rw")
    except (OSError, sqlite3.Error) as error:
        raise write_failed(file, error) from error

    try:
        try:
            # Before anything is made: see rule D3.
            await wait_for(connection, partial(run, connection, _WAL))
            await run_script(connection, _SETTINGS)
            if is_new:
                await _create(connection)
                await workers.submit(flush_directory, str(data_dir))
        except (OSError, sqlite3.Error, UnicodeError) as error:
            raise write_failed(file, error) from error
        writer = Writer(connection, file, identity, workers, check)
        yield writer
        await writer.check_place()
    finally:
        await close(connection)


async def _is_new(data_dir: Path, workers: Workers) -> bool:
    """Whether there is no database yet; one that is none of ours is refused."""
    try:
        async with open_for_reading(data_dir, workers) as existing:
            return existing is None
    except DatabaseUnusable as error:
        if not is_interrupted(error):
            raise
    # What a killed writer left half-written is rolled back by whoever reads it with the
    # right to write. That is no change of ours: the application would do the same.
    file = data_dir / DATABASE_NAME
    try:
        connection = await connect(file, "mode=rw")
        try:
            schema = await read_schema(connection)
        finally:
            await close(connection)
    except (sqlite3.Error, UnicodeError) as error:
        raise write_failed(file, error) from error
    if fault := find_fault(schema):
        raise DatabaseUnusable(file, fault)

    return not schema.tables


def make_data_dir(data_dir: Path) -> None:
    """Make the data dir and what is missing above it, with its mode (rules D1, D9)."""
    owner = owner_above(data_dir)
    missing = []
    directory = data_dir
    while not directory.is_dir():
        missing.append(directory)
        if directory == directory.parent:
            break
        directory = directory.parent
    for directory in reversed(missing):
        try:
            directory.mkdir(DIRECTORY_MODE, exist_ok=True)
        except FileExistsError as error:
            number = errno.ENOTDIR
            raise NotADirectoryError(number, os.strerror(number)) from error
        directory.chmod(DIRECTORY_MODE)  # whatever the umask says
        give(str(directory), owner)
        flush_directory(str(directory.parent))


def _make_file(file: Path) -> None:
    """Make an empty database file, with its mode and owner (rules D1, D9).

    SQLite gives the files that it makes beside it the same.
    """
    fd = os.open(
        file,
        os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0),
        DATABASE_MODE,
    )
    try:
        give(fd, owner_above(file))
    finally:
        os.close(fd)
    file.chmod(DATABASE_MODE)


async def _create(connection: aiosqlite.Connection) -> None:
    # Some forty statements: each by itself would be a crossing to the connection's
    # thread. Cancelled here, that thread still brings it to its end before it closes.
    try:
        await wait_for(connection, partial(run_script, connection, _CREATE))
    except sqlite3.Error:
        if connection.in_transaction:
            await run(connection, "ROLLBACK")
        # A daemon may have been faster between the first look and this lock.
        if not await value(connection, _TABLES):
            raise


def _identity(file: Path) -> tuple[int, int]:
    """Return what tells a file from another one of the same name."""
    info = os.stat(file)

    return info.st_dev, info.st_ino
