"""What holds for every input: mappers are total, rows fit, a second import changes nothing."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from stages.database.decision import Decider
from stages.database.lookup import Lookup
from stages.database.schema import CREATE_STATEMENTS
from stages.decode.record import (
    decode_orchestrator,
    decode_record,
    has_role,
    is_v1_worker,
)
from stages.discover.behaviour import Defaults, read_behaviour, unknown_fields
from stages.discover.yaml_text import Node
from stages.map import map_project
from stages.messages import (
    Entry,
    LegacyProject,
    Note,
    Orchestrator,
    PlannedProject,
    ProjectRow,
    SessionRow,
    WorktreeRow,
)
from tests.strategies import (
    any_json,
    any_nodes,
    entries,
    ids,
    orchestrators,
    records,
    texts,
)
from tests.support import ENTRY, HOME, NOW, OLD, ORCHESTRATOR, UUID, Store, snapshot

Row = ProjectRow | SessionRow | WorktreeRow
NOTHING_THERE = Lookup(
    project_ids=frozenset(), sessions={}, numbered=frozenset(), live={}
)
_FIELDS = (
    "agent",
    "agentConfig",
    "agentRules",
    "env",
    "name",
    "orchestrator",
    "postCreate",
    "registeredAt",
    "repo",
    "sessionPrefix",
    "symlinks",
    "tracker",
    "worker",
)
mappings: st.SearchStrategy[dict[str, Node]] = st.dictionaries(
    st.sampled_from(_FIELDS) | texts, any_nodes, max_size=6
)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.execute("PRAGMA foreign_keys = ON")
        for statement in CREATE_STATEMENTS:
            made.execute(statement)
        yield made


def insert(
    database: sqlite3.Connection, table: str, key: str, row: Row
) -> tuple[object, ...]:
    """Insert a row and return it as it is read back."""
    columns = row.__struct_fields__
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
    database.execute(statement, astuple(row))
    where = (getattr(row, key),)
    read = database.execute(f"SELECT {names} FROM {table} WHERE {key} = ?", where)

    return tuple(read.fetchone())


def fits(database: sqlite3.Connection, planned: PlannedProject) -> None:
    """Insert what a plan becomes, and see that it comes back as it was.

    Every session lies in the managed worktree, on its branch, and bears the daemon's
    mark if there is something to resume it by (rule L9).
    """
    decider = Decider({})
    decider.decide([planned], NOTHING_THERE)
    [project] = decider.projects
    database.execute("BEGIN")
    try:
        stored = replace(project, registered_at=project.registered_at or "now")
        assert insert(database, "projects", "id", stored) == astuple(stored)
        for session in decider.sessions:
            assert insert(database, "sessions", "id", session) == astuple(session)
            assert session.branch == f"{HOME.branches}/{session.id}"
            assert session.workspace_path == os.path.join(
                HOME.worktrees, project.id, "orchestrator", session.id
            )
            assert bool(decider.worktrees) == bool(session.agent_session_id)
        for mark in decider.worktrees:
            found = insert(database, "session_worktrees", "session_id", mark)
            assert found == astuple(mark)
            assert [(mark.branch, mark.worktree_path)] == [
                (each.branch, each.workspace_path) for each in decider.sessions
            ]
    finally:
        database.execute("ROLLBACK")


def are_lines(notes: tuple[Note, ...]) -> bool:
    return all(note.text and note.text.splitlines() == [note.text] for note in notes)


def a_project(entry: Entry, orchestrator: Orchestrator | None) -> LegacyProject:
    return LegacyProject(
        entry=entry,
        orchestrator=orchestrator,
        also_live=(),
        also_live_count=0,
        sessions_read=0,
        files_skipped=0,
        notes=(),
    )


@given(entry=entries(), orchestrator=st.none() | orchestrators)
def test_any_project_becomes_rows_that_the_new_store_takes(
    database: sqlite3.Connection, entry: Entry, orchestrator: Orchestrator | None
) -> None:
    planned = map_project(a_project(entry, orchestrator), HOME)

    fits(database, planned)
    assert are_lines(
        planned.project_notes + planned.session_notes + planned.record_notes
    )
    config = planned.project.config
    assert config is None or json.loads(config)


@given(record=records, is_v1=st.booleans())
def test_any_record_becomes_a_row_that_the_new_store_takes(
    database: sqlite3.Connection, record: dict[str, object], is_v1: bool
) -> None:
    orchestrator = decode_orchestrator(
        record,
        stem=ORCHESTRATOR.stem,
        file=ORCHESTRATOR.file,
        modified_at=OLD,
        is_v1=is_v1,
        inherited_agent="claude-code",
    )

    planned = map_project(a_project(ENTRY, orchestrator), HOME)

    fits(database, planned)
    assert are_lines(planned.session_notes + planned.record_notes)


@given(data=st.binary(max_size=300) | texts.map(lambda text: f"a={text}\n".encode()))
def test_any_bytes_are_an_old_record_or_none(data: bytes) -> None:
    record = decode_record(data)[0]

    assert record is None or all(isinstance(key, str) for key in record)


lines = st.sampled_from(
    [
        "# a comment",
        "project=app",
        "role=orchestrator",
        " role = orchestrator ",
        "role",
        "=",
        "#role=orchestrator",
        '{"role": "orchestrator"}',
        "\ufeffrole=worker",
        "",
    ]
)


@given(lines=st.lists(lines | texts, max_size=6))
def test_old_record_passed_over_at_a_glance_is_a_worker(lines: list[str]) -> None:
    data = "\n".join(lines).encode()
    record = decode_record(data)[0]

    assert not is_v1_worker(data) or (record is not None and not has_role(record))


def test_most_old_records_can_be_passed_over_at_a_glance() -> None:
    assert is_v1_worker(b"# session\nproject=app\nrole=worker\n")
    assert is_v1_worker(b"agent=codex")


@given(mapping=mappings, is_inline=st.booleans())
def test_any_mapping_is_behaviour_that_the_new_store_takes(
    database: sqlite3.Connection, mapping: dict[str, Node], is_inline: bool
) -> None:
    behaviour, notes = read_behaviour(
        mapping, Defaults(), is_inline=is_inline, project_id="app", source="f"
    )
    notes += unknown_fields(mapping, project_id="app", source="f", where="its entry")
    entry = replace(ENTRY, behaviour=behaviour)

    planned = map_project(a_project(entry, None), HOME)

    fits(database, planned)
    assert are_lines((*notes, *planned.project_notes))


@given(text=texts)
def test_text_survives_the_database(database: sqlite3.Connection, text: str) -> None:
    assert database.execute("SELECT ?", (text,)).fetchone() == (text,)


@settings(max_examples=12)
@given(
    projects=st.dictionaries(ids, mappings, min_size=1, max_size=3),
    sessions=st.lists(records, max_size=2),
    found=any_json,
)
async def test_second_import_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    projects: dict[str, dict[str, Node]],
    sessions: list[dict[str, object]],
    found: object,
) -> None:
    store = Store(tmp_path_factory.mktemp("twice") / "home")
    worktree = store.worktree()
    transcript = store.bucket(worktree) / f"{UUID}.jsonl"
    store.write(transcript, json.dumps(found))
    for project_id, mapping in projects.items():
        mapping["path"] = str(store.home / "repos" / project_id)
        for number, record in enumerate(sessions):
            directory = store.root / "projects" / project_id / "sessions"
            stem = f"{project_id[:12]}-orchestrator{f'-{number}' * bool(number)}"
            here = {**record, "worktree": str(worktree)}
            store.write(directory / f"{stem}.json", here)
    store.configure(without_controls(projects))
    legacy = snapshot(store.root)

    first = await store.run_import()
    rows = dump(store)
    copies = contents(store.buckets)
    second = await store.run_import(now=NOW.replace(year=2027))

    assert first.projects_imported == len(projects)
    assert second.projects_imported == second.orchestrators_imported == 0
    assert second.transcripts_relocated == 0
    assert dump(store) == rows
    assert contents(store.buckets) == copies
    assert snapshot(store.root) == legacy
    assert (await store.verify()).faults == ()


def without_controls(value: Any) -> Any:
    """Return the nodes as JSON that YAML takes too: some characters stand in neither."""
    if isinstance(value, dict):
        return {
            without_controls(key): without_controls(each) for key, each in value.items()
        }
    if isinstance(value, list):
        return [without_controls(each) for each in value]
    if isinstance(value, str):
        return "".join(each for each in value if each.isprintable())

    return value


def contents(directory: Path) -> dict[str, tuple[object, ...]]:
    return {
        name: facts
        for name, facts in snapshot(directory).items()
        if facts[2] is not None
    }


def dump(store: Store) -> list[str]:
    with closing(sqlite3.connect(store.database)) as connection:
        return list(connection.iterdump())
