from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import stages.write
from stages.database.connecting import DATABASE_NAME
from stages.database.reading import open_for_reading
from stages.database.writing import open_for_writing
from stages.errors import WriteFailed
from stages.floor.workers import Workers
from stages.map import map_project
from stages.messages import LegacyProject, Note, PlannedProject, WrittenProject
from tests.support import (
    ENTRY,
    HOME,
    NOW,
    ORCHESTRATOR,
    OTHER_UUID,
    UUID,
    go_on,
    run_stage,
)


def planned(project_id: str = "app", path: str = "", **changes: Any) -> PlannedProject:
    """Return the plan for a project with a live orchestrator, a note at each part."""
    legacy = LegacyProject(
        entry=replace(
            ENTRY,
            id=project_id,
            path=path or f"/repos/{project_id}",
            real_path=path or f"/repos/{project_id}",
            prefix=project_id,
        ),
        orchestrator=replace(ORCHESTRATOR, claude_session_uuid=UUID),
        also_live=(),
        also_live_count=0,
        sessions_read=1,
        files_skipped=0,
        notes=(),
    )
    parts = {
        f"{part}_notes": (
            Note(project_id=project_id, kind=part, severity="lossy", text=part),
        )
        for part in ("project", "session", "record")
    }

    return replace(map_project(legacy, HOME), **{**parts, **changes})


@asynccontextmanager
async def writing(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    async with (
        Workers(1, "test-write") as workers,
        open_for_writing(tmp_path, workers, go_on) as database,
    ):
        yield {
            "database": database,
            "now": NOW,
            "committed": lambda _: None,
            "workers": workers,
        }


async def write(tmp_path: Path, *projects: PlannedProject) -> list[WrittenProject]:
    async with writing(tmp_path) as settings:
        return await run_stage(stages.write.run, projects, **settings)


def rows(tmp_path: Path, statement: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(tmp_path / DATABASE_NAME)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def outcomes(written: list[WrittenProject]) -> list[tuple[str, str, str, list[str]]]:
    return [
        (each.id, each.project, each.orchestrator, [note.kind for note in each.notes])
        for each in written
    ]


async def test_rows_and_change_are_written(tmp_path: Path) -> None:
    """The session's insertion is what is captured, and nothing else (rules D5, D7)."""
    (written,) = await write(tmp_path, planned())

    assert outcomes([written]) == [
        ("app", "imported", "imported", ["project", "record", "session"])
    ]
    assert written.transcript is not None
    registered = "2026-07-01 12:00:00 +0000 UTC"
    assert rows(tmp_path, "SELECT * FROM projects") == [
        ("app", "/repos/app", "", "", registered, None, None, "single_repo")
    ]
    time = "2026-03-01 10:00:00 +0000 UTC"
    branch = "ao/app-orchestrator"
    worktree = f"{HOME.worktrees}/app/orchestrator/app-orchestrator"
    assert rows(tmp_path, "SELECT * FROM sessions") == [
        (
            *(
                "app-orchestrator",
                "app",
                0,
                "",
                "orchestrator",
                "claude-code",
                "active",
            ),
            *(time, 0, branch, worktree, "", UUID, "", time, time, "", time),
        )
    ]
    assert rows(tmp_path, "SELECT * FROM session_worktrees") == [
        ("app-orchestrator", "__root__", branch, "", worktree, "", "removed")
    ]
    ((seq, project, session, event, payload, at),) = rows(
        tmp_path, "SELECT * FROM change_log"
    )
    assert (seq, project, session, event, at) == (
        1,
        "app",
        "app-orchestrator",
        "session_created",
        time,
    )
    assert json.loads(payload) == {
        "id": "app-orchestrator",
        "activity": "active",
        "isTerminated": False,
    }


async def test_project_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    await write(tmp_path, planned(session=None, orchestrator="absent"))
    before = rows(tmp_path, "SELECT * FROM projects")

    written = await write(tmp_path, planned(path="/elsewhere"))

    assert rows(tmp_path, "SELECT * FROM projects") == before
    assert outcomes(written) == [("app", "present", "imported", ["record", "session"])]


async def test_project_whose_path_is_taken_is_not_imported(tmp_path: Path) -> None:
    await write(tmp_path, planned("old", "/same"))

    written = await write(
        tmp_path, planned("a", "/new"), planned("b", "/same"), planned("c", "/new")
    )

    assert outcomes(written)[1:] == [
        ("b", "conflicting", "not-considered", ["path-taken"]),
        ("c", "conflicting", "not-considered", ["path-taken"]),
    ]
    assert '"old"' in written[1].notes[0].text
    assert '"a"' in written[2].notes[0].text
    assert rows(tmp_path, "SELECT id FROM projects ORDER BY id") == [("a",), ("old",)]


async def test_path_of_an_archived_project_is_free_but_its_id_is_not(
    tmp_path: Path,
) -> None:
    await write(tmp_path, planned("old", "/same"))
    connection = sqlite3.connect(tmp_path / DATABASE_NAME)
    connection.execute("UPDATE projects SET archived_at = registered_at")
    connection.commit()
    connection.close()

    written = await write(tmp_path, planned("new", "/same"), planned("old", "/other"))

    assert [each.project for each in written] == ["imported", "present"]


async def test_session_of_another_project_is_not_taken_over(tmp_path: Path) -> None:
    session = planned("a").session
    assert session is not None
    second = planned("b", session=replace(session, project_id="b"))

    written = await write(tmp_path, planned("a"), second)
    again = await write(tmp_path, second)

    assert outcomes(written)[1] == (
        "b",
        "imported",
        "skipped",
        ["project", "record", "session-taken"],
    )
    assert outcomes(again) == [("b", "present", "skipped", ["record", "session-taken"])]
    assert written[1].transcript is again[0].transcript is None
    assert written[1].notes[2].severity == "failed"


async def test_project_that_has_a_session_number_0_gets_no_other(
    tmp_path: Path,
) -> None:
    await write(tmp_path, planned())
    connection = sqlite3.connect(tmp_path / DATABASE_NAME)
    connection.execute("UPDATE sessions SET id = 'app-0'")
    connection.commit()
    connection.close()

    (written,) = await write(tmp_path, planned())

    assert outcomes([written]) == [
        ("app", "present", "skipped", ["record", "number-taken"])
    ]
    assert written.transcript is None


@pytest.mark.parametrize(
    ("is_found", "agent_session_id", "uuid"),
    [
        pytest.param(False, OTHER_UUID, UUID, id="T3-the-record-names-one"),
        pytest.param(True, OTHER_UUID, OTHER_UUID, id="T3-the-session-decides"),
        pytest.param(True, "", None, id="T3-the-session-has-none"),
        pytest.param(True, "../x", None, id="T2-the-session-has-no-uuid"),
    ],
)
async def test_session_that_is_there_says_which_transcript_is_its_own(
    tmp_path: Path, is_found: bool, agent_session_id: str, uuid: str | None
) -> None:
    first = planned()
    assert first.session is not None
    assert first.transcript is not None
    await write(
        tmp_path,
        replace(
            first, session=replace(first.session, agent_session_id=agent_session_id)
        ),
    )

    (written,) = await write(
        tmp_path,
        replace(first, transcript=replace(first.transcript, is_found=is_found)),
    )

    assert (written.transcript and written.transcript.uuid) == uuid
    assert (written.project, written.orchestrator) == ("present", "present")


async def test_dry_run_decides_the_same_and_writes_nothing(tmp_path: Path) -> None:
    projects = [planned("a"), planned("b"), planned("c", "/repos/a")]
    await write(tmp_path, projects[0])
    async with (
        Workers(1, "test-write") as workers,
        open_for_reading(tmp_path, workers) as database,
    ):
        assert database is not None
        dry = await run_stage(
            stages.write.run,
            projects,
            database=database,
            now=NOW,
            committed=lambda _: None,
            workers=workers,
        )
    before = rows(tmp_path, "SELECT id FROM projects")
    wet = await write(tmp_path, *projects)

    assert dry == wet
    assert before == [("a",)]


async def test_dry_run_needs_no_database() -> None:
    async with Workers(1, "test-write") as workers:
        written = await run_stage(
            stages.write.run,
            [planned("a"), planned("b", "/repos/a")],
            database=None,
            now=NOW,
            committed=lambda _: None,
            workers=workers,
        )

    assert [each.project for each in written] == ["imported", "conflicting"]


async def test_more_projects_than_a_transaction_holds_are_all_written(
    tmp_path: Path,
) -> None:
    projects = [planned(f"p{number:03}") for number in range(250)]

    written = await write(tmp_path, *projects)

    assert [each.id for each in written] == [each.project.id for each in projects]
    assert rows(tmp_path, "SELECT count(*) FROM sessions") == [(250,)]


async def test_row_that_the_database_refuses_stops_the_run_with_its_transaction(
    tmp_path: Path,
) -> None:
    bad = planned("b")
    assert bad.session is not None
    projects = [planned("a"), replace(bad, session=replace(bad.session, harness="x"))]

    with pytest.raises(WriteFailed, match="a rule that refuses a row of the import"):
        await write(tmp_path, *projects)

    assert rows(tmp_path, "SELECT id FROM projects") == []
