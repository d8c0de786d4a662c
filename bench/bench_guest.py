"""Does a server go on answering while it imports, and how long is its event loop held?

Two processes: a Starlette application on uvicorn that imports on its first boot, and a
client that asks for the progress, and every twentieth time for the probe, one request
after the other, until the import has ended. A server that does nothing but answer shows
what the machine itself does. On a busy one, begin the command with `nice -n -20`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import cycle
from pathlib import Path

import httpx
import msgspec

from bench.generate_store import StoreShape
from bench.measure import (
    BENCH,
    Result,
    Row,
    Store,
    conduct,
    stolen_seconds,
    warm,
)
from bench.served import Pulse

REQUESTS = 200  # at least, also where the import is over before
STALL_MILLISECONDS = 50
REQUEST_MILLISECONDS = 100
PACKAGES = ("starlette", "uvicorn", "httpx")


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """How a server fared."""

    pulse: Pulse
    request_seconds: dict[str, list[float]]  # by path, answered during the import
    stolen_seconds: float  # by others, of all processors together


def main() -> None:
    """Measure, and show it."""
    conduct(
        "guest",
        __doc__,
        measure,
        flags={
            "projects": (200, "projects of the store"),
            "records": (250, "records of each"),
            "transcripts": (110, "transcripts of 1 MiB"),
        },
    )


def measure(options: argparse.Namespace, directory: Path) -> Result:
    """Return the longest stall and the slowest request of several imports."""
    shape = StoreShape(
        projects=options.projects,
        records=options.records // (10 if options.quick else 1),
        transcripts=options.transcripts,
        transcript_bytes=1 << 20,
    )
    store = Store.make(directory / "store", shape)
    warm(store)
    times = 1 if options.quick else options.pairs
    rows: list[Row] = []
    for what, imports in (("while it imports", True), ("of an idle server", False)):
        runs = [_serve(store, imports=imports) for _ in range(times)]
        rows += _rows(what, runs, has_limits=imports)

    return Result(
        rows=rows, lines=[f"{package} {version(package)}" for package in PACKAGES]
    )


def _rows(what: str, runs: list[Served], *, has_limits: bool) -> list[Row]:
    stalls = [run.pulse.longest_stall_seconds * 1000 for run in runs]
    imports = ", ".join(f"{run.pulse.seconds:.2f}" for run in runs)
    stolen = ", ".join(f"{run.stolen_seconds:.2f}" for run in runs)
    requests = [
        _request_row(
            what, path, [run.request_seconds[path] for run in runs], has_limits
        )
        for path in runs[0].request_seconds
    ]

    return [
        Row(
            what=f"longest stall of the event loop {what}",
            value=max(stalls),
            unit="ms",
            at_most=STALL_MILLISECONDS if has_limits else None,
            remark=f"[each run: {', '.join(f'{stall:.1f}' for stall in stalls)}"
            + (f"; imports of {imports} s" if has_limits else "")
            + f"; others took {stolen} s of the processors]",
        ),
        *requests,
    ]


def _request_row(
    what: str, path: str, runs: list[list[float]], has_limits: bool
) -> Row:
    slowest = [max(seconds) * 1000 for seconds in runs]
    middle = statistics.median(seconds for run in runs for seconds in run) * 1000

    return Row(
        what=f"slowest {path} {what}",
        value=max(slowest),
        unit="ms",
        at_most=REQUEST_MILLISECONDS if has_limits else None,
        remark=f"[each run: {', '.join(f'{each:.1f}' for each in slowest)}; "
        f"{min(map(len, runs))} requests or more in each, median {middle:.1f} ms]",
    )


def _serve(store: Store, *, imports: bool) -> Served:
    paths = ["/progress"] * 19 + ["/probe"]
    taken: dict[str, list[float]] = {path: [] for path in paths}
    stolen = stolen_seconds()
    with store.fresh_places() as place, _server(store, place, imports) as client:
        for number, path in enumerate(cycle(paths), 1):
            started = time.perf_counter()
            client.get(path).raise_for_status()
            taken[path].append(time.perf_counter() - started)
            if number % len(paths) == 0:
                pulse = msgspec.json.decode(client.get("/pulse").content, type=Pulse)
                if pulse.has_ended or (not imports and number >= REQUESTS):
                    break

    if imports and (pulse.outcome != "imported" or number < REQUESTS):
        sys.stderr.write(f"{number} requests: {pulse.outcome}; too few to judge\n")

    return Served(
        pulse=pulse,
        request_seconds=taken,
        stolen_seconds=stolen_seconds() - stolen,
    )


@contextmanager
def _server(store: Store, place: Path, imports: bool) -> Iterator[httpx.Client]:
    places = map(str, (store.root, place / "data", store.buckets))
    mode = "import" if imports else "idle"
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.served", *places, mode],
        cwd=BENCH.parent,
        env={**os.environ, "AO_RUN_FILE": os.devnull + ".json"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            client.get("/pulse")  # the connection is made, and the server has started
            yield client
        process.communicate()


if __name__ == "__main__":
    main()
