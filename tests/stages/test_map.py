from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import stages.map
from stages.map import map_project
from stages.map.harness import HARNESSES, map_harness
from stages.map.project import is_refused_path, map_permissions, map_project_row
from stages.map.session import (
    map_activity,
    map_managed,
    map_session_row,
    map_transcript,
    why_not_importable,
)
from stages.messages import (
    Behaviour,
    LegacyProject,
    Note,
    ProjectRow,
    Role,
    SessionRow,
    TranscriptPlan,
)
from tests.support import ENTRY, HOME, OLD, ORCHESTRATOR, OTHER_UUID, UUID, run_stage

STORED_OLD = "2026-03-01 10:00:00 +0000 UTC"
FIRST, SECOND, THIRD = (datetime(2026, 4, day, tzinfo=UTC) for day in (1, 2, 3))
STORED_FIRST, STORED_SECOND, STORED_THIRD = (
    f"2026-04-0{day} 00:00:00 +0000 UTC" for day in (1, 2, 3)
)


def config_of(
    behaviour: Behaviour, **identity: Any
) -> tuple[Any, list[tuple[str, str]]]:
    """Return the configuration that a behaviour becomes, and the notes' kinds and texts."""
    row, notes = map_project_row(replace(ENTRY, behaviour=behaviour, **identity))
    config = None if row.config is None else json.loads(row.config)

    return config, [(note.kind, note.text) for note in notes]


@pytest.mark.parametrize(
    ("word", "mode", "lossy"),
    [
        pytest.param(
            "permissionless", "bypass-permissions", False, id="B3-permissionless"
        ),
        pytest.param("skip", "bypass-permissions", False, id="B3-skip"),
        pytest.param("auto-edit", "accept-edits", False, id="B3-auto-edit"),
        pytest.param("default", "default", False, id="B3-default"),
        pytest.param("suggest", "default", True, id="B3-suggest"),
        pytest.param("SKIP", "default", True, id="B3-case-counts"),
        pytest.param("", "default", True, id="B3-empty"),
        pytest.param("bypass-permissions", "default", True, id="B3-new-word"),
    ],
)
def test_permissions(word: str, mode: str, lossy: bool) -> None:
    assert map_permissions(word) == (mode, lossy)


@pytest.mark.parametrize(
    ("agent", "harness"),
    [
        *(pytest.param(name, name, id=f"B4-{name}") for name in sorted(HARNESSES)),
        pytest.param("kimicode", "kimi", id="B4-kimicode"),
        pytest.param("Codex", None, id="B4-case-counts"),
        pytest.param("gemini", None, id="B4-unknown"),
        pytest.param("", None, id="B4-empty"),
    ],
)
def test_harness(agent: str, harness: str | None) -> None:
    assert map_harness(agent) == harness


@pytest.mark.parametrize(
    ("behaviour", "config"),
    [
        pytest.param(Behaviour(), None, id="B2-nothing-set"),
        pytest.param(
            Behaviour(env=(("A", "010"), ("B", ""))),
            {"env": {"A": "010", "B": ""}},
            id="B2-env",
        ),
        pytest.param(
            Behaviour(symlinks=("node_modules",), post_create=("make", " x ")),
            {"symlinks": ["node_modules"], "postCreate": ["make", " x "]},
            id="B2-lists",
        ),
        pytest.param(
            Behaviour(
                shared=Role(model="m", permissions="skip"),
                worker=Role(agent="codex", model="w"),
                orchestrator=Role(agent="kimicode", permissions="auto-edit"),
            ),
            {
                "agentConfig": {"model": "m", "permissions": "bypass-permissions"},
                "worker": {"agent": "codex", "agentConfig": {"model": "w"}},
                "orchestrator": {
                    "agent": "kimi",
                    "agentConfig": {"permissions": "accept-edits"},
                },
            },
            id="B2-agents",
        ),
        pytest.param(
            Behaviour(
                agent_rules="be\nkind",
                agent_rules_file=" R.md ",
                orchestrator_rules="x",
            ),
            {
                "agentRules": "be\nkind",
                "agentRulesFile": "R.md",
                "orchestratorRules": "x",
            },
            id="B2-rules",
        ),
        pytest.param(
            Behaviour(
                orchestrator=Role(orchestrator_model="a", model="b"),
                shared=Role(orchestrator_model="c"),
            ),
            {"orchestrator": {"agentConfig": {"model": "a"}}},
            id="B6-own-orchestrator-model",
        ),
        pytest.param(
            Behaviour(
                orchestrator=Role(model="b"), shared=Role(orchestrator_model="c")
            ),
            {"orchestrator": {"agentConfig": {"model": "b"}}},
            id="B6-own-model",
        ),
        pytest.param(
            Behaviour(shared=Role(orchestrator_model="c", model="m")),
            {
                "agentConfig": {"model": "m"},
                "orchestrator": {"agentConfig": {"model": "c"}},
            },
            id="B6-shared-orchestrator-model",
        ),
        pytest.param(
            Behaviour(worker=Role(orchestrator_model="x")),
            None,
            id="B6-worker-has-no-orchestrator-model",
        ),
    ],
)
def test_configuration(behaviour: Behaviour, config: object) -> None:
    assert config_of(behaviour) == (config, [])


@pytest.mark.parametrize(
    ("branch", "config"),
    [
        pytest.param("main", {"defaultBranch": "main"}, id="B2-main"),
        pytest.param(None, None, id="B2-unset"),
        pytest.param("develop", {"defaultBranch": "develop"}, id="B2-develop"),
    ],
)
def test_default_branch(branch: str | None, config: object) -> None:
    assert config_of(Behaviour(), default_branch=branch) == (config, [])


@pytest.mark.parametrize(
    ("behaviour", "config", "notes"),
    [
        pytest.param(
            Behaviour(worker=Role(agent="gemini\n")),
            None,
            [("harness", 'worker agent "gemini\\n" is unknown to the new application')],
            id="B4-unknown",
        ),
        pytest.param(
            Behaviour(shared=Role(permissions="suggest")),
            {"agentConfig": {"permissions": "default"}},
            [
                (
                    "permissions",
                    'agentConfig permission "suggest" mapped lossily to "default"',
                )
            ],
            id="B3-lossy",
        ),
        pytest.param(
            Behaviour(symlinks=("ok", "/etc", "a/../../b")),
            {"symlinks": ["ok"]},
            [
                ("refused-value", 'symlink "/etc" is refused by the new application'),
                (
                    "refused-value",
                    'symlink "a/../../b" is refused by the new application',
                ),
            ],
            id="B7-symlinks",
        ),
        pytest.param(
            Behaviour(agent_rules_file="../R.md"),
            None,
            [
                (
                    "refused-value",
                    'agentRulesFile "../R.md" is refused by the new application',
                )
            ],
            id="B7-rules-file",
        ),
    ],
)
def test_what_the_new_application_refuses_is_dropped_with_a_note(
    behaviour: Behaviour, config: object, notes: list[tuple[str, str]]
) -> None:
    assert config_of(behaviour) == (config, notes)


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        pytest.param("a/b", False, id="B7-relative"),
        pytest.param("./a", False, id="B7-dot"),
        pytest.param("..a/b..", False, id="B7-dots-in-a-name"),
        pytest.param("/a", True, id="B7-absolute"),
        pytest.param("\\a", True, id="B7-backslash"),
        pytest.param("C:/a", True, id="B7-drive"),
        pytest.param("..", True, id="B7-parent"),
        pytest.param("a/..", True, id="B7-parent-at-the-end"),
        pytest.param("a\\..\\b", True, id="B7-parent-between-backslashes"),
    ],
)
def test_path_that_leads_out_of_the_project_is_refused(
    path: str, refused: bool
) -> None:
    assert is_refused_path(path) is refused


@pytest.mark.parametrize(
    ("name", "display_name"),
    [
        pytest.param("The App", "The App", id="row-name"),
        pytest.param("app", "", id="row-name-equals-id"),
    ],
)
def test_project_row(name: str, display_name: str) -> None:
    entry = replace(
        ENTRY, display_name=name, origin_url="https://h/x", registered_at=OLD
    )

    row, notes = map_project_row(entry)

    assert row == ProjectRow(
        id="app",
        path="/repos/app",
        repo_origin_url="https://h/x",
        display_name=display_name,
        registered_at=STORED_OLD,
        config=None,
    )
    assert notes == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({}, None, id="S6-live"),
        pytest.param({"agent": "codex"}, None, id="S6-codex"),
        pytest.param({"agent": "opencode"}, None, id="S6-opencode"),
        pytest.param(
            {"is_terminal": True, "state": "done"},
            "orchestrator is terminal (state=done)",
            id="S6-state",
        ),
        pytest.param(
            {
                "is_terminal": True,
                "has_lifecycle": False,
                "state": None,
                "status": "killed",
            },
            "orchestrator is terminal (state=killed)",
            id="S6-status",
        ),
        pytest.param(
            {"is_terminal": True, "state": None, "status": "killed"},
            "orchestrator is terminal (state=?)",
            id="S6-lifecycle-without-state",
        ),
        pytest.param(
            {"agent": "aider"},
            'orchestrators of the harness "aider" are not imported',
            id="S6-harness",
        ),
        pytest.param(
            {"agent": ""},
            'orchestrators of the harness "" are not imported',
            id="S6-no-harness",
        ),
    ],
)
def test_orchestrator_that_is_left_out_has_a_note(
    changes: dict[str, Any], text: str | None
) -> None:
    note = why_not_importable("app", replace(ORCHESTRATOR, **changes))

    assert (note and note.text) == text
    assert note is None or (note.project_id, note.source) == ("app", ORCHESTRATOR.file)


@pytest.mark.parametrize(
    ("state", "activity"),
    [
        pytest.param("working", "active", id="L4-working"),
        pytest.param("needs_input", "waiting_input", id="L4-needs_input"),
        *(
            pytest.param(state, "idle", id=f"L4-{state}")
            for state in (
                "not_started",
                "idle",
                "stuck",
                "detecting",
                "pr_open",
                "",
                None,
            )
        ),
    ],
)
def test_activity_by_state(state: str | None, activity: str) -> None:
    orchestrator = replace(ORCHESTRATOR, state=state, status="working")

    assert map_activity(orchestrator) == activity


@pytest.mark.parametrize(
    ("status", "activity"),
    [
        pytest.param("needs_input", "waiting_input", id="L3-needs_input"),
        *(
            pytest.param(status, "idle", id=f"L3-{status}")
            for status in ("spawning", "stuck", "idle", "merged", "new", None)
        ),
        *(
            pytest.param(status, "active", id=f"L3-{status}")
            for status in (
                "working",
                "starting",
                "detecting",
                "pr_open",
                "ci_failed",
                "review_pending",
                "changes_requested",
                "approved",
                "mergeable",
            )
        ),
    ],
)
def test_activity_by_status_where_there_is_no_lifecycle(
    status: str | None, activity: str
) -> None:
    orchestrator = replace(ORCHESTRATOR, has_lifecycle=False, state=None, status=status)

    assert map_activity(orchestrator) == activity


def test_session_row_has_every_column() -> None:
    orchestrator = replace(
        ORCHESTRATOR,
        display_name="Lead",
        branch="main",
        prompt="Coordinate.",
        claude_session_uuid=UUID,
        created_at=FIRST,
        last_transition_at=SECOND,
    )

    row, notes = map_session_row(
        replace(ENTRY, prefix="ap"),
        orchestrator,
        map_managed(replace(ENTRY, prefix="ap"), HOME),
    )

    assert notes == []
    assert row == SessionRow(
        id="ap-orchestrator",
        project_id="app",
        harness="claude-code",
        activity_state="active",
        activity_last_at=STORED_SECOND,
        branch="ao/ap-orchestrator",
        workspace_path="/data/worktrees/app/orchestrator/ap-orchestrator",
        agent_session_id=UUID,
        prompt="Coordinate.",
        created_at=STORED_FIRST,
        updated_at=STORED_SECOND,
        display_name="Lead",
        first_signal_at=STORED_SECOND,
    )


@pytest.mark.parametrize(
    ("times", "created", "last", "updated"),
    [
        pytest.param({}, STORED_OLD, STORED_OLD, STORED_OLD, id="row-file"),
        pytest.param(
            {"started_at": FIRST},
            STORED_FIRST,
            STORED_FIRST,
            STORED_FIRST,
            id="row-started",
        ),
        pytest.param(
            {"created_at": FIRST, "started_at": THIRD, "last_observed_at": SECOND},
            STORED_FIRST,
            STORED_SECOND,
            STORED_FIRST,
            id="row-observed",
        ),
        pytest.param(
            {"last_transition_at": SECOND, "last_observed_at": THIRD},
            STORED_OLD,
            STORED_SECOND,
            STORED_SECOND,
            id="row-transition",
        ),
    ],
)
def test_times_of_a_session(
    times: dict[str, Any], created: str, last: str, updated: str
) -> None:
    row, _ = map_session_row(
        ENTRY, replace(ORCHESTRATOR, **times), map_managed(ENTRY, HOME)
    )

    assert (row.created_at, row.activity_last_at, row.updated_at) == (
        created,
        last,
        updated,
    )


@pytest.mark.parametrize(
    ("changes", "resume_id", "kinds"),
    [
        pytest.param({"claude_session_uuid": UUID}, UUID, [], id="row-claude"),
        pytest.param({"claude_session_uuid": OTHER_UUID}, OTHER_UUID, [], id="T2-case"),
        pytest.param({"claude_session_uuid": "x"}, "", ["resume-id"], id="T2-no-uuid"),
        pytest.param({}, "", [], id="row-none"),
        pytest.param(
            {"agent": "codex", "codex_thread_id": "t-1", "claude_session_uuid": UUID},
            "t-1",
            [],
            id="row-codex",
        ),
        pytest.param(
            {"agent": "opencode", "opencode_session_id": "ses_1"},
            "ses_1",
            [],
            id="row-opencode",
        ),
        *(
            pytest.param(
                {"agent": "codex", "codex_thread_id": value},
                "",
                ["resume-id"],
                id=f"row-unfit-{value!r}",
            )
            for value in ("-x", "a b", "a\nb", "a\x00", "a\x9b", "a\u00a0b")
        ),
    ],
)
def test_resume_id(changes: dict[str, Any], resume_id: str, kinds: list[str]) -> None:
    row, notes = map_session_row(
        ENTRY, replace(ORCHESTRATOR, **changes), map_managed(ENTRY, HOME)
    )

    assert (row.agent_session_id, [note.kind for note in notes]) == (resume_id, kinds)


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        pytest.param(
            {"agent": "codex", "codex_model": "o3", "codex_thread_id": "thr"},
            ['codexModel "o3" has no place in the new store'],
            id="L7-codex-model",
        ),
        pytest.param({"codex_model": "o3"}, [], id="L7-model-of-another-agent"),
        pytest.param(
            {"restore_fallback_reason": "lost"},
            ["restoreFallbackReason has no place in the new store"],
            id="L7-restore",
        ),
    ],
)
def test_fields_without_a_column_leave_a_note(
    changes: dict[str, Any], texts: list[str]
) -> None:
    _, notes = map_session_row(
        ENTRY, replace(ORCHESTRATOR, **changes), map_managed(ENTRY, HOME)
    )

    assert [note.text for note in notes] == texts


@pytest.mark.parametrize(
    ("changes", "uuid"),
    [
        pytest.param({"claude_session_uuid": UUID}, UUID, id="T1-named"),
        pytest.param({}, "", id="T3-none-named"),
        pytest.param({"claude_session_uuid": "../x"}, None, id="T2-no-uuid"),
        pytest.param({"agent": "codex", "claude_session_uuid": UUID}, None, id="codex"),
    ],
)
def test_transcript_plan(changes: dict[str, Any], uuid: str | None) -> None:
    plan = map_transcript(ENTRY, replace(ORCHESTRATOR, **changes), "/new")

    assert plan == (
        None
        if uuid is None
        else TranscriptPlan(
            uuid=uuid,
            worktrees=("/wt/app",),
            project_path="/repos/app",
            new_worktree="/new",
        )
    )


def a_project(**changes: Any) -> LegacyProject:
    project = LegacyProject(
        entry=ENTRY,
        orchestrator=ORCHESTRATOR,
        also_live=(),
        also_live_count=0,
        sessions_read=3,
        files_skipped=1,
        notes=(),
    )
    return msgspec.structs.replace(project, **changes)


def a_note(kind: str) -> Note:
    return Note(project_id="app", kind=kind, severity="lossy", text=kind)


def test_notes_go_with_the_row_that_they_are_about() -> None:
    legacy = a_project(
        entry=replace(ENTRY, notes=(a_note("entry"),)),
        orchestrator=replace(ORCHESTRATOR, claude_session_uuid="x"),
        notes=(a_note("record"),),
        also_live=("app-orchestrator-2",),
        also_live_count=1,
    )

    planned = map_project(legacy, HOME)

    assert [note.kind for note in planned.project_notes] == [
        "entry",
        "permissions-unset",
    ]
    assert [note.kind for note in planned.record_notes] == ["record"]
    assert [note.kind for note in planned.session_notes] == [
        "resume-id",
        "several-orchestrators",
    ]
    assert (planned.sessions_read, planned.files_skipped) == (3, 1)


@pytest.mark.parametrize(
    ("orchestrator", "outcome"),
    [
        pytest.param(None, "absent", id="S6-absent"),
        pytest.param(
            replace(ORCHESTRATOR, is_terminal=True), "skipped", id="S6-terminal"
        ),
        pytest.param(replace(ORCHESTRATOR, agent="aider"), "skipped", id="S6-harness"),
        pytest.param(ORCHESTRATOR, "planned", id="S6-live"),
    ],
)
def test_orchestrator_is_planned_skipped_or_absent(
    orchestrator: Any, outcome: str
) -> None:
    planned = map_project(a_project(orchestrator=orchestrator), HOME)

    assert planned.orchestrator == outcome
    assert (planned.session is not None) == (outcome == "planned")


async def test_transcript_goes_to_the_worktree_that_the_session_will_have() -> None:
    (planned,) = await run_stage(stages.map.run, [a_project()], home=HOME)

    assert planned.transcript.new_worktree == (
        "/data/worktrees/app/orchestrator/app-orchestrator"
    )
