"""Where does the time of an import go: items, waiting and threads of each stage?

A fresh process runs the import with a meter at its streams. A stage that is held back at
its sending end waits for the next one; one that waits at its receiving end is faster
than the one before it.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from pathlib import Path

import msgspec

from bench.generate_store import StoreShape
from bench.measure import Result, Row, Run, Store, conduct, import_command, run, warm

# Who sends into each stream, and who receives from it.
STREAMS = {
    "entry": ("discover", "decode"),
    "legacy": ("decode", "map"),
    "planned": ("map", "write"),
    "written": ("write", "relocate"),
    "outcome": ("relocate", "report"),
}
TICK_SECONDS = 0.005


class StreamFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What one stream counted."""

    name: str
    items: int
    send_seconds: float
    receive_seconds: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one import was seen to do, from inside."""

    loading_seconds: float  # of the modules
    plan_seconds: float  # of registry, guards, lock and database, until a project flows
    flow_seconds: float  # from then to the end
    stall_seconds: float  # the longest that the loop kept others waiting
    cpu_by_thread: dict[str, float]  # CPU seconds of each kind of thread
    streams: list[StreamFigures]


def main() -> None:
    """Measure, and show it; as a child, be what is measured."""
    if sys.argv[1:2] == ["--child"]:
        sys.stdout.write(msgspec.json.encode(_observe(sys.argv[2:])).decode())
        return

    conduct(
        "stages",
        __doc__,
        measure,
        flags={
            "projects": (200, "projects of the store"),
            "records": (250, "records of each"),
        },
    )


def measure(options: argparse.Namespace, directory: Path) -> Result:
    """Return the figures of the run that took the median time."""
    projects = options.projects // (5 if options.quick else 1)
    shape = StoreShape(
        projects=projects,
        records=options.records,
        transcripts=projects * 55 // 100,
        transcript_bytes=1 << 20,
    )
    store = Store.make(directory / "store", shape)
    warm(store)
    runs = sorted(
        (_import(store) for _ in range(options.pairs)), key=lambda run: run.seconds
    )
    figures = msgspec.json.decode(runs[len(runs) // 2].output, type=Figures)
    rows = [
        Row(what="loading the modules", value=figures.loading_seconds, unit="s"),
        Row(what="registry, lock, database", value=figures.plan_seconds, unit="s"),
        Row(what="the stages, all at once", value=figures.flow_seconds, unit="s"),
        Row(
            what="longest stall of the event loop",
            value=1000 * figures.stall_seconds,
            unit="ms",
        ),
        *(
            Row(what=f"CPU of the {name} threads", value=seconds, unit="s")
            for name, seconds in sorted(figures.cpu_by_thread.items())
        ),
    ]
    lines = [f"{'stream':<22}{'items':>8}{'held back':>12}{'idle':>10}"]
    for stream in figures.streams:
        sender, receiver = STREAMS[stream.name]
        lines.append(
            f"{sender + ' > ' + receiver:<22}{stream.items:>8}"
            f"{stream.send_seconds:>10.3f} s{stream.receive_seconds:>8.3f} s"
        )

    return Result(
        rows=rows, lines=lines, data={"figures": msgspec.to_builtins(figures)}
    )


def _import(store: Store) -> Run:
    with store.fresh_places() as place:
        command = import_command(store, place / "data")
        arguments = command[command.index("--from") :]
        return run([sys.executable, "-m", "bench.bench_stages", "--child", *arguments])


def _observe(arguments: list[str]) -> Figures:
    """Import as the command line would, and look on from inside."""
    import asyncio

    started = time.perf_counter()
    from pipeline.importing import run_import_with
    from pipeline.options import ImportOptions, resolve
    from pipeline.progress import Meter

    loaded = time.perf_counter()
    given = dict(zip(arguments[::2], arguments[1::2], strict=False))
    places = (given["--from"], given["--claude-dir"], given["--data-dir"])
    root, buckets, data_dir = map(Path, places)
    options = ImportOptions(root=root, claude_dir=buckets, data_dir=data_dir)
    settings, meter = resolve(options, os.environ), Meter()
    stalls, cpu = [0.0], dict[str, float]()
    flowing_at: list[float] = []

    async def watch() -> None:
        while True:
            slept = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            stalls.append(time.perf_counter() - slept - TICK_SECONDS)
            if meter.streams and not flowing_at:
                flowing_at.append(time.perf_counter())
            if len(stalls) % 10 == 0:
                cpu.update(_cpu_by_thread())

    async def observe() -> None:
        watching = asyncio.create_task(watch())
        await run_import_with(settings, on_progress=None, meter=meter)
        watching.cancel()

    asyncio.run(observe())
    ended = time.perf_counter()
    flowed = flowing_at[0] if flowing_at else ended
    by_kind: dict[str, float] = {}
    for name, seconds in cpu.items():
        kind = name.removeprefix("ao-import-").partition("_")[0]
        by_kind[kind] = by_kind.get(kind, 0.0) + seconds

    return Figures(
        loading_seconds=loaded - started,
        plan_seconds=flowed - loaded,
        flow_seconds=ended - flowed,
        stall_seconds=max(stalls),
        cpu_by_thread=by_kind,
        streams=[
            StreamFigures(
                name=stream.name,
                items=stream.items,
                send_seconds=stream.send_seconds,
                receive_seconds=stream.receive_seconds,
            )
            for name in STREAMS
            for stream in (meter.streams[name],)
        ],
    )


def _cpu_by_thread() -> dict[str, float]:
    import psutil

    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    return {
        names.get(thread.id, "other"): thread.user_time + thread.system_time
        for thread in psutil.Process().threads()
    }


if __name__ == "__main__":
    main()
