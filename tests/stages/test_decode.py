from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import stages.decode
from stages.decode import read_project
from stages.decode.choice import Choice, Names
from stages.decode.lifecycle import Lifecycle, find_lifecycle, is_terminal
from stages.decode.record import decode_key_value, decode_orchestrator, decode_record
from stages.floor.workers import Workers
from stages.messages import Behaviour, Entry, LegacyProject, Orchestrator, Role
from tests.support import (
    ENTRY,
    OLD,
    ORCHESTRATOR,
    UUID,
    Store,
    lifecycle,
    never,
    run_stage,
)

needs_fifo = pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="this system has no FIFOs"
)
STATE = {"session": {"state": "idle"}, "runtime": {"lastObservedAt": "x"}}
FOUND = Lifecycle(session={"state": "idle"}, runtime={"lastObservedAt": "x"})


@pytest.mark.parametrize(
    ("record", "is_v1", "found"),
    [
        pytest.param({"lifecycle": STATE}, False, FOUND, id="L1-object"),
        pytest.param({"lifecycle": json.dumps(STATE)}, False, FOUND, id="L1-string"),
        pytest.param(
            {"lifecycle": {key: json.dumps(value) for key, value in STATE.items()}},
            False,
            FOUND,
            id="L1-strings-inside",
        ),
        pytest.param(
            {"lifecycle": "", "statePayload": STATE, "stateVersion": 2},
            False,
            FOUND,
            id="L1-empty-string-then-payload",
        ),
        pytest.param(
            {"statePayload": json.dumps(STATE), "stateVersion": "2"},
            False,
            FOUND,
            id="L1-payload-text-version",
        ),
        pytest.param({"statePayload": STATE}, False, None, id="L1-no-version"),
        pytest.param(
            {"statePayload": STATE, "stateVersion": "3"}, False, None, id="L1-version-3"
        ),
        pytest.param(
            {"statePayload": STATE, "stateVersion": True}, False, None, id="L1-true"
        ),
        pytest.param({"statePayload": STATE}, True, FOUND, id="L1-V1-always"),
        pytest.param({"lifecycle": [STATE]}, False, None, id="L1-list"),
        pytest.param({"lifecycle": "[1]"}, False, None, id="L1-string-of-a-list"),
        pytest.param({}, False, None, id="L1-none"),
        pytest.param(
            {"lifecycle": {"session": 1, "runtime": "x"}},
            False,
            Lifecycle(session={}, runtime={}),
            id="L1-blocks-of-a-wrong-type",
        ),
    ],
)
def test_lifecycle_is_found_in_all_its_encodings(
    record: dict[str, object], is_v1: bool, found: Lifecycle | None
) -> None:
    assert find_lifecycle(record, is_v1=is_v1) == found


@pytest.mark.parametrize(
    ("session", "status", "expected"),
    [
        pytest.param({"state": "done"}, None, True, id="L2-done"),
        pytest.param({"state": "terminated"}, None, True, id="L2-terminated"),
        pytest.param({"state": "idle"}, "killed", False, id="L2-status-does-not-count"),
        pytest.param({"terminatedAt": "x"}, None, True, id="L2-terminated-at"),
        pytest.param({"terminatedAt": ""}, None, True, id="L2-not-null-is-enough"),
        pytest.param({"terminatedAt": None}, None, False, id="L2-null"),
        *(
            pytest.param(None, status, True, id=f"L3-{status}")
            for status in ("killed", "terminated", "cleanup", "errored", "done")
        ),
        *(
            pytest.param(None, status, False, id=f"L3-{status}")
            for status in ("merged", "stuck", "working", "DONE", None)
        ),
    ],
)
def test_ended_session(
    session: dict[str, object] | None, status: str | None, expected: bool
) -> None:
    found = None if session is None else Lifecycle(session=session, runtime={})

    assert is_terminal(found, status) is expected


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        pytest.param("a=1\nb = 2 \n", {"a": "1", "b": "2"}, id="V1-blanks"),
        pytest.param("a=b=c", {"a": "b=c"}, id="V1-first-divider"),
        pytest.param("#a=1\n # b=2\nnoise\n\nc=", {"c": ""}, id="V1-skipped-lines"),
        pytest.param("a=1\na=2", {"a": "2"}, id="V1-last-wins"),
        pytest.param("\ufeffa=1\r\nb=2\r\n", {"a": "1", "b": "2"}, id="V1-windows"),
        pytest.param("a=x\u2028y\x0b", {"a": "x\u2028y"}, id="V1-other-line-ends"),
        pytest.param("", {}, id="V1-empty"),
    ],
)
def test_old_record_is_lines_of_pairs(text: str, pairs: dict[str, str]) -> None:
    found = {key: value for key, value in (decode_key_value(text) or {}).items() if key}

    assert found == pairs


@pytest.mark.parametrize(
    ("data", "record"),
    [
        pytest.param(b'{"a": 1}', {"a": 1}, id="S3-V1-json"),
        pytest.param(b'{"a": ', None, id="S3-V1-broken-json"),
        pytest.param(b"noise", None, id="S3-V1-noise"),
        pytest.param(b"a=\xff", {"a": "\ufffd"}, id="S3-V1-bad-utf-8"),
    ],
)
def test_old_record_may_be_json(data: bytes, record: dict[str, object] | None) -> None:
    assert decode_record(data)[0] == record


def decoded(record: dict[str, object], inherited_agent: str = "") -> Orchestrator:
    return decode_orchestrator(
        record,
        stem="app-orchestrator",
        file=ORCHESTRATOR.file,
        modified_at=OLD,
        is_v1=False,
        inherited_agent=inherited_agent,
    )


@pytest.mark.parametrize(
    ("record", "inherited", "agent"),
    [
        pytest.param(
            {"agent": "codex", "claudeSessionUuid": "x"}, "", "codex", id="L5-own"
        ),
        pytest.param({"agent": " codex "}, "", "codex", id="L5-trimmed"),
        pytest.param(
            {"claudeSessionUuid": "x", "codexThreadId": "y"},
            "",
            "claude-code",
            id="L5-first",
        ),
        pytest.param(
            {"claudeSessionUuid": " ", "codexThreadId": "y"},
            "x",
            "codex",
            id="L5-blank",
        ),
        pytest.param({"opencodeSessionId": "z"}, "codex", "opencode", id="L5-last"),
        pytest.param({"agent": 7}, "codex", "codex", id="L5-wrong-type"),
        pytest.param({}, "codex", "codex", id="L5-inherited"),
        pytest.param({}, "", "", id="L5-none"),
    ],
)
def test_agent_of_a_record(
    record: dict[str, object], inherited: str, agent: str
) -> None:
    assert decoded(record, inherited).agent == agent


def test_record_is_decoded_field_by_field() -> None:
    record: dict[str, object] = {
        "agent": "claude-code",
        "displayName": "Lead \ud83d",
        "branch": "main",
        "worktree": "/wt/app",
        "userPrompt": "Go.",
        "claudeSessionUuid": f" {UUID} ",
        "codexModel": " o3 ",
        "restoreFallbackReason": "lost",
        "status": "working",
        "createdAt": "2026-04-01T00:00:00Z",
        "lifecycle": {
            "session": {
                "state": "needs_input",
                "startedAt": "2026-04-02T00:00:00Z",
                "lastTransitionAt": "2026-04-03T00:00:00Z",
            },
            "runtime": {"lastObservedAt": "2026-04-04T00:00:00Z"},
        },
    }

    assert decoded(record) == replace(
        ORCHESTRATOR,
        display_name="Lead \ufffd",
        branch="main",
        prompt="Go.",
        claude_session_uuid=UUID,
        codex_model="o3",
        restore_fallback_reason="lost",
        status="working",
        state="needs_input",
        created_at=datetime(2026, 4, 1, tzinfo=UTC),
        started_at=datetime(2026, 4, 2, tzinfo=UTC),
        last_transition_at=datetime(2026, 4, 3, tzinfo=UTC),
        last_observed_at=datetime(2026, 4, 4, tzinfo=UTC),
    )


def test_field_of_a_wrong_type_counts_as_absent() -> None:
    record = dict.fromkeys(
        ("displayName", "branch", "worktree", "userPrompt", "status", "createdAt"), 7
    )

    assert decoded({**record, "lifecycle": lifecycle()}) == replace(
        ORCHESTRATOR, agent="", worktrees=()
    )


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        pytest.param("ap-orchestrator", True, id="S4-prefix"),
        pytest.param("leg-orchestrator", True, id="S4-legacy-prefix"),
        pytest.param("ap-orchestrator-12", True, id="S4-numbered"),
        pytest.param("leg-orchestrator-3", False, id="S4-worker-of-another-project"),
        pytest.param("ap-orchestrator-", False, id="S4-no-digits"),
        pytest.param("ap-orchestrator-1a", False, id="S4-not-only-digits"),
        pytest.param("ap-orchestrator-١", False, id="S4-other-digits"),
        pytest.param("xap-orchestrator", False, id="S4-longer"),
        pytest.param("ap-1", False, id="S4-worker"),
        pytest.param("app-orchestrator", False, id="S4-id-is-no-prefix"),
    ],
)
def test_name_of_an_orchestrator(stem: str, expected: bool) -> None:
    entry = replace(
        ENTRY,
        prefix="ap",
        legacy_prefixes=("ap", "leg"),
        foreign_stems=frozenset({"leg-orchestrator"}),
    )

    assert Names(entry).is_orchestrator(stem) is expected


def at(day: int) -> datetime:
    return datetime(2026, 5, day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("candidates", "best"),
    [
        pytest.param(
            [{"stem": "a", "is_terminal": True, "created_at": at(9)}, {"stem": "b"}],
            "b",
            id="S5-live-before-terminal",
        ),
        pytest.param(
            [{"stem": "app-orchestrator", "agent": "aider"}, {"stem": "b"}],
            "b",
            id="S5-importable-first",
        ),
        pytest.param(
            [{"stem": "a", "created_at": at(9)}, {"stem": "app-orchestrator"}],
            "app-orchestrator",
            id="S5-canonical-name",
        ),
        pytest.param(
            [
                {"stem": "a", "created_at": at(9)},
                {"stem": "b", "created_at": at(1), "last_transition_at": at(10)},
            ],
            "b",
            id="S5-transition-before-creation",
        ),
        pytest.param(
            [{"stem": "a", "modified_at": at(1)}, {"stem": "b", "modified_at": at(2)}],
            "b",
            id="S5-latest",
        ),
        pytest.param([{"stem": "b"}, {"stem": "a"}], "a", id="S5-smaller-name"),
        pytest.param(
            [
                {"stem": "a", "is_terminal": True},
                {"stem": "b", "is_terminal": True, "created_at": at(9)},
            ],
            "b",
            id="S5-terminal-alone",
        ),
        pytest.param([], None, id="S6-none"),
    ],
)
def test_choice_does_not_depend_on_the_order(
    candidates: list[dict[str, Any]], best: str | None
) -> None:
    for order in (candidates, candidates[::-1]):
        choice = Choice(Names(ENTRY), includes_ended=False)
        for changes in order:
            choice.consider(replace(ORCHESTRATOR, **changes))

        assert (choice.best and choice.best.stem) == best


def test_of_thousands_only_a_few_names_are_kept() -> None:
    choice = Choice(Names(ENTRY), includes_ended=False)
    for number in range(5000):
        choice.consider(replace(ORCHESTRATOR, stem=f"x-{number:04}"))

    assert choice.live_count == 5000
    assert choice.best == replace(ORCHESTRATOR, stem="x-0000")
    assert choice.also_live == tuple(f"x-{number:04}" for number in range(1, 21))


# --- On disk. ---


def an_entry(store: Store, **changes: Any) -> Entry:
    project = store.root / "projects" / "app"

    return replace(
        ENTRY,
        sessions_directories=(str(project / "sessions"),),
        standalone_file=str(project / "orchestrator.json"),
        **changes,
    )


def read(store: Store, **changes: Any) -> LegacyProject:
    return read_project(an_entry(store, **changes), never)


def chosen(project: LegacyProject) -> str | None:
    return project.orchestrator.stem if project.orchestrator else None


def notes_of(project: LegacyProject) -> list[tuple[str, str]]:
    return [(note.kind, note.severity) for note in project.notes]


def test_project_without_sessions_has_no_orchestrator(tmp_path: Path) -> None:
    project = read(Store(tmp_path / "home"))

    assert project.orchestrator is None
    assert notes_of(project) == []


@needs_fifo
def test_only_regular_files_that_may_be_records_are_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    file = store.record(displayName="right")
    directory = file.parent
    record = file.read_text(encoding="utf-8")
    for name in (
        ".app-orchestrator.json",
        "app-orchestrator.json.corrupt-1",
        "app-orchestrator-9.json.corrupt-1.json",
        "app-orchestrator-2.txt",
    ):
        store.write(directory / name, record.replace("right", "wrong"))
    store.write(directory / "app-orchestrator-3.json", b"")
    (directory / "app-orchestrator-4.json").mkdir()
    os.mkfifo(directory / "app-orchestrator-5.json")
    (directory / "app-orchestrator-6.json").symlink_to("nowhere")
    (directory / "app-orchestrator-7.json").symlink_to("app-orchestrator-7.json")

    project = read(store)

    assert chosen(project) == "app-orchestrator"
    assert (project.also_live_count, project.sessions_read) == (0, 1)
    assert notes_of(project) == []


def test_link_to_a_record_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    file = store.record()
    elsewhere = file.rename(tmp_path / "elsewhere.json")
    file.symlink_to(elsewhere)

    assert chosen(read(store)) == "app-orchestrator"


@pytest.mark.parametrize("at_once", [1, 100, 65_536])
@pytest.mark.parametrize("padding", [0, 65_536, 200_000])
def test_record_that_comes_in_pieces_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, padding: int
) -> None:
    store = Store(tmp_path / "home")
    store.record(stem="app-1", role="worker", userPrompt="x" * padding)
    store.record(stem="app-2", userPrompt="x" * padding)  # by its role alone
    read_fully, sizes = os.read, iter([at_once] * 4)  # then as much as is wanted
    monkeypatch.setattr(
        os, "read", lambda fd, size: read_fully(fd, min(size, next(sizes, size)))
    )

    project = read(store)

    assert (project.sessions_read, chosen(project)) == (2, "app-2")
    assert notes_of(project) == []


@pytest.mark.parametrize(
    ("name", "content", "notes"),
    [
        pytest.param("app-1.json", b"{", [("record-damaged", "lossy")], id="S3-worker"),
        pytest.param(
            "app-orchestrator.json",
            b"[]",
            [("record-damaged", "failed")],
            id="S3-by-name",
        ),
        pytest.param(
            "app-orchestrator-2.json",
            b"no json",
            [("record-damaged", "failed")],
            id="S3-by-numbered-name",
        ),
        pytest.param(
            "app-1.json",
            b" " * (16 * 1024 * 1024 + 1),
            [("record-oversized", "failed")],
            id="S3-oversized",
        ),
    ],
)
def test_record_that_cannot_be_read_leaves_a_note(
    tmp_path: Path, name: str, content: bytes, notes: list[tuple[str, str]]
) -> None:
    store = Store(tmp_path / "home")
    store.write(store.root / "projects" / "app" / "sessions" / name, content)

    project = read(store)

    assert project.orchestrator is None
    assert notes_of(project) == notes
    assert name in project.notes[0].text


def test_record_that_names_another_registered_project_does_not_count(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "home")
    store.record(project="other")
    store.record(stem="app-orchestrator-2", project="unregistered")

    project = read(store, registered_ids=frozenset({"app", "other"}))

    assert chosen(project) == "app-orchestrator-2"


def test_standalone_orchestrator_counts_only_where_sessions_have_none(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "home")
    store.write(
        store.root / "projects" / "app" / "orchestrator.json", {"agent": "codex"}
    )
    store.record(stem="app-1", role="worker")

    assert chosen(read(store)) == "orchestrator"
    store.record()
    assert chosen(read(store)) == "app-orchestrator"


def test_old_directories_are_read_only_where_there_is_no_newer_one(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "home")
    old = "abcdef012345-app"
    store.v1_record(old, "app-orchestrator", agent="codex", role="orchestrator")
    store.v1_record(
        f"{old}/sessions/archive", "app-orchestrator-2", role="orchestrator"
    )
    directories = (str(store.root / old),)

    before = read(store, v1_directories=directories)
    store.record(stem="app-1", role="worker")
    after = read(store, v1_directories=directories)

    assert chosen(before) == "app-orchestrator"
    assert chosen(after) is None
    assert [(note.kind, old in note.text) for note in after.notes] == [
        ("hidden-sessions", True)
    ]


def test_agent_of_a_record_that_names_none_is_the_configured_one(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "home")
    store.record(agent="")
    behaviour = Behaviour(orchestrator=Role(agent="codex"))

    project = read(store, behaviour=behaviour)

    assert project.orchestrator is not None
    assert project.orchestrator.agent == "codex"


@pytest.mark.parametrize(
    ("record", "worktrees"),
    [
        pytest.param({}, (), id="T1-none"),
        pytest.param({"worktree": "/wt/a"}, ("/wt/a",), id="T1-worktree"),
        pytest.param(
            {
                "worktree": "/wt/a",
                "runtimeHandle": {"data": {"workspacePath": "/old/a"}},
                "lifecycle": {
                    "session": {"state": "working"},
                    "runtime": {"handle": {"data": {"workspacePath": "/older/a"}}},
                },
            },
            ("/wt/a", "/old/a", "/older/a"),
            id="T1-migrated",
        ),
        pytest.param(
            {
                "worktree": "/wt/a",
                "runtimeHandle": json.dumps({"data": {"workspacePath": "/old/a"}}),
            },
            ("/wt/a", "/old/a"),
            id="T1-handle-as-text",
        ),
        pytest.param(
            {
                "worktree": "/wt/a",
                "runtimeHandle": {"data": {"workspacePath": "/wt/a"}},
            },
            ("/wt/a",),
            id="T1-the-same-place-once",
        ),
        pytest.param(
            {"worktree": 7, "runtimeHandle": {"data": [{"workspacePath": "/x"}]}},
            (),
            id="T1-wrong-types",
        ),
    ],
)
def test_worktrees_are_all_the_places_that_the_record_names(
    tmp_path: Path, record: dict[str, Any], worktrees: tuple[str, ...]
) -> None:
    store = Store(tmp_path / "home")
    store.record(**record)

    found = read(store).orchestrator

    assert found is not None
    assert found.worktrees == worktrees


def test_migration_that_was_rolled_back_has_left_the_worktree_below_the_old_directory(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "home")
    old = str(store.root / "abcdef012345-app")
    worktree = str(store.root / "projects" / "app" / "worktrees" / "app-orchestrator")
    store.v1_record(old, "app-orchestrator", role="orchestrator", worktree=worktree)

    found = read(store, v1_directories=(old,)).orchestrator

    assert found is not None
    assert found.worktrees == (worktree, f"{old}/worktrees/app-orchestrator")


async def test_names_of_other_characters_are_no_records(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    file = store.record()
    name = os.fsdecode(b"app-orchestrator-\xff.json")
    try:
        (file.parent / name).write_bytes(file.read_bytes())
    except OSError:
        pytest.skip("this file system takes no such names")
    async with Workers(1, "test-decode") as workers:
        (project,) = await run_stage(
            stages.decode.run,
            [an_entry(store)],
            workers=workers,
        )

    assert chosen(project) == "app-orchestrator"
    assert project.also_live_count == 0
