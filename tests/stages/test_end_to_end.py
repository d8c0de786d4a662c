"""Rules that only the whole run shows: all stages, a real store, a real database."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from stages.errors import ImportFailed
from tests.support import OTHER_UUID, UUID, Store, lifecycle, snapshot


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


async def test_everything_of_a_project_arrives(store: Store) -> None:
    worktree = store.worktree()
    store.project(
        name="The App",
        originUrl="https://host/app.git",
        env={"A": "010"},
        agent="claude-code",
        agentConfig={"permissions": "skip"},
        registeredAt=None,
    )
    store.record(
        displayName="Lead",
        branch="main",
        worktree=str(worktree),
        userPrompt="Coordinate.",
        claudeSessionUuid=UUID,
        createdAt="2026-03-01T10:00:00Z",
        lifecycle=lifecycle("needs_input", lastTransitionAt="2026-03-02T11:30:00.250Z"),
    )
    store.write(store.bucket(worktree) / f"{UUID}.jsonl", "{}\n")
    legacy = snapshot(store.root), snapshot(store.bucket(worktree))

    report = await store.run_import()

    project = store.row("projects", "app")
    assert json.loads(project.pop("config")) == {
        "env": {"A": "010"},
        "agentConfig": {"permissions": "bypass-permissions"},
        "worker": {"agent": "claude-code"},
        "orchestrator": {"agent": "claude-code"},
    }
    assert project.pop("registered_at")
    assert project == {
        "id": "app",
        "path": str(store.home / "repos" / "app"),
        "repo_origin_url": "https://host/app.git",
        "display_name": "The App",
        "archived_at": None,
        "kind": "single_repo",
    }
    assert store.row("sessions", "app-orchestrator") == {
        "id": "app-orchestrator",
        "project_id": "app",
        "num": 0,
        "issue_id": "",
        "kind": "orchestrator",
        "harness": "claude-code",
        "activity_state": "waiting_input",
        "activity_last_at": "2026-03-02 11:30:00.25 +0000 UTC",
        "is_terminated": 0,
        "branch": "ao/app-orchestrator",
        "workspace_path": str(
            store.data_dir / "worktrees" / "app" / "orchestrator" / "app-orchestrator"
        ),
        "runtime_handle_id": "",
        "agent_session_id": UUID,
        "prompt": "Coordinate.",
        "created_at": "2026-03-01 10:00:00 +0000 UTC",
        "updated_at": "2026-03-02 11:30:00.25 +0000 UTC",
        "display_name": "Lead",
        "first_signal_at": "2026-03-02 11:30:00.25 +0000 UTC",
    }
    assert (store.new_bucket() / f"{UUID}.jsonl").read_text(encoding="utf-8") == "{}\n"
    assert [problem.kind for problem in report.problems] == ["worktree-stays"]
    assert not report.has_failures
    assert (snapshot(store.root), snapshot(store.bucket(worktree))) == legacy


async def test_database_is_whole_for_a_second_client(store: Store) -> None:
    store.project()
    store.record()
    await store.run_import()

    assert store.rows("PRAGMA foreign_key_check") == []
    assert store.rows("PRAGMA integrity_check") == [("ok",)]
    assert store.rows("SELECT project_id, session_id, event_type FROM change_log") == [
        ("app", "app-orchestrator", "session_created")
    ]
    next_number = "SELECT max(num) + 1 FROM sessions WHERE project_id = 'app'"
    assert store.rows(next_number) == [(1,)]


async def test_transcript_that_was_missed_comes_with_the_next_run(store: Store) -> None:
    worktree = store.worktree()
    store.project()
    store.record(worktree=str(worktree), claudeSessionUuid=UUID)
    first = await store.run_import()
    store.write(store.bucket(worktree) / f"{UUID}.jsonl", "{}\n")

    second = await store.run_import()
    third = await store.run_import()

    counts = [
        (each.transcripts_missing, each.transcripts_relocated, each.transcripts_present)
        for each in (first, second, third)
    ]
    assert counts == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


async def test_newest_transcript_is_decided_once(store: Store) -> None:
    worktree = store.worktree()
    bucket = store.bucket(worktree)
    store.project()
    store.record(worktree=str(worktree))
    store.write(bucket / f"{UUID}.jsonl", "first\n")
    await store.run_import()
    newer = store.write(bucket / f"{OTHER_UUID}.jsonl", "second\n")
    os.utime(newer, (2**31, 2**31))

    report = await store.run_import()

    assert store.row("sessions", "app-orchestrator")["agent_session_id"] == UUID
    assert report.transcripts_present == 1
    assert [file.name for file in store.new_bucket().iterdir()] == [f"{UUID}.jsonl"]


async def test_notes_stand_in_the_order_of_the_ids_however_many_read(
    store: Store,
) -> None:
    projects = {
        f"p{number:02}": {"path": f"/r/{number}", "tracker": {}} for number in range(30)
    }
    store.configure(projects)
    one = await store.run_import(is_dry_run=True, readers=1)
    eight = await store.run_import(is_dry_run=True, readers=8)

    assert [note.partition(":")[0] for note in one.notes] == sorted(projects)
    assert one.notes == eight.notes


async def test_dry_run_leaves_no_trace(store: Store) -> None:
    worktree = store.worktree()
    store.project()
    store.record(worktree=str(worktree), claudeSessionUuid=UUID)
    store.write(store.bucket(worktree) / f"{UUID}.jsonl", "{}\n")
    before = snapshot(store.home)

    report = await store.run_import(is_dry_run=True)

    assert snapshot(store.home) == before
    assert (report.projects_imported, report.transcripts_relocated) == (1, 1)


async def test_no_secret_stands_in_a_note(store: Store) -> None:
    secret = "hunter2"
    store.project(
        env={"TOKEN": [secret], secret: []} | {"A": {"B": secret}},
        originUrl={"url": f"https://me:{secret}@host/x"},
        symlinks=[f"/https://me:{secret}@host/x"],
        agentRulesFile=f"../https://{secret}@host",
    )
    report = await store.run_import(is_dry_run=True)

    assert len(report.notes) > 3
    assert not [
        note for note in report.notes if secret in note.replace(f"env.{secret}", "")
    ]


@pytest.mark.parametrize(
    "content", [b"projects: ]", b"projects: {a: 1, a: 2}", b"\xff"]
)
async def test_broken_configuration_writes_nothing(
    store: Store, content: bytes
) -> None:
    store.write(store.config, content)
    before = snapshot(store.home)

    with pytest.raises(ImportFailed, match="line 1, column"):
        await store.run_import()

    assert snapshot(store.home) == before


async def test_names_that_are_no_text_do_not_stop_a_run(store: Store) -> None:
    store.project(agentConfig={"permissions": "skip"})
    file = store.record()
    name = os.fsdecode(b"app-orchestrator-\xff.json")
    try:
        (file.parent / name).write_bytes(b"no record")
    except OSError:
        pytest.skip("this file system takes no such names")

    report = await store.run_import()

    assert report.orchestrators_imported == 1
    assert [problem.kind for problem in report.problems] == ["no-history"]
    assert report.files_skipped == 1


def test_command_imports_the_same_as_the_functions(store: Store) -> None:
    worktree = store.worktree()
    store.project()
    store.record(worktree=str(worktree), claudeSessionUuid=UUID)
    store.write(store.bucket(worktree) / f"{UUID}.jsonl", "{}\n")
    command = (sys.executable, "-m", "pipeline", "import", "--yes", "--json")
    environment = {
        **os.environ,
        "HOME": str(store.home),
        "USERPROFILE": str(store.home),
    }
    for name in ("AO_DATA_DIR", "AO_RUN_FILE", "AO_GLOBAL_CONFIG", "CLAUDE_CONFIG_DIR"):
        environment.pop(name, None)
    environment.pop("XDG_CONFIG_HOME", None)

    done = subprocess.run(command, env=environment, capture_output=True, timeout=60)

    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["projectsImported"] == report["transcriptsRelocated"] == 1
    assert store.row("sessions", "app-orchestrator")["agent_session_id"] == UUID


def test_command_survives_names_that_are_no_text(store: Store) -> None:
    store.project()
    file = store.record()
    try:
        (file.parent / os.fsdecode(b"app-1-\xff.json")).write_bytes(b"no record")
    except OSError:
        pytest.skip("this file system takes no such names")
    environment = {
        **os.environ,
        "HOME": str(store.home),
        "AO_DATA_DIR": str(store.data_dir),
    }
    root, report = str(store.root), str(store.home / "report.json")
    command = (sys.executable, "-m", "pipeline", "import", "--yes", "--json")

    done = subprocess.run(
        (*command, "--from", root, "--report", report),
        env=environment,
        capture_output=True,
        timeout=60,
    )

    assert done.returncode == 0
    assert json.loads(done.stdout)["projectsImported"] == 1
    assert json.loads(Path(report).read_bytes())["projectsImported"] == 1


async def test_path_taken_in_the_database_is_named(store: Store) -> None:
    store.project("first")
    await store.run_import()
    store.configure({"second": {"path": str(store.home / "repos" / "first")}})

    report = await store.run_import()

    assert (report.projects_skipped, report.projects_imported) == (1, 0)
    assert report.notes[0].startswith("second: ")
    assert '"first"' in report.notes[0]


async def test_full_database_says_what_to_do(store: Store) -> None:
    store.project()
    await store.run_import()
    connection = sqlite3.connect(store.database)
    connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON projects"
        " BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    connection.commit()
    connection.close()
    store.project("other")

    with pytest.raises(ImportFailed, match="running the import again is safe"):
        await store.run_import()

    assert store.rows("SELECT id FROM projects") == [("app",)]
