"""Others at work meanwhile: a second import, a writer in the database, a daemon."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.scene import RUN_SECONDS, Scene, can, differences

HELD_SECONDS = 3.0
# Holds an import up for a second at its lock, between two looks at the run-file.
SLOW_LOCK = ("-e", "trace=flock", "-e", "inject=flock:delay_enter=1000000")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path.resolve() / "home")


def hold(scene: Scene) -> sqlite3.Connection:
    """Hold the database as a writer in the middle of a transaction does."""
    connection = sqlite3.connect(
        scene.database, isolation_level=None, check_same_thread=False
    )
    connection.execute("BEGIN IMMEDIATE")

    return connection


def add_project(scene: Scene, name: str) -> None:
    config = json.loads(scene.config.read_text())
    config["projects"][name] = {"path": f"/repos/{name}", "registeredAt": 1770000009}
    scene.write(scene.config, config)


def test_of_two_imports_at_once_one_is_refused(scene: Scene) -> None:
    """Whichever has the lock waits for a writer until the other one has ended."""
    assert scene.run().status == 0
    add_project(scene, "late")
    with (
        closing(hold(scene)) as writer,
        scene.start() as one,
        scene.start() as other,
    ):
        while one.poll() is None and other.poll() is None:
            pass
        refused, working = (other, one) if one.poll() is None else (one, other)
        _, refusal = refused.communicate(timeout=RUN_SECONDS)
        writer.execute("ROLLBACK")
        stdout, stderr = working.communicate(timeout=RUN_SECONDS)

    assert refused.returncode == 2
    assert b"another import is at work on" in refusal
    assert working.returncode == 0, stderr
    assert json.loads(stdout)["projectsImported"] == 1


def test_many_imports_at_once_make_what_one_makes(scene: Scene) -> None:
    wanted = scene.uninterrupted()
    scene.command()
    runs = [scene.start() for _ in range(5)]
    ended = [(run.communicate(timeout=RUN_SECONDS), run.returncode) for run in runs]

    assert {status for _, status in ended} <= {0, 2}
    assert 0 in {status for _, status in ended}
    imported = [
        json.loads(out)["projectsImported"] for (out, _), status in ended if status == 0
    ]
    assert sorted(imported)[-1] == 4
    assert sum(imported) == 4
    assert differences(scene.state(), wanted) == []


@pytest.mark.slow
def test_an_import_waits_for_a_writer_of_seconds(scene: Scene) -> None:
    wanted = scene.uninterrupted()
    assert scene.run().status == 0
    with closing(sqlite3.connect(scene.database)) as connection:
        for table in ("change_log", "sessions", "projects"):
            connection.execute(f"DELETE FROM {table}")
        connection.commit()
    writer = hold(scene)
    release = threading.Timer(HELD_SECONDS, lambda: writer.execute("COMMIT"))
    release.start()
    run = scene.run()
    release.join()
    writer.close()

    assert run.status == 0, run.stderr
    assert run.report["projectsImported"] == 4
    assert differences(scene.state(), wanted) == []


@pytest.mark.skipif(
    not can("strace", "-o", os.devnull, *SLOW_LOCK, "true"),
    reason="strace, which holds the import up for the daemon, is missing",
)
def test_a_daemon_that_starts_in_the_middle_is_seen_before_the_first_write(
    scene: Scene,
) -> None:
    """It starts after the first look at the run-file, while the lock is being taken."""
    with scene.start(under=["strace", "-f", "-o", os.devnull, *SLOW_LOCK]) as process:
        while not (scene.data_dir / ".import.lock").exists():
            assert process.poll() is None
        scene.write(".ao/running.json", {"pid": os.getpid(), "port": 1})
        _, stderr = process.communicate(timeout=RUN_SECONDS)

    assert process.returncode == 2
    assert f"the AO daemon is running (pid {os.getpid()})".encode() in stderr
    assert os.listdir(scene.data_dir) == [".import.lock"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ('{"pid": %d}', 2),
        ('{"pid": 999999999}', 0),
        ('{"pid": 99999999999999999999}', 0),
        ('{"pid": -1}', 1),
        ('{"pid": true}', 1),
        ("", 1),
        ("[]", 1),
        ("[" * 60_000, 1),
        (" " * 70_000, 1),
    ],
    ids=lambda value: str(value)[:12],
)
@pytest.mark.slow
def test_the_run_file_decides(scene: Scene, content: str, status: int) -> None:
    text = content % os.getpid() if "%d" in content else content
    scene.write(".ao/running.json", text)
    run = scene.run()

    assert run.status == status, run.stderr
    assert "Traceback" not in run.stderr
    assert scene.database.exists() == (status == 0)


def test_a_transcript_that_grows_all_the_time_is_noted_or_whole(scene: Scene) -> None:
    source = scene.bucket(scene.worktree("app")) / (
        "0b9c3f1e-2222-4444-8888-abcdefabcdef.jsonl"
    )
    line = b'{"type":"user"}\n'
    script = f"f = open({str(source)!r}, 'ab', 0)\nwhile True: f.write({line!r})"
    with subprocess.Popen([sys.executable, "-c", script]) as writer:
        try:
            run = scene.run()
        finally:
            writer.kill()
    copies = [
        content
        for name, (_, content) in scene.transcripts().items()
        if name.endswith(source.name)
    ]

    assert run.status in (0, 3), run.stderr
    if run.status == 3:
        assert copies == []
        assert "it is being written to" in run.stdout
    else:
        assert source.read_bytes().startswith(copies[0] or b"?")
