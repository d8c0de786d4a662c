from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from pipeline.report import Verification
from tests.support import UUID, Store, lifecycle

CONTENT = b'{"type": "user"}\n' * 50


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    """A store with one project, imported."""
    made = Store(tmp_path / "home")
    made.project(env={"A": "1"})
    worktree = made.worktree()
    made.record(worktree=str(worktree), claudeSessionUuid=UUID, lifecycle=lifecycle())
    bucket = made.bucket(worktree)
    made.write(bucket / f"{UUID}.jsonl", CONTENT)
    made.write(bucket / UUID / "sub" / "a.txt", b"abc")
    await made.run_import()

    return made


def found(verification: Verification) -> tuple[list[str], list[str]]:
    return (
        [fault.kind for fault in verification.faults],
        [changed.kind for changed in verification.changed],
    )


def change(store: Store, statement: str) -> None:
    connection = sqlite3.connect(store.database)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(statement)
    connection.commit()
    connection.close()


async def test_what_was_imported_has_arrived(store: Store) -> None:
    verification = await store.verify()

    assert found(verification) == ([], [])
    assert verification.projects_checked == 1
    assert verification.transcript_bytes == len(CONTENT) + 3


@pytest.mark.parametrize(
    ("statement", "faults", "changed"),
    [
        pytest.param(
            "DELETE FROM projects", ["project-missing"], [], id="missing-project"
        ),
        pytest.param(
            "DELETE FROM sessions", ["session-missing"], [], id="missing-session"
        ),
        pytest.param(
            "UPDATE projects SET display_name = 'x', path = '/x'",
            [],
            ["project-changed"],
            id="changed-project",
        ),
        pytest.param(
            """UPDATE projects SET config = replace(config, ':', ' : ')""",
            [],
            [],
            id="same-json",
        ),
        pytest.param(
            "UPDATE sessions SET branch = 'x'",
            [],
            ["session-changed"],
            id="changed-session",
        ),
        pytest.param(
            "INSERT INTO projects (id, path, registered_at) VALUES ('z', '/z', '')",
            [],
            [],
            id="another-project",
        ),
    ],
)
async def test_missing_and_changed_rows_are_told_apart(
    store: Store, statement: str, faults: list[str], changed: list[str]
) -> None:
    change(store, statement)

    assert found(await store.verify()) == (faults, changed)


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        pytest.param(CONTENT + b"more", [], id="grown-copy"),
        pytest.param(CONTENT[:-1], ["transcript-differs"], id="shorter-copy"),
        pytest.param(b"x" + CONTENT[1:], ["transcript-differs"], id="other-copy"),
        pytest.param(None, ["copy-missing"], id="no-copy"),
    ],
)
async def test_transcript_begins_with_what_its_source_holds(
    store: Store, content: bytes | None, faults: list[str]
) -> None:
    copy = store.new_bucket() / f"{UUID}.jsonl"
    if content is None:
        copy.unlink()
    else:
        copy.write_bytes(content)

    assert found(await store.verify()) == (faults, [])


async def test_missing_part_of_a_sidecar_is_a_fault(store: Store) -> None:
    (store.new_bucket() / UUID / "sub" / "a.txt").unlink()

    assert found(await store.verify()) == (["transcript-differs"], [])


async def test_copy_that_is_a_link_is_a_fault(store: Store) -> None:
    copy = store.new_bucket() / f"{UUID}.jsonl"
    copy.unlink()
    os.symlink(store.bucket(store.worktree()) / f"{UUID}.jsonl", copy)

    assert found(await store.verify()) == (["transcript-unreadable"], [])


async def test_source_that_is_gone_is_no_fault(store: Store) -> None:
    (store.bucket(store.worktree()) / f"{UUID}.jsonl").unlink()

    assert found(await store.verify()) == ([], [])


async def test_everything_is_missing_where_there_is_no_database(store: Store) -> None:
    store.database.unlink()

    verification = await store.verify()

    assert found(verification) == (["project-missing", "session-missing"], [])
    assert not store.database.exists()
