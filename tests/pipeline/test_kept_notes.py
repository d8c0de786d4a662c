"""The notes that imports leave in the data dir, for real stores and real interruptions."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from pathlib import Path

import anyio
import msgspec
import pytest

from pipeline.importing import run_import_with
from pipeline.kept_notes import (
    NOTES_LIMIT,
    NOTES_NAME,
    KeptNotes,
    keep_notes,
    merge_notes,
    read_notes,
)
from pipeline.progress import Meter
from pipeline.report import Problem, ProjectClass, ProjectResult, Report
from stages.errors import DatabaseUnusable, StoreUnreadable
from stages.floor.files import write_whole
from tests.support import UUID, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two projects, each with a lossy setting, and an entry that is invalid."""
    store = Store(tmp_path)
    store.configure(
        {
            "app": {
                "path": str(store.home / "app"),
                "agentConfig": {"permissions": "suggest"},
            },
            "web": {
                "path": str(store.home / "web"),
                "agentConfig": {"permissions": "suggest"},
            },
            "bad": {},
        }
    )
    return store


def kinds(store: Store) -> list[tuple[str | None, str]]:
    kept = read_notes(store.data_dir)
    assert kept is not None

    return [(problem.project, problem.kind) for problem in kept.problems]


# What the first import says of the store of these tests.
ALL = [("app", "permissions"), ("bad", "invalid-project"), ("web", "permissions")]


async def test_notes_about_rows_stay_and_others_are_replaced(store: Store) -> None:
    await store.run_import()
    assert kinds(store) == ALL

    report = await store.run_import()
    assert [problem.kind for problem in report.problems] == ["invalid-project"]
    assert kinds(store) == ALL

    config = json.loads(store.config.read_text(encoding="utf-8"))
    del config["projects"]["bad"]
    store.configure(config["projects"])
    await store.run_import()
    assert kinds(store) == [ALL[0], ALL[2]]


@pytest.mark.parametrize("some", [{"projects": ("app",)}, {"exclude": ("bad",)}])
async def test_a_run_about_some_projects_leaves_the_notes_of_others(
    store: Store, some: dict[str, tuple[str, ...]]
) -> None:
    await store.run_import()
    await store.run_import(**some)

    assert kinds(store) == ALL


async def test_a_dry_run_keeps_no_notes(store: Store) -> None:
    await store.run_import(is_dry_run=True)

    assert not store.data_dir.exists()


class Interrupting(Meter):
    """Cancels the run as soon as the first bytes of a transcript are copied."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        super().__init__()
        self._scope, self._loop = scope, asyncio.get_running_loop()

    def count_bytes(self, size_bytes: int) -> None:
        super().count_bytes(size_bytes)
        self._loop.call_soon_threadsafe(self._scope.cancel)
        time.sleep(0.05)  # until the cancellation has come through


async def test_an_interrupted_run_keeps_the_notes_of_what_it_committed(
    store: Store,
) -> None:
    worktree = store.home / "gone" / "app"  # one that is there would be noted (L9)
    store.record("app", claudeSessionUuid=UUID, worktree=str(worktree))
    transcript = store.write(store.bucket(worktree) / f"{UUID}.jsonl", "")
    os.truncate(transcript, 256 * 1024**2)
    partial: list[Report] = []
    with anyio.CancelScope() as scope:
        await run_import_with(
            store.settings(),
            on_progress=None,
            on_partial=partial.append,
            meter=Interrupting(scope),
        )

    assert scope.cancelled_caught
    assert kinds(store) == ALL
    [report] = partial
    assert (report.status, report.interrupted) == ("interrupted", True)
    assert [(each.id, each.project, each.transcript) for each in report.projects] == [
        ("app", "imported", "pending"),
        ("bad", "invalid", None),
        ("web", "imported", None),
    ]


async def test_what_a_failed_run_did_is_in_its_partial_report(store: Store) -> None:
    partial: list[Report] = []
    store.write(store.database, "this is no database")
    with pytest.raises(DatabaseUnusable) as failure:
        await run_import_with(
            store.settings(),
            on_progress=None,
            on_partial=partial.append,
            meter=Meter(),
        )

    [report] = partial
    assert (report.status, report.interrupted) == ("failed", False)
    assert report.error == str(failure.value)
    assert [(each.id, each.project) for each in report.projects] == [
        ("app", "pending"),
        ("bad", "invalid"),
        ("web", "pending"),
    ]


async def test_notes_that_cannot_be_kept_cost_a_note_and_not_the_run(
    store: Store,
) -> None:
    (store.data_dir / NOTES_NAME / "in the way").mkdir(parents=True)

    report = await store.run_import()

    assert report.projects_imported == 2
    assert [each.kind for each in report.problems if each.project is None] == [
        "notes-not-kept"
    ]


@pytest.mark.skipif(os.name == "nt", reason="modes are another system's")
async def test_nobody_else_can_read_them(store: Store) -> None:
    before = os.umask(0)
    try:
        await store.run_import()
    finally:
        os.umask(before)

    mode = (store.data_dir / NOTES_NAME).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"problems": 1}'])
async def test_a_damaged_file_is_an_error_to_readers_and_replaced_by_an_import(
    store: Store, content: bytes
) -> None:
    store.write(store.data_dir / NOTES_NAME, content)
    with pytest.raises(StoreUnreadable, match="holds no notes"):
        read_notes(store.data_dir)

    await store.run_import()

    assert kinds(store) == ALL


def problem(project: str | None, kind: str, text: str = "text") -> Problem:
    return Problem(project=project, kind=kind, severity="lossy", source=None, text=text)


@pytest.mark.parametrize(
    ("found", "is_part", "stays"),
    [
        pytest.param("present", False, ["permissions"], id="the-row-is-there"),
        pytest.param("imported", False, [], id="the-row-is-new"),
        pytest.param("pending", False, ["permissions", "terminal"], id="not-reached"),
        pytest.param(None, True, ["permissions", "terminal"], id="not-asked-for"),
        pytest.param(None, False, ["permissions"], id="no-longer-registered"),
    ],
)
def test_what_an_earlier_run_said_stays_as_long_as_it_holds(
    found: ProjectClass | None, is_part: bool, stays: list[str]
) -> None:
    before = (problem("app", "permissions"), problem("app", "terminal"))
    results = (
        ()
        if found is None
        else (
            ProjectResult(
                id="app",
                project=found,
                orchestrator="not-considered",
                transcript=None,
                transcript_bytes=0,
                why=(),
            ),
        )
    )

    merged = merge_notes(before, Report(projects=results), is_part=is_part)

    assert [each.kind for each in merged] == stays


def test_the_same_note_is_kept_once() -> None:
    said = problem("app", "permissions")

    merged = merge_notes((said,), Report(problems=(said,)), is_part=False)

    assert merged == (said,)


def test_what_has_no_room_is_counted_by_kind(store: Store) -> None:
    many = tuple(
        problem(f"p{number}", kind, "x" * 65_536)
        for kind in ("permissions", "own-file")
        for number in range(200)
    )
    store.data_dir.mkdir(parents=True)
    keep_notes(store.data_dir, Report(problems=many), is_part=False)
    file = store.data_dir / NOTES_NAME
    kept = msgspec.json.decode(file.read_bytes(), type=KeptNotes)

    assert file.stat().st_size <= NOTES_LIMIT + 1024
    assert sum(each.kind == "own-file" for each in kept.problems) == 200
    assert len(kept.problems) + kept.cut["permissions"] == 400


def test_a_file_is_written_whole_or_not_at_all(store: Store) -> None:
    file = store.write("kept.json", "before")
    store.write("kept.json.part", "what a killed run has left")
    write_whole(file, b"after", 0o600)
    assert file.read_bytes() == b"after"

    taken = store.home / "taken"
    (taken / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="irectory"):
        write_whole(taken, b"after", 0o600)
    assert sorted(each.name for each in store.home.iterdir()) == [
        ".agent-orchestrator",
        "kept.json",
        "taken",
    ]
