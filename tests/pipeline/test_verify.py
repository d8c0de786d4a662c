from __future__ import annotations

import json
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
