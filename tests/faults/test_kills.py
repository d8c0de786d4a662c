"""SIGKILL at random moments: whatever a run had done, the next one makes the rest."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.scene import RUN_SECONDS, Scene, differences

KILLS = 35  # anywhere in the part that writes
KILLS_AT_CREATION = 17
TRIES_PER_KILL = 8
SEED = 20261122

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here"
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("kills").resolve() / "home")


def kill_after(scene: Scene, sign: Path, seconds: float) -> bool:
    """Kill a run so long after something appeared; return whether it still ran."""
    with scene.start() as process:
        deadline = time.monotonic() + RUN_SECONDS
        while not sign.exists() and process.poll() is None:
            assert time.monotonic() < deadline
        until = time.perf_counter() + seconds
        while time.perf_counter() < until and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()

    return process.returncode == -signal.SIGKILL


def kill_again_and_again(scene: Scene, sign: Path, kills: int, seconds: float) -> None:
    """Kill, look, import, compare, until as many runs were killed.

    Where runs end before they are killed, the machine is faster than was thought.
    """
    wanted = scene.uninterrupted()
    moments = random.Random(SEED)
    killed = tried = 0
    while killed < kills:
        tried += 1
        assert tried <= TRIES_PER_KILL * kills
        scene.reset()
        if kill_after(scene, sign, moments.uniform(0, seconds)):
            killed += 1
        else:
            seconds *= 0.9
        scene.rows_there()
        scene.published()

        assert differences(scene.import_cleanly(), wanted) == []
        scene.assert_legacy_untouched()


@pytest.mark.slow
def test_a_run_killed_anywhere_is_completed_by_the_next(scene: Scene) -> None:
    lock = scene.data_dir / ".import.lock"

    kill_again_and_again(scene, lock, KILLS, 0.15)


@pytest.mark.slow
def test_a_run_killed_while_it_creates_the_database_leaves_no_half_of_it(
    scene: Scene,
) -> None:
    kill_again_and_again(scene, scene.database, KILLS_AT_CREATION, 0.02)


def test_a_look_beside_what_a_killed_run_left_is_not_disturbed(scene: Scene) -> None:
    moments = random.Random(SEED)
    for _ in range(2):
        scene.reset()
        kill_after(scene, scene.database, moments.uniform(0, 0.02))
        names = set(os.listdir(scene.data_dir))
        run = scene.run("--dry-run")

        # Killed while it switches the log on, it leaves a journal that a look cannot use.
        assert run.status == 0 or "rolled back" in run.stderr, run.stderr
        assert set(os.listdir(scene.data_dir)) - names <= {"ao.db-shm"}


def test_what_a_killed_run_left_of_a_transcript_goes_with_the_next(
    scene: Scene,
) -> None:
    wanted = scene.uninterrupted()
    bucket = scene.new_bucket("app", "app")
    uuid = "0b9c3f1e-2222-4444-8888-abcdefabcdef"
    bucket.mkdir(0o750)
    scene.write(bucket / f".{uuid}.ao-import-part", b"half")
    scene.write(bucket / f".{uuid}.ao-import-d" / "deep" / "er" / "file", b"half")
    scene.write(scene.report_file.parent / ".ao-import-report.999999999.ab.part", b"{")
    run = scene.run()

    assert run.status == 0, run.stderr
    assert differences(scene.state(), wanted) == []


def test_what_is_published_is_never_replaced(scene: Scene) -> None:
    scene.reset()
    bucket = scene.new_bucket("app", "app")
    uuid = "0b9c3f1e-2222-4444-8888-abcdefabcdef"
    there = scene.write(bucket / f"{uuid}.jsonl", b"resumed and went on")
    run = scene.run()

    assert run.report["transcriptsPresent"] == 1
    assert there.read_bytes() == b"resumed and went on"
    assert sorted(os.listdir(bucket)) == [f"{uuid}.jsonl"]


def test_the_log_of_a_killed_writer_is_not_lost(scene: Scene) -> None:
    """The rows of a daemon that died stand in the log alone; they stay."""
    scene.reset()
    assert scene.run().status == 0
    with closing(sqlite3.connect(scene.database)) as daemon:
        daemon.execute("PRAGMA wal_autocheckpoint = 0")
        daemon.execute("UPDATE sessions SET branch = 'daemon' WHERE id LIKE 'app%'")
        daemon.commit()
        log = Path(f"{scene.database}-wal").read_bytes()
        database = scene.database.read_bytes()
    scene.database.write_bytes(database)
    Path(f"{scene.database}-wal").write_bytes(log)
    run = scene.run()

    assert run.status == 0, run.stderr
    assert run.report["projectsSkipped"] == 4
    found = scene.rows("SELECT branch FROM sessions WHERE id = 'app-orchestrator'")
    assert found == [("daemon",)]
