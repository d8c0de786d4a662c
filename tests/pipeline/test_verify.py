from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import anyio
import pytest

from stages.floor.text import quote
from tests.pipeline.command import ao_import
from tests.support import UUID, Store, lifecycle, snapshot


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A home with two imported projects, each with an orchestrator and a transcript."""
    store = Store(tmp_path)
    store.configure(
        {
            name: {"path": str(tmp_path / name), "sessionPrefix": name}
            for name in ("app", "web")
        }
    )
    for name, uuid in (("app", UUID), ("web", UUID.replace("0", "9"))):
        worktree = store.worktree(name)
        store.record(
            name,
            f"{name}-orchestrator",
            claudeSessionUuid=uuid,
            worktree=str(worktree),
            lifecycle=lifecycle(),
        )
        bucket = store.bucket(worktree)
        store.write(bucket / f"{uuid}.jsonl", "x" * 1024)
        store.write(bucket / uuid / "subagents" / "agent-1.jsonl", "y" * 1024)
    anyio.run(store.run_import)
    for name in ("app", "web"):
        (store.home / "wt" / name).rmdir()

    return store


def change(store: Store, statement: str) -> None:
    connection = sqlite3.connect(store.database)
    with connection:
        connection.execute(statement)
    connection.close()


def transcript(store: Store) -> Path:
    return store.new_bucket() / f"{UUID}.jsonl"


def test_a_whole_import_has_arrived(store: Store) -> None:
    before = snapshot(store.home)

    assert ao_import(store.home, "verify") == (
        0,
        "Checked:        2 projects (2 there), 4.0 KiB of transcripts\n"
        "Missing:        0\n"
        "Different:      0\n"
        "Changed since:  0\n"
        "Not there:      0\n"
        "\n"
        "Everything has arrived.\n"
        "The old store is no longer needed, but for what never comes across.\n",
        "",
    )
    assert snapshot(store.home) == before


def test_what_the_application_changed_is_no_fault(store: Store) -> None:
    change(store, "UPDATE sessions SET branch = 'b', prompt = 'p' WHERE id LIKE 'app%'")
    change(store, "UPDATE projects SET display_name = 'Web' WHERE id = 'web'")
    with transcript(store).open("a", encoding="utf-8") as file:  # it was resumed
        file.write("more")

    status, stdout, stderr = ao_import(store.home, "verify")

    assert (status, stderr) == (0, "")
    assert stdout == (
        "Checked:        2 projects (2 there), 4.0 KiB of transcripts\n"
        "Missing:        0\n"
        "Different:      0\n"
        "Changed since:  2\n"
        "Not there:      0\n"
        "\n"
        "Changed since the import, which is no fault:\n"
        "  - app: its session's row has changed since: branch, prompt [session-changed]\n"
        "  - web: its project's row has changed since: display_name [project-changed]\n"
        "\n"
        "Everything has arrived.\n"
        "The old store is no longer needed, but for what never comes across.\n"
    )


def test_what_is_missing_is_told_apart_from_what_has_changed(store: Store) -> None:
    change(store, "UPDATE projects SET display_name = 'App' WHERE id = 'app'")
    change(store, "DELETE FROM change_log")
    change(store, "DELETE FROM sessions WHERE project_id = 'web'")
    transcript(store).unlink()

    status, stdout, stderr = ao_import(store.home, "verify", "--json")
    result = json.loads(stdout)

    assert (status, stderr) == (1, "")
    assert [(fault["project"], fault["kind"]) for fault in result["faults"]] == [
        ("app", "copy-missing"),
        ("web", "session-missing"),
    ]
    assert [(item["project"], item["kind"]) for item in result["changed"]] == [
        ("app", "project-changed")
    ]


def test_what_is_missing_comes_with_the_next_import(store: Store) -> None:
    transcript(store).unlink()

    status, stdout, _ = ao_import(store.home, "verify")
    assert status == 1
    assert stdout.endswith(
        f"  - app: the transcript {quote(str(transcript(store)))} is missing "
        "[copy-missing]\n"
        f"    Source: {store.bucket(store.worktree())}\n"
        "    To do: import again\n"
        "\n"
        "Bring in what is missing:\n"
        "  $ python -m pipeline import\n"
        "Keep the old store until this command finds no fault.\n"
    )

    assert ao_import(store.home, "import").status == 0
    assert ao_import(store.home, "verify").status == 0


@pytest.mark.parametrize("damage", ["a byte", "cut", "beside"])
def test_a_damaged_transcript_is_different(store: Store, damage: str) -> None:
    file = transcript(store)
    if damage == "beside":
        file = store.new_bucket() / UUID / "subagents" / "agent-1.jsonl"
    data = file.read_bytes()
    file.write_bytes(data[:-1] if damage == "cut" else data[:-1] + b"!")

    status, stdout, stderr = ao_import(store.home, "verify", "--quiet")

    assert (status, stdout) == (1, "")
    assert stderr == (
        "Missing or different:\n"
        f"  - app: does not begin with what its source holds: {quote(str(file))} "
        "[transcript-differs]\n"
    )


def test_without_a_database_all_is_missing(store: Store) -> None:
    status, stdout, stderr = ao_import(store.home, "verify", "--data-dir", "none")

    assert (status, stderr) == (1, "")
    assert "Missing:        4\nDifferent:      0\n" in stdout
    assert not (store.home / "none").exists()


def test_progress_in_a_pipe_is_lines_on_stderr(store: Store) -> None:
    status, stdout, stderr = ao_import(
        store.home, "verify", "--progress", "--project", "web"
    )

    assert status == 0
    assert stdout.startswith(
        "Checked:        1 project (1 there), 2.0 KiB of transcripts\n"
    )
    assert stderr == "sessions read 1/1, compared 1/1, 2.0 KiB\n"


def test_a_worktree_that_stays_keeps_the_old_store(store: Store) -> None:
    store.worktree("web")

    status, stdout, stderr = ao_import(store.home, "verify")

    assert (status, stderr) == (0, "")
    assert f'  - web: the legacy worktree "{store.home / "wt" / "web"}"' in stdout
    assert stdout.endswith(
        "Keep the old store until the work in 1 worktree (named above) is saved.\n"
    )


def test_what_cannot_come_is_listed_with_its_reason_and_ends_with_three(
    store: Store,
) -> None:
    config = json.loads(store.config.read_text(encoding="utf-8"))
    config["projects"] |= {"bad": {}, "twin": {"path": str(store.home / "app")}}
    store.configure(config["projects"])
    store.record("web", "web-1", role="worker")

    status, stdout, stderr = ao_import(store.home, "verify", "--json")
    result = json.loads(stdout)

    assert (status, stderr) == (3, "")
    assert [(each["project"], each["kind"]) for each in result["notThere"]] == [
        ("bad", "invalid-project"),
        ("twin", "path-taken"),
    ]
    assert result["faults"] == []
    assert result["sessionsLeft"] == 1
    assert "has arrived.\n" not in ao_import(store.home, "verify").stdout


def test_a_conversation_that_is_nowhere_is_not_there(store: Store) -> None:
    for bucket in (store.bucket(store.home / "wt" / "app"), store.new_bucket()):
        (bucket / f"{UUID}.jsonl").unlink()

    result = json.loads(ao_import(store.home, "verify", "--json").stdout)

    assert [(each["project"], each["kind"]) for each in result["notThere"]] == [
        ("app", "transcript-missing")
    ]


def test_a_session_that_the_daemon_has_ended_is_named_first(store: Store) -> None:
    change(store, "UPDATE projects SET display_name = 'App' WHERE id = 'app'")
    change(store, "UPDATE sessions SET is_terminated = 1 WHERE project_id = 'web'")

    status, stdout, _ = ao_import(store.home, "verify", "--json")

    assert status == 0
    assert [each["kind"] for each in json.loads(stdout)["changed"]] == [
        "session-ended",
        "project-changed",
    ]
    assert "Ended by the new application since:\n  - web: " in (
        ao_import(store.home, "verify").stdout
    )


def test_a_session_that_was_imported_and_ended_on_the_legacy_side_is_there(
    store: Store,
) -> None:
    store.record("app", lifecycle=lifecycle("terminated"), claudeSessionUuid=UUID)

    result = json.loads(ao_import(store.home, "verify", "--json").stdout)

    assert (result["orchestratorsPresent"], result["notThere"]) == (2, [])


def test_a_verification_beside_a_live_daemon_says_that_it_lives(store: Store) -> None:
    store.write(".ao/running.json", {"pid": os.getpid(), "port": 1})

    status, stdout, _ = ao_import(store.home, "verify")

    assert status == 0
    assert f"Daemon:         running (pid {os.getpid()})\n" in stdout
