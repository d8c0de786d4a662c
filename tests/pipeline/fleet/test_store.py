"""One store of a fleet, imported by a real process of its own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import msgspec
import psutil
import pytest
from anyio import create_task_group, fail_after, to_thread

from pipeline.fleet.store import (
    Ended,
    NotAllowed,
    Order,
    Outcome,
    StoreResult,
    identity_of,
    import_store,
    judge,
    to_json_line,
)
from pipeline.lock import LOCK_NAME
from stages.errors import ImportRunning
from tests.pipeline.command import REPOSITORY, environment
from tests.support import UUID, Store, lifecycle

SECONDS = 60
MEMORY_LIMIT_BYTES = 2 << 30
SOMEBODY = 65534


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with an orchestrator and its transcript, and the program where it is found."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))

    return fill(Store(tmp_path.resolve() / "home"))


def fill(store: Store) -> Store:
    store.project()
    worktree = store.worktree()
    store.write(store.bucket(worktree) / f"{UUID}.jsonl", "{}\n" * 1000)
    store.record(worktree=str(worktree), claudeSessionUuid=UUID, lifecycle=lifecycle())

    return store


def order(home: Path, **changes: Any) -> Order:
    return msgspec.structs.replace(
        Order(
            home=str(home),
            time_limit_seconds=SECONDS,
            memory_limit_bytes=MEMORY_LIMIT_BYTES,
        ),
        **changes,
    )


async def imported(home: Path, **changes: Any) -> StoreResult:
    with fail_after(SECONDS):
        return await import_store(order(home, **changes), anyio.sleep_forever)


def hold(store: Store) -> sqlite3.Connection:
    """Hold the database as a writer does; an import waits for it, in the middle."""
    connection = sqlite3.connect(store.database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")

    return connection


async def import_under_way() -> psutil.Process:
    """Return the process of the import as soon as there is one."""

    def find() -> psutil.Process:
        while not (found := psutil.Process().children()):
            time.sleep(0.01)

        return found[0]

    return await to_thread.run_sync(find)


async def test_a_store_is_imported_into_its_home(store: Store) -> None:
    result = await imported(store.home)

    assert (result.outcome, result.status, result.error) == ("done", 0, None)
    assert (result.projects, result.orchestrators, result.transcripts) == (1, 1, 1)
    assert result.transcript_bytes == 3000
    assert store.rows("SELECT id FROM projects") == [("app",)]
    assert json.loads(result.report)["projectsImported"] == 1
    assert b"\n" not in result.report


async def test_a_store_that_is_there_already_is_left_as_it_is(store: Store) -> None:
    await imported(store.home)
    before = store.database.read_bytes()

    result = await imported(store.home)

    assert (result.outcome, result.projects, result.projects_present) == ("done", 0, 1)
    assert store.database.read_bytes() == before


async def test_a_dry_run_makes_nothing(store: Store) -> None:
    result = await imported(store.home, dry_run=True)

    assert (result.outcome, result.projects) == ("done", 1)
    assert result.transcript_bytes == 3000
    assert not store.data_dir.exists()


async def test_a_home_without_a_legacy_store_has_nothing_to_import(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "bob").mkdir()

    result = await imported(tmp_path / "bob")

    assert (result.outcome, result.status) == ("nothing", 0)
    assert os.listdir(tmp_path / "bob") == []


async def test_what_could_not_come_makes_a_store_incomplete(store: Store) -> None:
    store.configure({"app": {"path": "/repos/app"}, "no path": {}})

    result = await imported(store.home)

    assert (result.outcome, result.status, result.projects) == ("incomplete", 3, 1)
    assert result.worst is not None
    assert result.worst.startswith("no path: ")


async def test_a_broken_configuration_fails_and_will_not_pass(store: Store) -> None:
    store.write(store.config, "projects: [\n")

    result = await imported(store.home)

    assert (result.outcome, result.status, result.may_pass) == ("failed", 1, False)
    assert result.error is not None
    assert result.error.startswith(f"{store.config}: line 1, column 11: ")


@pytest.mark.parametrize("name", ["gone", "file"])
async def test_a_home_that_is_no_directory_fails(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()

    result = await imported(tmp_path / name)

    assert (result.outcome, result.status, result.may_pass) == ("failed", None, False)


async def test_another_import_at_work_may_pass(store: Store) -> None:
    fcntl = pytest.importorskip("fcntl")
    store.data_dir.mkdir(parents=True)
    with (store.data_dir / LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = await imported(store.home)

    assert (result.outcome, result.status, result.may_pass) == ("refused", 2, True)
    assert result.error == str(ImportRunning(store.data_dir))


async def test_a_live_daemon_is_refused_and_will_not_pass(store: Store) -> None:
    store.write(".ao/running.json", {"pid": os.getpid()})

    result = await imported(store.home)

    assert (result.outcome, result.status, result.may_pass) == ("refused", 2, False)


async def test_what_takes_too_long_is_ended_and_may_pass(store: Store) -> None:
    await imported(store.home)
    store.project("other")
    with closing(hold(store)):
        result = await imported(store.home, time_limit_seconds=1.0)

    assert (result.outcome, result.may_pass) == ("failed", True)
    assert result.error == "it took longer than 1 s and was stopped"
    assert psutil.Process().children() == []
    assert (await imported(store.home)).projects == 1


async def test_a_request_to_stop_ends_the_process(store: Store) -> None:
    await imported(store.home)
    store.project("other")
    stopped = anyio.Event()
    results = []

    async def work() -> None:
        results.append(await import_store(order(store.home), stopped.wait))

    with closing(hold(store)), fail_after(SECONDS):
        async with create_task_group() as tasks:
            tasks.start_soon(work)
            await import_under_way()
            stopped.set()

    assert [result.outcome for result in results] == ["interrupted"]
    assert psutil.Process().children() == []


async def test_a_task_that_is_cancelled_leaves_no_process(store: Store) -> None:
    await imported(store.home)
    store.project("other")
    with closing(hold(store)), fail_after(SECONDS):
        async with create_task_group() as tasks:
            tasks.start_soon(imported, store.home)
            await import_under_way()
            tasks.cancel_scope.cancel()

    assert psutil.Process().children() == []


async def test_a_process_that_is_killed_may_pass(store: Store) -> None:
    await imported(store.home)
    store.project("other")
    results = []

    async def work() -> None:
        results.append(await imported(store.home))

    with closing(hold(store)), fail_after(SECONDS):
        async with create_task_group() as tasks:
            tasks.start_soon(work)
            (await import_under_way()).kill()

    [result] = results
    assert (result.outcome, result.may_pass) == ("failed", True)
    assert result.error == "it was ended by signal SIGKILL"


async def test_nothing_of_our_own_environment_reaches_an_import(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AO_DATA_DIR", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("SECRET_OF_ROOT", "hunter2")
    await imported(store.home)
    store.project("other")
    names: set[str] = set()

    with closing(hold(store)), fail_after(SECONDS):
        async with create_task_group() as tasks:
            tasks.start_soon(imported, store.home)
            process = await import_under_way()
            while not names:  # between fork and exec it still has ours, or none
                found = process.environ()
                if process.cmdline()[-1:] == ["--json"] and "HOME" in found:
                    assert found["HOME"] == str(store.home)
                    names = set(found)
            tasks.cancel_scope.cancel()

    assert not (tmp_path / "elsewhere").exists()
    assert store.rows("SELECT id FROM projects") == [("app",)]
    assert not names & {"AO_DATA_DIR", "CLAUDE_CONFIG_DIR", "SECRET_OF_ROOT"}


async def test_memory_has_a_limit(store: Store) -> None:
    pytest.importorskip("resource", reason="this system has no such limits")
    if sys.platform == "darwin":
        pytest.skip("this system takes the limit and does not keep it")

    result = await imported(store.home, memory_limit_bytes=48 << 20)

    assert result.outcome == "failed"
    assert not store.database.exists()


def launch(store: Store) -> subprocess.Popen[bytes]:
    """Start an import whose standard input is ours to close."""
    command = [sys.executable, "-m", "pipeline.fleet.launch", str(MEMORY_LIMIT_BYTES)]

    return subprocess.Popen(
        [*command, "import"],
        env=environment(store.home),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def test_an_import_ends_with_who_started_it(store: Store) -> None:
    with launch(store) as process:
        assert process.wait(SECONDS) == 0
    store.project("other")

    with closing(hold(store)), launch(store) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(SECONDS) != 0

    assert store.rows("SELECT id FROM projects") == [("app",)]


def _can_be_somebody() -> bool:
    command = [sys.executable, "-P", "-c", "import pipeline.terminal.cli, aiosqlite"]
    try:
        done = subprocess.run(
            command,
            user=SOMEBODY,
            group=SOMEBODY,
            extra_groups=[],
            cwd=os.sep,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
        )
    except (OSError, ValueError):
        return False

    return done.returncode == 0


@pytest.fixture
def open_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that another user can reach, which is theirs; pytest's places are not."""
    if not _can_be_somebody():
        pytest.skip("nobody else can run the program here: not root, or no way in")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        store = fill(Store(Path(directory).resolve() / "home"))
        for place in (store.home, *store.home.rglob("*")):
            os.chown(place, SOMEBODY, SOMEBODY)
        store.home.chmod(0o700)
        yield store


async def test_what_root_imports_belongs_to_the_owner_of_the_home(
    open_store: Store,
) -> None:
    result = await imported(open_store.home)

    assert (result.outcome, result.error) == ("done", None)
    made = [place.lstat() for place in open_store.home.rglob("*")]
    assert {info.st_uid for info in made} == {SOMEBODY}
    assert 0 not in {info.st_gid for info in made}
    assert open_store.database.exists()


async def test_root_in_the_home_of_another_reads_nothing_that_is_closed_to_that_one(
    open_store: Store,
) -> None:
    """A configuration that is a link to a secret of root is not read by root's rights."""
    secret = open_store.home.parent / "secret.yaml"
    secret.write_text("projects: {stolen: {path: /x}}\n")
    secret.chmod(0o600)
    open_store.config.unlink()
    open_store.config.symlink_to(secret)

    result = await imported(open_store.home)

    assert result.outcome == "failed"
    assert not open_store.database.exists()


def test_our_own_home_needs_no_other_user(tmp_path: Path) -> None:
    assert identity_of(str(tmp_path)) is None


def test_the_home_of_another_is_not_imported_without_the_right_to_be_that_one() -> None:
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no such users")
    if os.geteuid() == 0:
        pytest.skip("root may be everybody")

    with pytest.raises(NotAllowed, match="belongs to user 0"):
        identity_of("/")


def ended(status: int, **changes: Any) -> Ended:
    return msgspec.structs.replace(
        Ended(status=status, output=b"", is_cut=False, errors=b"", ended_by="itself"),
        **changes,
    )


@pytest.mark.parametrize(
    ("how", "outcome", "error", "may_pass"),
    [
        pytest.param(
            ended(0, output=b"{}", ended_by="time-limit"), "done", None, False,
            id="it-was-done-before-it-was-stopped",
        ),
        pytest.param(
            ended(0, output=b'{"notes": [', is_cut=True), "failed",
            "its report has more than 64 MiB and was cut", False, id="a-cut-report",
        ),
        pytest.param(
            ended(3), "failed", "it ended with status 3 and gave no report", False,
            id="no-report",
        ),
        pytest.param(
            ended(137), "failed", "it was ended by signal SIGKILL", True,
            id="the-status-of-a-shell",
        ),
        pytest.param(
            ended(1, errors=b"Traceback\nerror: no room\x1b[2J\n"), "failed",
            "no room\\x1b[2J", False, id="the-last-line-that-it-wrote",
        ),
        pytest.param(
            ended(1, output=b'{"error": "no room"}', errors=b"x"), "failed", "no room",
            False, id="what-its-report-says-goes-before",
        ),
        pytest.param(ended(1), "failed", "it said nothing", False, id="silence"),
    ],
)  # fmt: skip
def test_the_end_of_a_process_says_what_became_of_the_store(
    how: Ended, outcome: Outcome, error: str | None, may_pass: bool
) -> None:
    result = judge(order(Path("/home/ada")), how)

    assert (result.outcome, result.error, result.may_pass) == (outcome, error, may_pass)


def test_a_line_for_programs_holds_the_whole_report() -> None:
    result = StoreResult(
        home="/home/ad\udce4",
        outcome="done",
        status=0,
        report=b'{"projectsImported":1}',
    )
    line = to_json_line(result)

    assert line.count(b"\n") == 1
    found = json.loads(line)
    assert found.pop("endedAt").endswith("Z")
    assert found == {
        "home": "/home/ad\\udce4",
        "outcome": "done",
        "status": 0,
        "error": None,
        "attempts": 1,
        "seconds": 0.0,
        "report": {"projectsImported": 1},
    }
