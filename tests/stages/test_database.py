from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite
import pytest

import stages.database.opening
from stages.database.lookup import ExistingSession, Lookup, look_up
from stages.database.opening import (
    DATABASE_NAME,
    begin,
    make_data_dir,
    open_for_reading,
    open_for_writing,
)
from stages.database.schema import CREATE_STATEMENTS
from stages.errors import DatabaseUnusable, WriteFailed
from stages.floor.workers import Workers
from tests.stages.test_schema import FACTS, describe
from tests.support import snapshot

has_modes = pytest.mark.skipif(
    os.name != "posix", reason="this system has no modes of files"
)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with Workers(1, "test-database") as made:
        yield made


def make(data_dir: Path, *statements: str) -> Path:
    """Make a database by plain sqlite3."""
    data_dir.mkdir(exist_ok=True)
    file = data_dir / DATABASE_NAME
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in ("BEGIN", *statements, "COMMIT"):
        connection.execute(statement)
    connection.close()

    return file


async def test_new_database_has_the_schema_and_the_settings(
    tmp_path: Path, workers: Workers
) -> None:
    data_dir = tmp_path / "a" / "data"
    async with open_for_writing(data_dir, workers) as connection:
        settings = [
            next(iter(await connection.execute_fetchall(f"PRAGMA {name}")))[0]
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
        async with open_for_writing(tmp_path / "a" / "data", workers):
            pass
    finally:
        os.umask(before)

    modes = [
        stat.S_IMODE(place.stat().st_mode)
        for place in (tmp_path / "a", tmp_path / "a/data", tmp_path / "a/data/ao.db")
    ]
    assert modes == [0o750, 0o750, 0o600]


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
    async with open_for_reading(tmp_path, workers) as connection:
        assert connection is None
    assert snapshot(tmp_path) == before

    async with open_for_writing(tmp_path, workers) as connection:
        rows = await connection.execute_fetchall(
            "SELECT count(*) FROM goose_db_version"
        )
        assert [tuple(row) for row in rows] == [(11,)]


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

    for open_database in (open_for_reading, open_for_writing):
        with pytest.raises(DatabaseUnusable, match=found):
            async with open_database(tmp_path, workers):
                pass

    assert snapshot(tmp_path) == before


async def test_file_that_is_no_database_is_left_as_it_is(
    tmp_path: Path, workers: Workers
) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"no database" * 100)
    before = snapshot(tmp_path)

    with pytest.raises(DatabaseUnusable, match="file is not a database"):
        async with open_for_writing(tmp_path, workers):
            pass

    assert snapshot(tmp_path) == before


async def test_reading_leaves_no_trace(tmp_path: Path, workers: Workers) -> None:
    async with open_for_writing(tmp_path, workers):
        pass
    before = snapshot(tmp_path)

    async with open_for_reading(tmp_path, workers) as connection:
        assert connection is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await connection.execute("DELETE FROM goose_db_version")

    assert snapshot(tmp_path) == before


async def test_reading_sees_what_only_the_log_has(
    tmp_path: Path, workers: Workers
) -> None:
    async with open_for_writing(tmp_path, workers) as writer:
        async with begin(writer):
            await writer.execute("DELETE FROM goose_db_version WHERE version_id = 3")
        async with open_for_reading(tmp_path, workers) as reader:
            assert reader is not None
            rows = await reader.execute_fetchall(
                "SELECT count(*) FROM goose_db_version"
            )

    assert [tuple(row) for row in rows] == [(10,)]


async def test_later_version_is_taken_as_it_is(
    tmp_path: Path, workers: Workers
) -> None:
    file = make(
        tmp_path,
        *CREATE_STATEMENTS,
        "ALTER TABLE projects ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'",
        "INSERT INTO goose_db_version (version_id, is_applied) VALUES (82, 1)",
    )
    async with open_for_writing(tmp_path, workers) as connection, begin(connection):
        await connection.execute(
            "INSERT INTO projects (id, path, registered_at) VALUES ('a', '/a', '')"
        )

    database = sqlite3.connect(file)
    rows = database.execute("SELECT id, colour FROM projects").fetchall()
    database.close()
    assert rows == [("a", "red")]


async def test_transaction_that_fails_leaves_nothing(
    tmp_path: Path, workers: Workers
) -> None:
    async def fail(connection: aiosqlite.Connection) -> None:
        async with begin(connection):
            await connection.execute("DELETE FROM goose_db_version")
            raise ZeroDivisionError

    async with open_for_writing(tmp_path, workers) as connection:
        with pytest.raises(ZeroDivisionError):
            await fail(connection)

        assert not connection.in_transaction
        rows = await connection.execute_fetchall(
            "SELECT count(*) FROM goose_db_version"
        )

    assert [tuple(row) for row in rows] == [(11,)]


async def test_database_that_another_made_meanwhile_is_used_as_it_is(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = "2026-01-01 00:00:00 +0000 UTC"
    its_own = (
        f"INSERT INTO projects (id, path, registered_at) VALUES ('a', '/a', '{time}')"
    )
    monkeypatch.setattr(
        stages.database.opening,
        "_make_file",
        lambda file: make(file.parent, *CREATE_STATEMENTS, its_own),
    )

    async with open_for_writing(tmp_path, workers) as connection:
        assert not connection.in_transaction
        rows = await connection.execute_fetchall("SELECT id FROM projects")

    assert [tuple(row) for row in rows] == [("a",)]


async def test_data_dir_that_cannot_be_made_is_an_error(
    tmp_path: Path, workers: Workers
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises((WriteFailed, DatabaseUnusable)):
        async with open_for_writing(tmp_path / "file" / "data", workers):
            pass


@has_modes
def test_data_dir_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(0o700)

    make_data_dir(tmp_path / "data")

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def test_lookup_says_what_is_there(tmp_path: Path, workers: Workers) -> None:
    time = "2026-01-01 00:00:00 +0000 UTC"
    session = (
        "INSERT INTO sessions (id, project_id, num, harness, agent_session_id,"
        " activity_last_at, created_at, updated_at) VALUES ({}, 'codex', 'x', '{}', '', '')"
    )
    make(
        tmp_path,
        *CREATE_STATEMENTS,
        f"INSERT INTO projects (id, path, registered_at) VALUES ('a', '/a', '{time}')",
        f"INSERT INTO projects (id, path, registered_at) VALUES ('b', '/a', '{time}')",
        "INSERT INTO projects (id, path, registered_at, archived_at)"
        f" VALUES ('old', '/old', '{time}', '{time}')",
        session.format("'a-orchestrator', 'a', 0", time),
        session.format("'b-1', 'b', 1", time),
    )
    ids, paths, sessions = ["a", "b", "c"], ["/a", "/old", "'"], ["a-orchestrator", "x"]

    async with open_for_reading(tmp_path, workers) as connection:
        lookup = await look_up(connection, ids, paths, sessions)

    assert lookup == Lookup(
        project_ids=frozenset({"a", "b"}),
        id_by_path={"/a": "a"},
        sessions={
            "a-orchestrator": ExistingSession(
                project_id="a", harness="codex", agent_session_id="x"
            )
        },
        numbered=frozenset({"a"}),
    )
    assert await look_up(None, ids, paths, sessions) == Lookup(
        project_ids=frozenset(), id_by_path={}, sessions={}, numbered=frozenset()
    )
