"""How much more than reading the records and copying the transcripts is an import?

Runs whole imports against their own floor, by turns: a bare loop that opens, reads and
searches every record, and `cp`. Then with dropped caches, with nothing left to do, and
of one project alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from bench.generate_store import StoreShape
from bench.measure import (
    Paired,
    Result,
    Row,
    Run,
    Store,
    conduct,
    drop_caches,
    floor_command,
    import_command,
    mebibytes,
    pair,
    run,
    warm,
)
from bench.watched import watched_command


def main() -> None:
    """Measure, and show it."""
    conduct(
        "import",
        __doc__,
        measure,
        flags={
            "projects": (200, "projects of the store"),
            "records": (250, "records of each"),
        },
    )


def measure(options: argparse.Namespace, directory: Path) -> Result:
    """Return all figures of one store and of one a tenth its size."""
    size = 5 if options.quick else 1
    projects = options.projects // size
    stores = [
        Store.make(directory / name, _shape(count, options.records, v1_share))
        for name, count, v1_share in (
            ("store", projects, 0.1),
            ("current", projects, 0.0),
            ("tenth", max(projects // 10, 1), 0.1),
        )
    ]
    for store in stores:
        warm(store)
    store, current, tenth = stores
    paired = pair(lambda: _import(store), lambda: _floor(store), pairs=options.pairs)
    # Of each the highest of as many runs.
    peak = paired.ours.peak_bytes
    small_peak = max(_import(tenth).peak_bytes for _ in range(options.pairs))
    return Result(
        rows=[
            _row(store, "warm / reading loop + cp", paired, at_most=2.0),
            _row(
                store,
                "warm / reading loop + cp + fsync",
                pair(
                    lambda: _import(store),
                    lambda: _floor(store, "--flush"),
                    pairs=options.pairs,
                ),
            ),
            _row(
                current,
                "warm, no old layouts / reading loop + cp",
                pair(
                    lambda: _import(current),
                    lambda: _floor(current),
                    pairs=options.pairs,
                ),
            ),
            _row(
                store,
                "caches dropped / reading loop, caches dropped",
                pair(
                    lambda: _import(store, is_cold=True),
                    lambda: _read(store, is_cold=True),
                    pairs=max(options.pairs // 2, 1),
                ),
                at_most=0.5,
            ),
            _again(store, options.pairs),
            Row(what="peak memory", value=mebibytes(peak), unit="MiB", at_most=48),
            Row(
                what="peak memory above that of a store a tenth its size",
                value=mebibytes(peak - small_peak),
                unit="MiB",
                at_most=4,
            ),
            _one_project(store),
        ]
    )


def _shape(projects: int, records: int, v1_share: float) -> StoreShape:
    return StoreShape(
        projects=projects,
        records=records,
        transcripts=projects * 55 // 100,
        transcript_bytes=1 << 20,
        v1_share=v1_share,
    )


def _row(store: Store, what: str, paired: Paired, at_most: float | None = None) -> Row:
    records = store.generated.records / paired.ours.seconds
    size = mebibytes(store.generated.bytes) / paired.ours.seconds
    remark = f"{records:,.0f} records/s, {size:,.0f} MiB/s"

    return Row(
        what=what, value=paired.ratio, at_most=at_most, paired=paired, remark=remark
    )


def _import(store: Store, *, is_cold: bool = False) -> Run:
    with store.fresh_places() as place:
        if is_cold:
            drop_caches(store.directory)
        return run(import_command(store, place / "data"))


def _floor(store: Store, *flags: str) -> Run:
    with store.fresh_places() as place:
        places = ("--copy", store.buckets, place / "copies")
        return run(floor_command("--read", store.root, *places, *flags))


def _read(store: Store, *, is_cold: bool = False) -> Run:
    if is_cold:
        drop_caches(store.directory)

    return run(floor_command("--read", store.root))


def _again(store: Store, pairs: int) -> Row:
    """Compare a second run with a first one that neither writes nor copies."""
    with store.fresh_places() as place:
        run(import_command(store, place / "data"))
        paired = pair(
            lambda: run(import_command(store, place / "data")),
            lambda: run(import_command(store, place / "none", "--dry-run")),
            pairs=pairs,
        )

    return _row(store, "second run / first run without writes", paired, at_most=1.1)


def _one_project(store: Store) -> Row:
    """Show what `--project` reads: the files opened, of all that there are."""
    chosen = next((store.root / "projects").iterdir()).name
    with store.fresh_places() as place:
        flags = ("--project", chosen, "--json")
        command = import_command(store, place / "data", *flags)
        done = run(watched_command(store, place / "opened", 0, command))
        opened = int((place / "opened").read_text())
        report = json.loads(done.output)
        shutil.rmtree(place / "data")

    return Row(
        what="sessions read by an import of one project",
        value=report["sessionsRead"],
        unit="",
        at_most=store.shape.records,
        remark=f"[{opened} files opened in the store, {done.seconds:.3f} s]",
    )


if __name__ == "__main__":
    main()
