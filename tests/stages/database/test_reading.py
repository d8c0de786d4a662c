"""A database is read: without a trace, and beside what writes to it (rules D4, D10)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiosqlite
import pytest
from anyio import fail_after

from stages.database.connecting import DATABASE_NAME
from stages.database.reading import open_for_reading
from stages.database.schema import CREATE_STATEMENTS
from stages.database.writing import open_for_writing
from stages.errors import DatabaseUnusable
from stages.floor.workers import Workers
from tests.stages.database.databases import (
    hammering,
    kill_while_writing,
    make,
    project,
)
from tests.support import STAGE_SECONDS, go_on, snapshot

ROUNDS = 40
has_fifos = pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="this system has no FIFOs"
)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with Workers(1, "test-database") as made:
        yield made


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="D4-no-file"),
        pytest.param(b"", id="D4-0-bytes"),
        pytest.param("VACUUM", id="D4-no-table"),
    ],
)
async def test_what_counts_as_no_database_is_none(
    tmp_path: Path, workers: Workers, content: bytes | str | None
) -> None:
    if isinstance(content, bytes):
        (tmp_path / DATABASE_NAME).write_bytes(content)
    elif content:
        make(tmp_path, "CREATE TABLE t (a)", "DROP TABLE t")

    before = snapshot(tmp_path)
    async with open_for_reading(tmp_path, workers) as database:
        assert database is None
    assert snapshot(tmp_path) == before

    async with open_for_writing(tmp_path, workers, go_on):
        pass
    assert await read(tmp_path, workers, "SELECT count(*) FROM goose_db_version") == 11


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        pytest.param(
            ["CREATE TABLE notes (a)"],
            "it is a database of another application",
            id="D4-alien",
        ),
        pytest.param(
            [*CREATE_STATEMENTS, "DELETE FROM goose_db_version WHERE version_id > 8"],
            "its schema is at version 8, older than 10",
            id="D4-too-old",
        ),
        pytest.param(
            [*CREATE_STATEMENTS, "UPDATE goose_db_version SET is_applied = 0"],
            "its ledger names no version",
            id="D4-nothing-applied",
        ),
        pytest.param(
            [*CREATE_STATEMENTS, "ALTER TABLE sessions RENAME COLUMN prompt TO other"],
            "sessions lacks the columns prompt",
            id="D4-lacks-a-column",
        ),
    ],
)
async def test_database_that_is_none_of_ours_is_left_as_it_is(
    tmp_path: Path, workers: Workers, statements: list[str], found: str
) -> None:
    make(tmp_path, *statements)
    before = snapshot(tmp_path)

    with pytest.raises(DatabaseUnusable, match=found):
        async with open_for_reading(tmp_path, workers):
            pass
    with pytest.raises(DatabaseUnusable, match=found):
        async with open_for_writing(tmp_path, workers, go_on):
            pass

    assert snapshot(tmp_path) == before


async def test_file_that_is_no_database_is_left_as_it_is(
    tmp_path: Path, workers: Workers
) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"no database" * 100)
    before = snapshot(tmp_path)

    with pytest.raises(DatabaseUnusable, match="file is not a database"):
        async with open_for_writing(tmp_path, workers, go_on):
            pass

    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_reading_leaves_no_trace(
    tmp_path: Path, workers: Workers, mode: str
) -> None:
    make(tmp_path, *CREATE_STATEMENTS, journal_mode=mode)
    before = snapshot(tmp_path)

    with pytest.raises(DatabaseUnusable, match="forbids writing"):
        await read(tmp_path, workers, "DELETE FROM goose_db_version")

    assert snapshot(tmp_path) == before


async def test_reading_sees_what_only_the_log_has(
    tmp_path: Path, workers: Workers
) -> None:
    async with open_for_writing(tmp_path, workers, go_on) as writer:
        async with writer.begin() as connection:
            await connection.execute_fetchall(
                "DELETE FROM goose_db_version WHERE id = 3"
            )
        found = await read(tmp_path, workers, "SELECT count(*) FROM goose_db_version")

    assert found == 10


@pytest.mark.parametrize("reopens", [False, True], ids=["open", "opens-and-closes"])
@pytest.mark.parametrize("mode", ["wal", "delete", "truncate", "persist"])
async def test_reading_beside_a_writer_is_never_a_false_alarm_and_never_half_a_write(
    tmp_path: Path, workers: Workers, mode: str, reopens: bool
) -> None:
    file = make(tmp_path, *CREATE_STATEMENTS, journal_mode=mode)

    with hammering(file, mode, reopens=reopens):
        for _ in range(ROUNDS):
            async with open_for_reading(tmp_path, workers) as database:
                assert database is not None
                for _ in range(3):
                    count, kinds, health = await database.read(_read_all)
                    assert count in (0, 200)
                    assert kinds in (0, 1), "rows of two transactions"
                    assert health == "ok"


async def test_reading_is_of_one_moment_while_another_program_has_the_log(
    tmp_path: Path, workers: Workers
) -> None:
    async with (
        open_for_writing(tmp_path, workers, go_on) as writer,
        open_for_reading(tmp_path, workers) as none_yet,
    ):
        assert none_yet is not None
        count = partial(_value, statement="SELECT count(*) FROM projects")
        before = await none_yet.read(count)
        async with writer.begin() as connection:
            await connection.execute_fetchall(project("a"))

        assert (before, await none_yet.read(count)) == (0, 0)
    assert await read(tmp_path, workers, "SELECT count(*) FROM projects") == 1


async def test_reading_in_rollback_mode_holds_up_nobody_between_two_reads(
    tmp_path: Path, workers: Workers
) -> None:
    file = make(tmp_path, *CREATE_STATEMENTS)
    file.with_name(f"{DATABASE_NAME}-journal").touch()  # as in the mode "truncate"
    async with open_for_reading(tmp_path, workers) as database:
        assert database is not None
        count = partial(_value, statement="SELECT count(*) FROM projects")
        before = await database.read(count)
        make(tmp_path, project("a"), journal_mode="truncate")

        assert (before, await database.read(count)) == (0, 1)


async def test_file_that_changes_between_two_reads_is_read_anew(
    tmp_path: Path, workers: Workers
) -> None:
    make(tmp_path, *CREATE_STATEMENTS, journal_mode="wal")
    async with open_for_reading(tmp_path, workers) as database:
        assert database is not None
        count = partial(_value, statement="SELECT count(*) FROM projects")
        before = await database.read(count)
        make(tmp_path, project("a"), journal_mode="wal")

        assert (before, await database.read(count)) == (0, 1)


async def test_interrupted_write_has_to_be_rolled_back_first(
    tmp_path: Path, workers: Workers
) -> None:
    make(tmp_path, *CREATE_STATEMENTS)
    kill_while_writing(tmp_path / DATABASE_NAME)
    before = snapshot(tmp_path)

    with pytest.raises(DatabaseUnusable) as caught:
        await read(tmp_path, workers, "SELECT count(*) FROM projects")

    assert str(caught.value) == (
        f"{tmp_path / DATABASE_NAME} cannot be used: the application's interrupted write "
        "has to be rolled back first, by an import or by starting the application. It was "
        "left as it is. Then run this again."
    )
    assert snapshot(tmp_path) == before


@has_fifos
@pytest.mark.parametrize("end", ["", "-journal", "-wal", "-shm"])
async def test_fifo_in_the_place_of_a_file_hangs_nobody(
    tmp_path: Path, workers: Workers, end: str
) -> None:
    if end:
        make(tmp_path, *CREATE_STATEMENTS)
    os.mkfifo(tmp_path / f"{DATABASE_NAME}{end}")

    with (
        fail_after(STAGE_SECONDS),
        pytest.raises(DatabaseUnusable, match=f"ao.db{end} .*not a regular file"),
    ):
        async with open_for_writing(tmp_path, workers, go_on):
            pass


async def test_text_that_is_no_utf8_is_read_with_replacements(
    tmp_path: Path, workers: Workers
) -> None:
    make(
        tmp_path,
        *CREATE_STATEMENTS,
        project("a"),
        "UPDATE projects SET display_name = CAST(x'41f09f98' AS TEXT)",
    )

    names = "SELECT json_group_array(display_name) FROM projects"
    assert (
        await read(tmp_path, workers, "SELECT display_name FROM projects") == "A\ufffd"
    )
    assert await read(tmp_path, workers, names) == '["A\ufffd"]'


async def read(data_dir: Path, workers: Workers, statement: str) -> object:
    async with open_for_reading(data_dir, workers) as database:
        assert database is not None
        return await database.read(partial(_value, statement=statement))


async def _value(connection: aiosqlite.Connection, *, statement: str) -> object:
    [row] = await connection.execute_fetchall(statement)

    return row[0]


async def _read_all(connection: aiosqlite.Connection) -> tuple[int, int, str]:
    """Return what differs where two statements see two transactions."""
    [(count,)] = await connection.execute_fetchall("SELECT count(*) FROM projects")
    [(kinds,)] = await connection.execute_fetchall(
        "SELECT count(DISTINCT registered_at) FROM projects"
    )
    [(health,)] = await connection.execute_fetchall("PRAGMA quick_check(1)")

    return count, kinds, health
