"""A database is made, opened and written to (rules D1 to D4, D9, G1)."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Timer

import pytest

from stages.database.connecting import DATABASE_NAME
from stages.database.schema import CREATE_STATEMENTS
from stages.database.writing import Writer, make_data_dir, open_for_writing
from stages.errors import DaemonRunning, DatabaseUnusable, WriteFailed
from stages.floor.workers import Workers
from tests.stages.database.databases import kill_while_writing, make, project
from tests.stages.test_schema import FACTS, describe
from tests.support import go_on

has_modes = pytest.mark.skipif(
    os.name != "posix", reason="this system has no modes of files"
)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with Workers(1, "test-database") as made:
        yield made


async def test_new_database_has_the_schema_and_the_settings(
    tmp_path: Path, workers: Workers
) -> None:
    data_dir = tmp_path / "a" / "data"
    async with open_for_writing(data_dir, workers, go_on) as writer:
        settings = [
            next(iter(await writer.connection.execute_fetchall(f"PRAGMA {name}")))[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]

    database = sqlite3.connect(data_dir / DATABASE_NAME)
    described = describe(database)
    database.close()
    assert settings == ["wal", 2, 1, 5000]
    assert described == FACTS


@has_modes
@pytest.mark.parametrize("mask", [0o000, 0o077])
async def test_new_database_is_nobody_elses(
    tmp_path: Path, workers: Workers, mask: int
) -> None:
    before = os.umask(mask)
    try:
        async with open_for_writing(tmp_path / "a" / "data", workers, go_on):
            pass
    finally:
        os.umask(before)

    modes = [
        stat.S_IMODE(place.stat().st_mode)
        for place in (tmp_path / "a", tmp_path / "a/data", tmp_path / "a/data/ao.db")
    ]
    assert modes == [0o750, 0o750, 0o600]


async def test_later_version_is_taken_as_it_is(
    tmp_path: Path, workers: Workers
) -> None:
    file = make(
        tmp_path,
        *CREATE_STATEMENTS,
        "ALTER TABLE projects ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'",
        "INSERT INTO goose_db_version (version_id, is_applied) VALUES (82, 1)",
    )
    async with open_for_writing(tmp_path, workers, go_on) as writer:
        await insert(writer, "a")

    database = sqlite3.connect(file)
    rows = database.execute("SELECT id, colour FROM projects").fetchall()
    database.close()
    assert rows == [("a", "red")]


async def test_transaction_that_fails_leaves_nothing(
    tmp_path: Path, workers: Workers
) -> None:
    make(tmp_path, *CREATE_STATEMENTS)
    async with open_for_writing(tmp_path, workers, go_on) as writer:
        with pytest.raises(WriteFailed, match="a rule that refuses a row"):
            await insert(writer, "a", "b", "a")

        assert not writer.connection.in_transaction

    assert rows(tmp_path, "SELECT id FROM projects") == []


async def test_database_that_another_makes_meanwhile_is_used_as_it_is(
    tmp_path: Path, workers: Workers
) -> None:
    other = sqlite3.connect(
        tmp_path / DATABASE_NAME, isolation_level=None, check_same_thread=False
    )
    for statement in ("BEGIN IMMEDIATE", *CREATE_STATEMENTS, project("a")):
        other.execute(statement)
    commit = Timer(0.3, other.execute, ["COMMIT"])
    commit.start()

    async with open_for_writing(tmp_path, workers, go_on) as writer:
        await insert(writer, "b")
    commit.join()
    other.close()

    assert rows(tmp_path, "SELECT id FROM projects ORDER BY id") == [("a",), ("b",)]


async def test_data_dir_that_cannot_be_made_is_an_error(
    tmp_path: Path, workers: Workers
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(WriteFailed, match="Not a directory"):
        async with open_for_writing(tmp_path / "file" / "data", workers, go_on):
            pass


async def test_what_a_killed_writer_left_half_written_is_rolled_back(
    tmp_path: Path, workers: Workers
) -> None:
    make(tmp_path, *CREATE_STATEMENTS, project("a"))
    kill_while_writing(tmp_path / DATABASE_NAME)

    async with open_for_writing(tmp_path, workers, go_on) as writer:
        await insert(writer, "b")

    assert rows(tmp_path, "SELECT id FROM projects ORDER BY id") == [("a",), ("b",)]
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]


async def test_what_a_killed_writer_left_of_another_application_is_refused(
    tmp_path: Path, workers: Workers
) -> None:
    make(tmp_path, "CREATE TABLE projects (id, path, registered_at)")
    kill_while_writing(tmp_path / DATABASE_NAME)

    with pytest.raises(DatabaseUnusable, match="a database of another application"):
        async with open_for_writing(tmp_path, workers, go_on):
            pass


async def test_daemon_that_starts_meanwhile_ends_the_run_and_what_was_committed_stays(
    tmp_path: Path, workers: Workers
) -> None:
    has_started = False

    async def refuse() -> None:
        if has_started:
            raise DaemonRunning(7)

    async with open_for_writing(tmp_path, workers, refuse) as writer:
        await insert(writer, "a")
        has_started = True
        with pytest.raises(DaemonRunning):
            await insert(writer, "b")

    assert rows(tmp_path, "SELECT id FROM projects") == [("a",)]


@pytest.mark.parametrize("moved", ["data", f"data/{DATABASE_NAME}"])
async def test_rows_of_a_database_that_was_moved_away_are_not_called_imported(
    tmp_path: Path, workers: Workers, moved: str
) -> None:
    data_dir, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    make(data_dir, *CREATE_STATEMENTS)

    async def run() -> None:
        async with open_for_writing(data_dir, workers, go_on) as writer:
            (tmp_path / moved).rename(elsewhere)
            await insert(writer, "a")

    with pytest.raises(WriteFailed, match="moved, removed or replaced"):
        await run()
    assert rows(elsewhere, "SELECT id FROM projects") == []


async def test_database_that_is_replaced_after_the_last_row_is_said(
    tmp_path: Path, workers: Workers
) -> None:
    async def run() -> None:
        async with open_for_writing(tmp_path, workers, go_on) as writer:
            await insert(writer, "a")
            (tmp_path / DATABASE_NAME).rename(tmp_path / "other.db")
            (tmp_path / DATABASE_NAME).touch()

    with pytest.raises(WriteFailed, match="moved, removed or replaced"):
        await run()


@has_modes
def test_data_dir_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(0o700)

    make_data_dir(tmp_path / "data")

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def insert(writer: Writer, *project_ids: str) -> None:
    async with writer.begin() as connection:
        for project_id in project_ids:
            await connection.execute_fetchall(project(project_id))


def rows(place: Path, statement: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(place / DATABASE_NAME if place.is_dir() else place)
    try:
        return database.execute(statement).fetchall()
    finally:
        database.close()
