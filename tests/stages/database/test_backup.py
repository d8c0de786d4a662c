"""A database that has rows is copied before an import adds to it (rule D11)."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from stages.database.backup import copy_database
from stages.database.connecting import DATABASE_NAME
from stages.database.schema import CREATE_STATEMENTS
from stages.database.writing import open_for_writing
from stages.errors import WriteFailed
from stages.floor.workers import Stopped, Workers
from tests.stages.database.databases import make, project, session
from tests.stages.test_write import planned, write
from tests.support import go_on, never

COPY_NAME = f"{DATABASE_NAME}.before-import"


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with Workers(1, "test-backup") as made:
        yield made


async def test_first_row_of_a_run_finds_the_database_copied_as_it_was(
    tmp_path: Path, workers: Workers
) -> None:
    make(tmp_path, *CREATE_STATEMENTS, project("a"), journal_mode="wal")

    await import_projects(tmp_path, "b")
    await import_projects(tmp_path, "c")

    assert ids(tmp_path / DATABASE_NAME) == ["a", "b", "c"]
    assert ids(tmp_path / COPY_NAME) == ["a", "b"]
    assert sorted(os.listdir(tmp_path)) == [DATABASE_NAME, COPY_NAME]


@pytest.mark.parametrize(
    ("statements", "projects"),
    [
        pytest.param([], ["a"], id="no-rows-yet"),
        pytest.param(
            [project("a"), session("a-orchestrator", "a", 0)], ["a"], id="no-new"
        ),
        pytest.param([project("a")], [], id="nothing-to-write"),
    ],
)
async def test_database_is_not_copied_where_nothing_is_added_to_rows(
    tmp_path: Path, workers: Workers, statements: list[str], projects: list[str]
) -> None:
    make(tmp_path, *CREATE_STATEMENTS, *statements)

    await import_projects(tmp_path, *projects)

    assert os.listdir(tmp_path) == [DATABASE_NAME]


async def test_copy_has_what_only_the_log_has(tmp_path: Path, workers: Workers) -> None:
    async with open_for_writing(tmp_path, workers, go_on) as writer:
        async with writer.begin() as connection:
            await connection.execute_fetchall(project("a"))
        async with writer.begin() as connection:
            await writer.keep_copy()
            await connection.execute_fetchall(project("b"))

    assert ids(tmp_path / COPY_NAME) == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="this system has no modes of files")
def test_copy_is_nobody_elses(tmp_path: Path) -> None:
    file = make(tmp_path, *CREATE_STATEMENTS, project("a"))
    before = os.umask(0)
    try:
        copy_database(file, never)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / COPY_NAME).stat().st_mode) == 0o600


def test_copy_that_is_left_leaves_the_earlier_one_and_nothing_else(
    tmp_path: Path,
) -> None:
    file = make(tmp_path, *CREATE_STATEMENTS, project("a"))
    copy_database(file, never)
    make(tmp_path, project("b"))

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        copy_database(file, stop)

    assert ids(tmp_path / COPY_NAME) == ["a"]
    assert sorted(os.listdir(tmp_path)) == [DATABASE_NAME, COPY_NAME]


def test_part_of_a_copy_that_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    file = make(tmp_path, *CREATE_STATEMENTS, project("a"))
    (tmp_path / f"{COPY_NAME}.part").write_bytes(b"half")

    copy_database(file, never)

    assert ids(tmp_path / COPY_NAME) == ["a"]
    assert sorted(os.listdir(tmp_path)) == [DATABASE_NAME, COPY_NAME]


async def test_run_that_cannot_copy_the_database_adds_nothing(
    tmp_path: Path, workers: Workers
) -> None:
    make(tmp_path, *CREATE_STATEMENTS, project("a"))
    (tmp_path / COPY_NAME).mkdir()

    with pytest.raises(WriteFailed, match=COPY_NAME):
        await import_projects(tmp_path, "b")

    assert ids(tmp_path / DATABASE_NAME) == ["a"]
    assert sorted(os.listdir(tmp_path)) == [DATABASE_NAME, COPY_NAME]


async def import_projects(tmp_path: Path, *names: str) -> None:
    await write(
        tmp_path,
        *(replace(planned(name), session=None, transcript=None) for name in names),
    )


def ids(file: Path) -> list[str]:
    with closing(
        sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)
    ) as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [row[0] for row in found.execute("SELECT id FROM projects ORDER BY id")]
