from __future__ import annotations

from functools import partial
from pathlib import Path

from anyio import to_thread

from stages.database.lookup import ExistingSession, Lookup, find_owners, look_up
from stages.database.reading import open_for_reading
from stages.database.schema import CREATE_STATEMENTS
from stages.floor.workers import Workers
from tests.stages.database.databases import TIME, make, project, session


async def test_lookup_says_what_is_there(tmp_path: Path) -> None:
    make(
        tmp_path,
        *CREATE_STATEMENTS,
        project("a", "/a"),
        project("b", "/a"),
        project("old", "/old"),
        f"UPDATE projects SET archived_at = '{TIME}' WHERE id = 'old'",
        session("a-orchestrator", "a", 0),
        session("b-1", "b", 1),
    )
    ids, sessions = ["a", "b", "c"], ["a-orchestrator", "x"]
    find = partial(look_up, project_ids=ids, session_ids=sessions)

    async with (
        Workers(1, "test-lookup") as workers,
        open_for_reading(tmp_path, workers) as database,
    ):
        assert database is not None
        lookup = await database.read(find)

    assert lookup == Lookup(
        project_ids=frozenset({"a", "b"}),
        sessions={
            "a-orchestrator": ExistingSession(
                project_id="a", harness="codex", agent_session_id="x"
            )
        },
        numbered=frozenset({"a"}),
        live={},
    )
    assert await find(None) == Lookup(
        project_ids=frozenset(), sessions={}, numbered=frozenset(), live={}
    )


async def test_a_path_leads_to_its_unarchived_project_through_links(
    tmp_path: Path,
) -> None:
    tmp_path = await to_thread.run_sync(tmp_path.resolve)
    (tmp_path / "app").mkdir()
    (tmp_path / "alias").symlink_to("app")
    make(
        tmp_path / "data",
        *CREATE_STATEMENTS,
        project("a", str(tmp_path / "alias")),
        project("gone", "/gone"),
        project("old", "/old"),
        f"UPDATE projects SET archived_at = '{TIME}' WHERE id = 'old'",
    )

    async with (
        Workers(1, "test-lookup") as workers,
        open_for_reading(tmp_path / "data", workers) as database,
    ):
        assert database is not None
        owners = await database.read(partial(find_owners, workers))

    assert owners == {str(tmp_path / "app"): "a", "/gone": "gone"}
