from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import stages.relocate
from stages.floor.buckets import Buckets, slug_of
from stages.floor.workers import Workers
from stages.messages import (
    Located,
    RelocatedProject,
    Severity,
    TranscriptPlan,
    WrittenProject,
)
from tests.support import UUID, run_stage, snapshot

FILE = f"{UUID}.jsonl"
CONTENT = b'{"type": "user"}\n' * 1000

has_modes = pytest.mark.skipif(
    os.name != "posix", reason="this system has no modes of files"
)


class Places:
    """A worktree with a transcript, and where that goes."""

    def __init__(self, tmp_path: Path) -> None:
        self.worktree = tmp_path / "wt"
        self.worktree.mkdir()
        self.new_worktree = tmp_path / "data" / "worktrees"
        self.directory = tmp_path / "projects"
        self.source = self.directory / slug_of(str(self.worktree.resolve()))
        self.destination = self.directory / slug_of(str(self.new_worktree.resolve()))
        self.source.mkdir(parents=True)
        (self.source / FILE).write_bytes(CONTENT)
        self.counted: list[int] = []

    def project(self, project_id: str = "app", **changes: Any) -> WrittenProject:
        plan = TranscriptPlan(
            uuid=UUID,
            worktrees=(str(self.worktree),),
            project_path="/repos/app",
            new_worktree=str(self.new_worktree),
        )
        return WrittenProject(
            id=project_id,
            project="imported",
            orchestrator="imported",
            transcript=replace(plan, **changes),
            notes=(),
            sessions_read=0,
            files_skipped=0,
        )

    async def relocate(
        self, *projects: WrittenProject, is_dry_run: bool = False
    ) -> list[RelocatedProject]:
        async with Workers(2, "test-relocate") as workers:
            return await run_stage(
                stages.relocate.run,
                projects or [self.project()],
                buckets=Buckets(str(self.directory), workers.check),
                is_dry_run=is_dry_run,
                count=self.counted.append,
                copiers=workers,
                readers=workers,
            )


@pytest.fixture
def buckets(tmp_path: Path) -> Places:
    return Places(tmp_path)


def outcome(
    relocated: list[RelocatedProject],
) -> tuple[object, int, list[tuple[str, Severity]]]:
    (project,) = relocated
    notes = [(note.kind, note.severity) for note in project.notes]

    return project.transcript, project.transcript_bytes, notes


def names(directory: Path) -> list[str]:
    return sorted(
        place.relative_to(directory).as_posix() for place in directory.rglob("*")
    )


async def test_transcript_is_copied_whole(buckets: Places) -> None:
    before = snapshot(buckets.source)

    relocated = await buckets.relocate()

    assert outcome(relocated) == ("relocated", len(CONTENT), [])
    assert names(buckets.destination) == [FILE]
    assert (buckets.destination / FILE).read_bytes() == CONTENT
    assert snapshot(buckets.source) == before
    assert sum(buckets.counted) == len(CONTENT)


@has_modes
async def test_copy_has_its_own_time_and_modes(buckets: Places) -> None:
    (buckets.source / UUID).mkdir()
    (buckets.source / UUID / "a.txt").write_bytes(b"x")
    os.utime(buckets.source / FILE, (1, 1))
    (buckets.source / FILE).chmod(0o644)

    await buckets.relocate()

    modes = {
        place.name: stat.S_IMODE(place.stat().st_mode)
        for place in [buckets.destination, *buckets.destination.rglob("*")]
    }
    assert modes == {
        buckets.destination.name: 0o750,
        UUID: 0o750,
        FILE: 0o600,
        "a.txt": 0o600,
    }
    assert (buckets.destination / FILE).stat().st_mtime > 1


async def test_sidecar_comes_along(buckets: Places) -> None:
    sidecar = buckets.source / UUID
    (sidecar / "subagents").mkdir(parents=True)
    (sidecar / "subagents" / "agent-1.jsonl").write_bytes(b"abc")
    (sidecar / "empty").mkdir()

    relocated = await buckets.relocate()

    assert outcome(relocated) == ("relocated", len(CONTENT) + 3, [])
    assert names(buckets.destination / UUID) == [
        "empty",
        "subagents",
        "subagents/agent-1.jsonl",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
async def test_links_and_special_files_of_a_sidecar_are_left_out(
    buckets: Places,
) -> None:
    sidecar = buckets.source / UUID
    sidecar.mkdir()
    (sidecar / "file").write_bytes(b"x")
    (sidecar / "link").symlink_to("file")
    (sidecar / "links").symlink_to(buckets.worktree, target_is_directory=True)
    os.mkfifo(sidecar / "fifo")

    relocated = await buckets.relocate()

    assert outcome(relocated) == (
        "relocated",
        len(CONTENT) + 1,
        [("transcript-part", "lossy")],
    )
    assert names(buckets.destination / UUID) == ["file"]


async def test_sidecar_that_is_a_link_is_left_out(buckets: Places) -> None:
    (buckets.source / UUID).symlink_to(buckets.worktree, target_is_directory=True)

    relocated = await buckets.relocate()

    assert outcome(relocated)[2] == [("transcript-part", "lossy")]
    assert names(buckets.destination) == [FILE]


async def test_transcript_that_is_a_link_to_a_file_is_copied_as_that_file(
    buckets: Places, tmp_path: Path
) -> None:
    (buckets.source / FILE).rename(tmp_path / "real")
    (buckets.source / FILE).symlink_to(tmp_path / "real")

    relocated = await buckets.relocate()

    assert outcome(relocated) == ("relocated", len(CONTENT), [])
    assert not (buckets.destination / FILE).is_symlink()


async def test_destination_that_exists_is_left_alone(buckets: Places) -> None:
    buckets.destination.mkdir()
    (buckets.destination / FILE).write_bytes(b"grown since")
    before = snapshot(buckets.destination)

    assert outcome(await buckets.relocate()) == ("present", 0, [])
    assert snapshot(buckets.destination) == before


async def test_missing_source_is_no_error(buckets: Places) -> None:
    (buckets.source / FILE).unlink()

    assert outcome(await buckets.relocate()) == (
        "missing",
        0,
        [("transcript-missing", "lossy")],
    )
    assert not buckets.destination.exists()


async def test_project_without_a_plan_has_no_outcome(buckets: Places) -> None:
    relocated = await buckets.relocate(replace(buckets.project(), transcript=None))

    assert outcome(relocated) == (None, 0, [])


async def test_plan_without_a_transcript_is_missing_one(buckets: Places) -> None:
    assert outcome(await buckets.relocate(buckets.project(uuid=""))) == (
        "missing",
        0,
        [],
    )


@pytest.mark.parametrize(
    ("located", "transcript", "notes"),
    [
        pytest.param(
            Located(state="unreadable", detail='"x": no way'),
            "failed",
            [("transcript-failed", "failed")],
            id="T3-unreadable",
        ),
        pytest.param(
            Located(state="ambiguous", detail='"x", "y"'),
            "missing",
            [("transcript-ambiguous", "failed")],
            id="T3-ambiguous",
        ),
        pytest.param(
            Located(state="nowhere"),
            "missing",
            [("transcript-missing", "lossy")],
            id="T4-nowhere",
        ),
    ],
)
async def test_what_was_not_located_is_not_copied(
    buckets: Places, located: Located, transcript: str, notes: list[tuple[str, str]]
) -> None:
    relocated = await buckets.relocate(buckets.project(located=located))

    assert outcome(relocated) == (transcript, 0, notes)
    assert UUID in relocated[0].notes[0].text


async def test_transcript_of_another_bucket_is_copied_with_a_note(
    buckets: Places,
) -> None:
    buckets.source.rename(buckets.directory / "moved")

    relocated = await buckets.relocate()
    again = await buckets.relocate()

    assert outcome(relocated) == (
        "relocated",
        len(CONTENT),
        [("transcript-moved", "lossy")],
    )
    assert outcome(again) == ("present", 0, [])


@pytest.mark.parametrize("target", ["file", "sidecar", "bucket"])
async def test_link_on_the_way_to_the_destination_is_not_followed(
    buckets: Places, tmp_path: Path, target: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (buckets.source / UUID).mkdir()
    if target == "bucket":
        buckets.destination.symlink_to(elsewhere, target_is_directory=True)
    else:
        buckets.destination.mkdir()
        name = FILE if target == "file" else UUID
        (buckets.destination / name).symlink_to(elsewhere / "new")

    relocated = await buckets.relocate()

    assert outcome(relocated) == ("failed", 0, [("transcript-failed", "failed")])
    assert names(elsewhere) == []


async def test_dry_run_measures_and_copies_nothing(buckets: Places) -> None:
    (buckets.source / UUID).mkdir()
    (buckets.source / UUID / "a").write_bytes(b"abc")
    before = snapshot(buckets.directory)

    relocated = await buckets.relocate(is_dry_run=True)

    assert outcome(relocated) == ("relocated", len(CONTENT) + 3, [])
    assert snapshot(buckets.directory) == before
    assert buckets.counted == []
