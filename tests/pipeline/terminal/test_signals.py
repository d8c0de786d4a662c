"""Signals: whenever they come, a run ends at once, says what it did, and leaves no half."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from bench.generate_store import StoreShape, generate
from tests.pipeline.command import ao_import, environment

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGHUP"), reason="needs the signals of POSIX"
)

STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
ENDING_SECONDS = 10
SEED = 20261125
MOMENTS = 12
MOMENTS_OF_THE_LONG_FORM = 50


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    generate(made, StoreShape(projects=40, records=60, transcripts=20, git=0.2))

    return made


def command(made: Path, home: Path, *more: str) -> list[str]:
    places = ("--from", made / "root", "--data-dir", home / "data")
    buckets = ("--claude-dir", made / "claude", "--report", home / "report.json")

    return [
        *(sys.executable, "-m", "pipeline", "import", "--yes"),
        *map(str, places),
        *map(str, buckets),
        *more,
    ]


def start(arguments: list[str], home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments,
        env=environment(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_handlers(process: subprocess.Popen[str]) -> None:
    """Wait until signals are the program's own: before, the interpreter loads."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        time.sleep(0.2)
        return
    caught = 0
    while process.poll() is None and not caught >> (signal.SIGHUP - 1) & 1:
        line = next(x for x in status.read_text().splitlines() if x[:6] == "SigCgt")
        caught = int(line.split()[1], 16)


def assert_whole(home: Path, status: int, stdout: str, stderr: str) -> None:
    assert "Traceback" not in stdout + stderr
    assert "should not have happened" not in stderr
    if (home / "report.json").exists():
        report = json.loads((home / "report.json").read_bytes())
        # A signal that comes when all was done ends the program, and not the import.
        assert report["interrupted"] is False or status not in (0, 3)
    if (home / "data" / "ao.db").exists():
        with closing(sqlite3.connect(home / "data" / "ao.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def interrupt_at_many_moments(made: Path, tmp_path: Path, moments: int) -> None:
    random_moments = random.Random(SEED)
    for moment in range(moments):
        home = tmp_path / f"home-{moment}"
        home.mkdir()
        number = list(STATUSES)[moment % len(STATUSES)]
        with start(command(made, home), home) as process:
            wait_for_handlers(process)
            time.sleep(random_moments.uniform(0, 0.6))
            process.send_signal(number)
            if moment % 2:
                process.send_signal(number)  # one Ctrl-C that is told twice
            stdout, stderr = process.communicate(timeout=ENDING_SECONDS)

        assert process.returncode in (STATUSES[number], 0, 3)
        assert_whole(home, process.returncode, stdout, stderr)
    # What was interrupted last is completed by the next run, which leaves nothing over.
    done = subprocess.run(
        command(made, home), env=environment(home), timeout=60, check=False
    )
    assert done.returncode in (0, 3)
    assert not list(home.glob(".ao-import-report*"))


def test_whenever_a_signal_comes_the_status_is_its_own(
    made: Path, tmp_path: Path
) -> None:
    interrupt_at_many_moments(made, tmp_path, MOMENTS)


@pytest.mark.slow
def test_at_many_more_moments_too(made: Path, tmp_path: Path) -> None:
    interrupt_at_many_moments(made, tmp_path, MOMENTS_OF_THE_LONG_FORM)


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """A home whose only project has a git that does not answer."""
    programs = tmp_path / "programs"
    programs.mkdir()
    git = programs / "git"
    git.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/asked\nexec sleep 60\n")
    git.chmod(0o755)
    (tmp_path / "repos" / "app" / ".git").mkdir(parents=True)
    config = tmp_path / ".agent-orchestrator" / "config.yaml"
    config.parent.mkdir()
    config.write_text(f"projects: {{app: {{path: {tmp_path}/repos/app}}}}")

    return tmp_path


def start_hanging(home: Path, *before: str) -> subprocess.Popen[str]:
    """Start an import, and wait until it has asked git."""
    search_path = os.pathsep.join((str(home / "programs"), os.environ["PATH"]))
    arguments = ("import", "--yes", "--report", "report.json")
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "pipeline", *arguments],
        env=environment(home, PATH=search_path),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not (home / "asked").exists():
        time.sleep(0.01)

    return process


@pytest.mark.parametrize("number", STATUSES)
def test_what_was_done_is_said_and_the_children_are_gone(
    hanging: Path, number: signal.Signals
) -> None:
    with start_hanging(hanging) as process:
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=ENDING_SECONDS)
    report = json.loads((hanging / "report.json").read_bytes())

    assert process.returncode == STATUSES[number]
    assert stdout.startswith("Projects:       0 imported")
    assert stderr.endswith(
        "Interrupted. Nothing is half-written; importing again continues.\n"
    )
    assert (report["interrupted"], report["status"]) == (True, "interrupted")
    with pytest.raises(ProcessLookupError):
        os.kill(int((hanging / "asked").read_text()), 0)
    assert ao_import(hanging, "import", "--yes").status == 0


def test_as_the_first_process_a_signal_ends_it_too(hanging: Path) -> None:
    unshare = shutil.which("unshare")
    alone = [str(unshare), "-p", "-f", "--kill-child"]
    if unshare is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("no process can be the first one of its own here")

    with start_hanging(hanging, *alone) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        os.kill(int(children.read_text()), signal.SIGTERM)
        process.communicate(timeout=ENDING_SECONDS)

    assert process.returncode == STATUSES[signal.SIGTERM]


def test_what_is_ignored_stays_ignored(made: Path, tmp_path: Path) -> None:
    """As under `nohup`."""
    with start(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command(made, tmp_path)], tmp_path
    ) as process:
        time.sleep(0.3)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=60)

    assert process.returncode in (0, 3)
