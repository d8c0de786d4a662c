from __future__ import annotations

from functools import partial
from pathlib import Path

from stages.database.lookup import ExistingSession, Lookup, look_up
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
    ids, paths, sessions = ["a", "b", "c"], ["/a", "/old", "'"], ["a-orchestrator", "x"]
    find = partial(look_up, project_ids=ids, paths=paths, session_ids=sessions)

    async with (
        Workers(1, "test-lookup") as workers,
        open_for_reading(tmp_path, workers) as database,
    ):
        assert database is not None
        lookup = await database.read(find)

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
    assert await find(None) == Lookup(
        project_ids=frozenset(), id_by_path={}, sessions={}, numbered=frozenset()
    )
