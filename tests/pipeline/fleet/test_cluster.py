"""A fleet on a real scheduler: two real worker processes, or none but this one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.pipeline.command import ao_import, environment
from tests.pipeline.fleet.test_store import fill, hold
from tests.support import Store

pytest.importorskip(
    "distributed", reason="Dask is not installed: pip install 'ao-import[fleet]'"
)

SECONDS = 60
LOOPBACK = ("--host", "127.0.0.1", "--no-dashboard")


@pytest.fixture
def stores(tmp_path: Path) -> list[Store]:
    """Six homes with a store each."""
    return [fill(Store(tmp_path.resolve() / f"home{number}")) for number in range(6)]


class Cluster:
    """A scheduler and two workers, each a process; all are killed at the end."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._processes: list[subprocess.Popen[bytes]] = []
        contact = place / "scheduler.json"
        self._start("scheduler", "--port", "0", "--scheduler-file", str(contact))
        wait_until(lambda: contact.is_file() and contact.stat().st_size > 0)
        self.address: str = json.loads(contact.read_text())["address"]
        scratch = ("--local-directory", str(place))
        one_at_a_time = ("--no-nanny", "--nthreads", "1", "--memory-limit", "0")
        self.workers = [
            self._start("worker", self.address, *one_at_a_time, *scratch)
            for _ in range(2)
        ]

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(SECONDS)

    def _start(self, role: str, *options: str) -> psutil.Process:
        command = [sys.executable, "-m", f"distributed.cli.dask_{role}", *options]
        process = subprocess.Popen(
            [*command, *LOOPBACK],
            env=environment(self._place),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)

        return psutil.Process(process.pid)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    place = tmp_path / "cluster"
    place.mkdir()
    with closing(Cluster(place)) as cluster:
        yield cluster


def wait_until(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def fleet(place: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a fleet beside the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "fleet", *arguments],
        env=environment(place),
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def homes(stores: list[Store]) -> list[str]:
    return [str(store.home) for store in stores]


def reports(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def assert_all_there_once(stores: list[Store]) -> None:
    for store in stores:
        assert store.rows("SELECT id FROM projects") == [("app",)]
        assert store.rows("SELECT count(*) FROM sessions") == [(1,)]
        assert ao_import(store.home, "verify").status == 0


def test_every_store_is_imported_by_the_workers_of_the_cluster(
    cluster: Cluster, stores: list[Store], tmp_path: Path
) -> None:
    arguments = [*homes(stores), "--scheduler", cluster.address]
    done = ao_import(tmp_path, "fleet", *arguments, "--reports", "r.jsonl", "-q")

    assert (done.status, done.stderr) == (0, "")
    lines = reports(tmp_path / "r.jsonl")
    assert sorted(str(line["home"]) for line in lines) == homes(stores)
    assert {line["outcome"] for line in lines} == {"done"}
    assert_all_there_once(stores)


def test_a_worker_that_is_killed_in_the_middle_costs_no_store(
    cluster: Cluster, stores: list[Store], tmp_path: Path
) -> None:
    """One store is held up, so that some worker is in the middle of it for sure."""
    held, *_ = stores
    assert ao_import(held.home, "import").status == 0
    held.project("other")
    arguments = [*homes(stores), "--scheduler", cluster.address]

    with fleet(tmp_path, *arguments, "--reports", "r.jsonl") as process:
        with closing(hold(held)):
            wait_until(lambda: worker_of(held, cluster) is not None)
            victim = worker_of(held, cluster)
            assert victim is not None
            [its_import] = victim.children()
            victim.kill()
            wait_until(lambda: not is_alive(its_import))
        _, stderr = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, stderr
    lines = reports(tmp_path / "r.jsonl")
    assert sorted(str(line["home"]) for line in lines) == homes(stores)
    assert sorted(held.rows("SELECT id FROM projects")) == [("app",), ("other",)]
    assert ao_import(held.home, "verify").status == 0
    assert_all_there_once(stores[1:])


def worker_of(store: Store, cluster: Cluster) -> psutil.Process | None:
    """Return the worker that has a process at work on a store."""
    for worker in cluster.workers:
        for process in worker.children():
            if process.environ().get("HOME") == str(store.home):
                return worker

    return None


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_without_a_scheduler_this_machine_does_it_and_nothing_is_left(
    stores: list[Store], tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = ao_import(
        tmp_path, "fleet", *homes(stores), "-q", env={"TMPDIR": str(temporary)}
    )

    assert (done.status, done.stderr) == (0, "")
    assert list(temporary.iterdir()) == []
    assert_all_there_once(stores)


def test_without_a_scheduler_nobody_else_can_connect(
    stores: list[Store], tmp_path: Path
) -> None:
    held, *_ = stores
    assert ao_import(held.home, "import").status == 0
    held.project("other")

    with closing(hold(held)), fleet(tmp_path, str(held.home)) as process:
        program = psutil.Process(process.pid)
        wait_until(program.children)
        listening = [
            connection.laddr.ip
            for connection in program.net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]

    assert set(listening) <= {"127.0.0.1"}


def test_an_interruption_ends_the_imports_and_says_what_was_done(
    stores: list[Store], tmp_path: Path
) -> None:
    if not hasattr(signal, "SIGHUP"):
        pytest.skip("this system sends no such signals")
    held, done, *_ = stores
    assert ao_import(held.home, "import").status == 0
    held.project("other")
    arguments = [str(done.home), str(held.home), "--workers", "2"]

    with closing(hold(held)), fleet(tmp_path, *arguments) as process:
        program = psutil.Process(process.pid)
        wait_until(done.database.exists)
        wait_until(lambda: len(program.children()) == 1)
        [its_import] = program.children()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=SECONDS)

    assert process.returncode == 130
    assert "Stopping: 1 stores at work" in stderr
    assert f"Imported:\n  - {done.home}: projects 1" in stdout
    assert f"Interrupted:\n  - {held.home}\n" in stdout
    assert not its_import.is_running()
    assert held.rows("SELECT id FROM projects") == [("app",)]


def test_a_scheduler_that_goes_ends_the_fleet_with_a_sentence(
    cluster: Cluster, stores: list[Store], tmp_path: Path
) -> None:
    held, *_ = stores
    assert ao_import(held.home, "import").status == 0
    held.project("other")
    arguments = [str(held.home), "--scheduler", cluster.address, "-q"]

    with closing(hold(held)), fleet(tmp_path, *arguments) as process:
        wait_until(lambda: worker_of(held, cluster) is not None)
        cluster.close()
        _, stderr = process.communicate(timeout=SECONDS)

    assert process.returncode == 1
    assert stderr.startswith("error: the scheduler has gone; ")
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "says"),
    [
        pytest.param(
            "tcp://127.0.0.1:1",
            "does not answer",
            id="nobody-there",
            marks=pytest.mark.slow,  # it waits for one that only comes late
        ),
        pytest.param("nonsense", "does not answer", id="no-address"),
    ],
)
def test_a_scheduler_that_is_not_there_is_a_sentence(
    tmp_path: Path, address: str, says: str
) -> None:
    done = ao_import(tmp_path, "fleet", str(tmp_path), "--scheduler", address)

    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: the scheduler at {address} {says}")
    assert done.stderr.count("\n") == 1
