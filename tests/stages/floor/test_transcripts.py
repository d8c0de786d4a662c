from __future__ import annotations

from pathlib import Path

import pytest

from stages.floor.buckets import slug_of
from stages.floor.transcripts import Located, locate, search
from stages.floor.workers import Stopped
from stages.messages import TranscriptPlan
from tests.support import OTHER_UUID, UUID, never


def a_plan(worktree: str, new_worktree: str = "/data/worktrees/app") -> TranscriptPlan:
    return TranscriptPlan(
        uuid=UUID, is_found=False, worktree=worktree, new_worktree=new_worktree
    )


def test_buckets_are_those_of_the_resolved_worktrees(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real, target_is_directory=True)
    plan = a_plan(str(tmp_path / "link"), str(tmp_path / "link" / "new"))

    assert locate(plan, str(tmp_path / "buckets")) == Located(
        source=slug_of(str(real.resolve())),
        destination=slug_of(str(real.resolve() / "new")),
    )


def test_relative_worktree_has_no_source(tmp_path: Path) -> None:
    assert locate(a_plan("wt/app"), str(tmp_path)).source is None


def test_search_names_every_bucket_of_every_transcript(tmp_path: Path) -> None:
    for bucket, uuid in (("a", UUID), ("b", UUID), ("c", OTHER_UUID)):
        (tmp_path / bucket).mkdir()
        (tmp_path / bucket / f"{uuid}.jsonl").touch()
    (tmp_path / "file").touch()
    (tmp_path / "d" / f"{UUID}.jsonl").mkdir(parents=True)
    third = UUID.replace("0", "f", 1)

    assert search(str(tmp_path), [UUID, OTHER_UUID, third], never) == (
        {UUID: ["a", "b"], OTHER_UUID: ["c"], third: []},
        [],
    )


def test_search_where_there_are_no_buckets_finds_nothing(tmp_path: Path) -> None:
    assert search(str(tmp_path / "gone"), [UUID], never) == ({UUID: []}, [])


def test_search_ends_when_the_run_does(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        search(str(tmp_path), [UUID], stop)
