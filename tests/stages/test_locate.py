from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stages.floor.buckets import Buckets
from stages.locate import locate_project
from stages.map import map_project
from stages.messages import LegacyProject, Located, PlannedProject
from tests.support import ENTRY, HOME, ORCHESTRATOR, OTHER_UUID, UUID, Store, never

THIRD_UUID = UUID.replace("0", "f", 1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def a_planned(store: Store, *worktrees: Path, uuid: str = "") -> PlannedProject:
    """Return the plan for an orchestrator that may have run in these places."""
    legacy = LegacyProject(
        entry=replace(ENTRY, path=str(store.home / "repos" / "app")),
        orchestrator=replace(
            ORCHESTRATOR,
            worktrees=tuple(map(str, worktrees)),
            branch="orchestrator/app",
            claude_session_uuid=uuid,
        ),
        also_live=(),
        also_live_count=0,
        sessions_read=1,
        files_skipped=0,
        notes=(),
    )

    return map_project(
        legacy, replace(HOME, worktrees=str(store.data_dir / "worktrees"))
    )


def write(store: Store, place: Path, uuid: str, seconds: int = 1) -> None:
    """Put a transcript of a certain age into a place's bucket."""
    file = store.write(store.bucket(place) / f"{uuid}.jsonl", uuid)
    os.utime(file, (seconds, seconds))


def locate(store: Store, planned: PlannedProject) -> tuple[str, Located, list[str]]:
    """Return what the session resumes by, where that is, and the kinds of notes."""
    found = locate_project(planned, Buckets(str(store.buckets), never))
    assert found.session is not None
    assert found.transcript is not None
    assert found.transcript.located is not None
    assert found.transcript.uuid == found.session.agent_session_id

    return (
        found.session.agent_session_id,
        found.transcript.located,
        [note.kind for note in found.session_notes],
    )


def test_recorded_transcript_is_that_of_the_session(store: Store) -> None:
    place = store.home / "gone" / "app"
    write(store, place, UUID, 1)
    write(store, place, OTHER_UUID, 2)

    found = locate(store, a_planned(store, place, uuid=UUID))

    assert found == (UUID, Located(state="found", bucket=store.bucket(place).name), [])


@pytest.mark.parametrize(
    "recorded",
    [
        pytest.param("", id="T3-none-recorded"),
        pytest.param(THIRD_UUID, id="T3-recorded-one-is-nowhere"),
    ],
)
def test_newest_transcript_of_all_its_places_is_taken_instead(
    store: Store, recorded: str
) -> None:
    new, old = store.home / "gone" / "new", store.home / "gone" / "old"
    write(store, new, UUID, 1)
    write(store, old, OTHER_UUID, 2)
    store.write(store.bucket(new) / "agent-77.jsonl", "a subagent's")
    (store.bucket(new) / f"{THIRD_UUID}.jsonl").mkdir()

    found = locate(store, a_planned(store, new, old, uuid=recorded))

    assert found == (
        OTHER_UUID,
        Located(state="found", bucket=store.bucket(old).name),
        ["transcript-found"],
    )


def test_recorded_transcript_of_another_bucket_comes_before_the_newest(
    store: Store,
) -> None:
    place = store.home / "gone" / "app"
    write(store, place, OTHER_UUID)
    write(store, Path("/elsewhere"), UUID)

    found = locate(store, a_planned(store, place, uuid=UUID))

    assert found == (UUID, Located(state="moved", bucket="-elsewhere"), [])


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda place: (place / ".git").mkdir(parents=True), id="checkout"),
        pytest.param(
            lambda place: (place.parent / "repos").symlink_to(
                place.parent, target_is_directory=True
            ),
            id="the-project-through-a-link",
        ),
    ],
)
def test_transcripts_of_a_checkout_of_its_own_are_the_users(
    store: Store, prepare: Callable[[Path], None]
) -> None:
    place = store.home / "app"
    prepare(place)
    write(store, place, UUID)

    found = locate(store, a_planned(store, place))

    assert found[:2] == ("", Located(state="nowhere"))
    assert "no-history" in found[2]


def test_worktree_of_a_repository_has_a_file_of_that_name_and_counts(
    store: Store,
) -> None:
    place = store.worktree()
    store.write(place / ".git", "gitdir: /repos/app/.git/worktrees/app")
    write(store, place, UUID)

    assert locate(store, a_planned(store, place))[0] == UUID


def test_checkout_that_may_not_be_looked_into_counts_as_the_users(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = store.worktree()
    write(store, place, UUID)
    stat = os.stat

    def fail(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        if str(path).endswith(".git"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", fail)

    assert locate(store, a_planned(store, place))[0] == ""


def test_recorded_transcript_that_is_nowhere_stays_what_the_session_resumes_by(
    store: Store,
) -> None:
    found = locate(store, a_planned(store, store.home / "gone", uuid=UUID))

    assert found == (UUID, Located(state="nowhere"), [])


def test_bucket_that_cannot_be_listed_is_no_missing_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(os, "scandir", fail)

    _, located, _ = locate(store, a_planned(store, store.home / "gone"))

    assert located.state == "unreadable"
    assert os.strerror(errno.EIO) in located.detail


@pytest.mark.parametrize("agent", ["claude-code", "codex"])
def test_legacy_worktree_that_still_exists_is_named_with_its_branch(
    store: Store, agent: str
) -> None:
    gone, there = store.home / "gone", store.worktree()
    planned = replace(a_planned(store, gone, there, uuid=UUID), session_notes=())
    if agent == "codex":
        planned = replace(planned, transcript=None)

    found = locate_project(planned, Buckets(str(store.buckets), never))

    (note,) = found.session_notes
    assert (note.kind, note.source) == ("worktree-stays", str(there))
    assert f'"{there}" (branch "orchestrator/app")' in note.text


def test_project_without_a_session_passes_by(store: Store) -> None:
    planned = replace(a_planned(store), session=None, transcript=None)

    assert locate_project(planned, Buckets(str(store.buckets), never)) == planned


@pytest.mark.parametrize(
    "worktree", ["/a\0b", "/" + "x" * 5000, "relative", "/proc/1/cwd", "/" * 70_000]
)
async def test_worktree_of_any_text_costs_no_more_than_its_transcript(
    store: Store, worktree: str
) -> None:
    store.configure({"app": {"path": "/repos/app"}, "b": {"path": "/repos/b"}})
    store.record(worktree=worktree, claudeSessionUuid=UUID)
    store.record("b", "b-orchestrator", worktree=worktree, runtimeHandle={"data": 1})

    report = await store.run_import()

    assert (report.projects_imported, report.orchestrators_imported) == (2, 2)
    assert report.transcripts_missing == 2
    assert not report.has_failures
