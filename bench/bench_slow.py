"""Do more readers help where each `open` takes 200 ms, as on a far-away file system?"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.generate_store import StoreShape
from bench.measure import Result, Row, Run, Store, conduct, import_command, run
from bench.watched import watched_command

READERS = (1, 2, 8)


def main() -> None:
    """Measure, and show it."""
    conduct(
        "slow",
        __doc__,
        measure,
        flags={
            "delay-milliseconds": (200, "what each open takes"),
            "projects": (16, "projects of the store"),
            "records": (4, "records of each"),
        },
    )


def measure(options: argparse.Namespace, directory: Path) -> Result:
    """Return the time of each number of readers, against that of one."""
    shape = StoreShape(
        projects=options.projects // (2 if options.quick else 1),
        records=options.records,
        transcripts=0,
        v1_share=0,
        own_files=0,
    )
    store = Store.make(directory / "store", shape)
    delay_seconds = options.delay_milliseconds / 1000
    runs = {readers: _import(store, readers, delay_seconds) for readers in READERS}

    return Result(
        rows=[
            Row(
                what=f"time with --readers {readers} / with one",
                value=done.seconds / runs[1].seconds,
                remark=f"[{done.seconds:.2f} s, {opened} opens of "
                f"{options.delay_milliseconds} ms]",
            )
            for readers, (done, opened) in {
                readers: (done, done.output) for readers, done in runs.items()
            }.items()
        ]
    )


def _import(store: Store, readers: int, delay_seconds: float) -> Run:
    with store.fresh_places() as place:
        command = import_command(store, place / "data", "--readers", str(readers))
        count_file = place / "opened"
        done = run(watched_command(store, count_file, delay_seconds, command))
        opened = count_file.read_text()

    return Run(
        seconds=done.seconds,
        cpu_seconds=done.cpu_seconds,
        peak_bytes=done.peak_bytes,
        output=opened,
    )


if __name__ == "__main__":
    main()
