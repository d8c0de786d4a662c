"""Who else is at work, by the run-files of the daemon and the legacy application."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pipeline.daemon import find_daemon, find_legacy_application, refuse_daemon
from stages.errors import DaemonRunning, RunFileBroken
from stages.floor.workers import Workers
from tests.support import Store

needs_zombies = pytest.mark.skipif(
    not hasattr(os, "waitid"), reason="a process that has ended is gone here"
)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with Workers(1, "test-daemon") as made:
        yield made


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        yield started
        started.kill()


def run_file(directory: Path, content: object) -> Path:
    file = directory / "running.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))

    return file


def end_without_waiting_for(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


async def test_live_process_of_the_run_file_is_the_daemon(
    tmp_path: Path, workers: Workers, process: subprocess.Popen[bytes]
) -> None:
    file = run_file(tmp_path, {"pid": process.pid, "port": 1})

    assert await find_daemon(file, workers) == process.pid
    with pytest.raises(DaemonRunning, match=rf"\(pid {process.pid}\)"):
        await refuse_daemon(file, workers)


async def test_process_that_has_ended_is_no_daemon(
    tmp_path: Path, workers: Workers, process: subprocess.Popen[bytes]
) -> None:
    process.kill()
    process.wait()

    await refuse_daemon(run_file(tmp_path, {"pid": process.pid}), workers)


@needs_zombies
async def test_process_that_ended_and_was_not_waited_for_is_no_daemon(
    tmp_path: Path, workers: Workers, process: subprocess.Popen[bytes]
) -> None:
    end_without_waiting_for(process)

    await refuse_daemon(run_file(tmp_path, {"pid": process.pid}), workers)


@pytest.mark.parametrize("pid", [2**31 - 1, 2**31, 10**18])
async def test_number_that_no_process_has_is_no_daemon(
    tmp_path: Path, workers: Workers, pid: int
) -> None:
    await refuse_daemon(run_file(tmp_path, {"pid": pid}), workers)


async def test_no_run_file_is_no_obstacle(tmp_path: Path, workers: Workers) -> None:
    (tmp_path / "file").touch()

    await refuse_daemon(tmp_path / "none", workers)
    await refuse_daemon(tmp_path / "file" / "running.json", workers)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("", "no JSON object", id="empty"),
        pytest.param("[1]", "no JSON object", id="a-list"),
        pytest.param({}, '"pid" is no positive whole number', id="no-pid"),
        pytest.param({"pid": True}, '"pid" is no positive', id="a-boolean"),
        pytest.param({"pid": "7"}, '"pid" is no positive', id="a-text"),
        pytest.param({"pid": 0}, '"pid" is no positive', id="zero"),
        pytest.param({"pid": -1}, '"pid" is no positive', id="a-group-of-processes"),
    ],
)
async def test_run_file_that_does_not_say_is_an_error_that_names_it(
    tmp_path: Path, workers: Workers, content: object, problem: str
) -> None:
    with pytest.raises(RunFileBroken, match=f"running.json .*{problem}"):
        await refuse_daemon(run_file(tmp_path, content), workers)


# Rule G3.
async def test_legacy_application_that_lives_is_noted(
    tmp_path: Path, workers: Workers, process: subprocess.Popen[bytes]
) -> None:
    file = run_file(tmp_path, {"pid": process.pid, "configPath": "/c.yaml"})

    [note] = await find_legacy_application(tmp_path, workers)

    assert (note.kind, note.severity, note.source) == (
        "legacy-running",
        "lossy",
        str(file),
    )
    assert note.text == (
        f"the legacy application is running (pid {process.pid}); what it changes from now "
        "on is not imported"
    )


@pytest.mark.parametrize("content", [None, "broken", {"pid": 2**31 - 1}])
async def test_legacy_application_that_does_not_live_is_not_noted(
    tmp_path: Path, workers: Workers, content: object
) -> None:
    if content is not None:
        run_file(tmp_path, content)

    assert await find_legacy_application(tmp_path, workers) == ()


@pytest.mark.parametrize("is_dry_run", [False, True])
async def test_import_beside_the_legacy_application_says_so(
    tmp_path: Path, is_dry_run: bool
) -> None:
    store = Store(tmp_path / "home")
    store.project()
    run_file(store.root, {"pid": os.getpid()})

    report = await store.run_import(is_dry_run=is_dry_run)

    assert "legacy-running" in [problem.kind for problem in report.problems]
