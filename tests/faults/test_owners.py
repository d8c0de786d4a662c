"""Run as root in a home of somebody else, an import leaves nothing that is root's (D9)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.scene import NEEDS_ROOT, Scene
from tests.stages.database.databases import make, project

OWNER, GROUP = 1234, 5678


@NEEDS_ROOT
@pytest.mark.parametrize("has_rows", [False, True], ids=["new", "has-rows"])
def test_all_that_root_makes_in_a_users_data_dir_is_that_users(
    tmp_path: Path, has_rows: bool
) -> None:
    scene = Scene(tmp_path / "home")
    os.chown(scene.home, OWNER, GROUP)
    os.chown(scene.buckets, OWNER, GROUP)
    if has_rows:
        scene.import_cleanly()
        make(scene.data_dir, "DELETE FROM change_log", "DELETE FROM sessions")
        make(scene.data_dir, project("other"))

    run = scene.run()

    assert run.status in (0, 3), run.stderr
    bucket = scene.new_bucket("app", "app")
    made = [scene.home / ".ao", *sorted((scene.home / ".ao").rglob("*"))]
    made += [bucket, *sorted(bucket.rglob("*"))]
    assert len(list(bucket.iterdir())) > 0
    others = [
        place.relative_to(scene.home).as_posix()
        for place in made
        if (place.lstat().st_uid, place.lstat().st_gid) != (OWNER, GROUP)
    ]
    assert others == []
    assert ("ao.db.before-import" in os.listdir(scene.data_dir)) == has_rows
