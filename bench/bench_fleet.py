"""How many small stores a minute does a fleet import, against one after the other?

Needs the extra `fleet`. Each way has homes of its own, all alike. At the end the same on a cluster of two worker
processes, one of which is killed in the middle, and every store of it is verified.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil

from bench.generate_store import StoreShape, generate
from bench.measure import Result, Row, Run, conduct, run

WORKERS = (1, 2)
FLEET_STORES = 10_000
FLEET_WORKERS = 50
WAIT_SECONDS = 60.0


def main() -> None:
    """Measure, and show it."""
    conduct(
        "fleet",
        __doc__,
        measure,
        flags={
            "stores": (200, "homes with a store each"),
            "projects": (5, "projects of each"),
            "records": (20, "session records of each project"),
        },
    )


def measure(options: argparse.Namespace, directory: Path) -> Result:
    """Return the stores a minute of each way, and what that means for thousands."""
    count = options.stores // (10 if options.quick else 1)
    shape = StoreShape(
        projects=options.projects, records=options.records, damaged_share=0
    )

    def homes(name: str) -> list[Path]:
        return _make_homes(directory / name, count, shape)

    alone_seconds = sum(_import(home).seconds for home in homes("alone"))
    fleets = {
        workers: run(_fleet(homes(f"by-{workers}"), "--workers", str(workers))).seconds
        for workers in WORKERS
    }
    rows = [_rate("one after the other", count, alone_seconds)]
    rows += [
        _rate(f"fleet --workers {workers}", count, seconds)
        for workers, seconds in fleets.items()
    ]
    rows.append(
        Row(
            what="time of the fleet with two workers / one after the other",
            value=fleets[2] / alone_seconds,
        )
    )
    killed = homes("killed")
    seconds = _with_a_worker_killed(killed)
    rows.append(_rate("two worker processes, one killed in the middle", count, seconds))
    faults = [home.name for home in killed if not _is_whole(home, options.projects)]
    rows.append(
        Row(what="of these stores not whole", value=len(faults), unit="", at_most=0)
    )

    return Result(rows=rows, lines=_on_paper(alone_seconds / count))


def _on_paper(each_seconds: float) -> list[str]:
    """Return what many such stores would take, and what has to hold for that."""
    minutes = each_seconds * FLEET_STORES / FLEET_WORKERS / 60

    return [
        f"On paper: {FLEET_STORES:,} such stores on {FLEET_WORKERS} workers take "
        f"{FLEET_STORES:,} x {each_seconds:.3f} s / {FLEET_WORKERS} = {minutes:.1f} min, if",
        "- each worker has a core of its own, as fast as this one",
        "- the file servers answer all of them as this disk does; --at-once bounds them",
        "- no store is large: a worker is busy with one for as long as it takes",
        "- the scheduler keeps up, which is not measured: it has one task to give for each "
        f"store, {FLEET_WORKERS / each_seconds:.0f} a second",
    ]


def _rate(what: str, count: int, seconds: float) -> Row:
    return Row(
        what=f"{what}: {count} stores",
        value=60 * count / seconds,
        unit="/min",
        remark=f"[{seconds:.1f} s]",
    )


def _make_homes(directory: Path, count: int, shape: StoreShape) -> list[Path]:
    homes = [directory / f"{number:05}" for number in range(count)]
    for home in homes:
        generate(home, shape)
        (home / "root").rename(home / ".agent-orchestrator")
        (home / ".claude").mkdir()
        (home / "claude").rename(home / ".claude" / "projects")
    os.sync()  # else its write-back would run into the measurement

    return homes


def _import(home: Path) -> Run:
    return run([*_program("import", home), "--yes", "--json"])


def _program(command: str, home: Path) -> list[str]:
    places = {
        "--from": home / ".agent-orchestrator",
        "--data-dir": home / ".ao" / "data",
        "--claude-dir": home / ".claude" / "projects",
    }
    given = [str(word) for pair in places.items() for word in pair]

    return [sys.executable, "-m", "pipeline", command, *given]


def _fleet(homes: list[Path], *options: str) -> list[str]:
    names = map(str, homes)

    return [sys.executable, "-m", "pipeline", "fleet", *names, *options, "--quiet"]


def _with_a_worker_killed(homes: list[Path]) -> float:
    """Import on two workers, kill one after a third of the stores; return the seconds."""
    with _two_workers() as (address, workers):
        started = time.perf_counter()
        command = _fleet(homes, "--scheduler", address)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as fleet:
            third = homes[len(homes) // 3]
            _wait_until((third / ".ao" / "data" / "ao.db").exists)
            _wait_until(lambda: workers[0].children())  # it is in the middle of a store
            workers[0].send_signal(signal.SIGKILL)
            fleet.wait()

        return time.perf_counter() - started


@contextmanager
def _two_workers() -> Iterator[tuple[str, list[psutil.Process]]]:
    """Provide a scheduler of two worker processes, which are begun anew if they die."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=50,  # that a worker died is no news here
    ) as cluster:
        workers = [
            psutil.Process(nanny.process.pid) for nanny in cluster.workers.values()
        ]
        yield cluster.scheduler_address, workers


def _wait_until(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not happens():
        if time.monotonic() > deadline:
            raise TimeoutError("the fleet does not get on")
        time.sleep(0.001)


def _is_whole(home: Path, projects: int) -> bool:
    """Whether all of a store has arrived, once."""
    verify = [*_program("verify", home), "--quiet"]
    if subprocess.run(verify, stdout=subprocess.DEVNULL, check=False).returncode:
        return False

    with closing(sqlite3.connect(home / ".ao" / "data" / "ao.db")) as database:
        found = database.execute("SELECT count(*) FROM projects").fetchone()

    return bool(found == (projects,))


if __name__ == "__main__":
    main()
