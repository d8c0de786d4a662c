"""Is the time linear and the memory flat: more records, more projects, larger transcripts?

Each size is a store of its own, imported once or more beside its floor and then deleted.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from bench.generate_store import StoreShape
from bench.measure import (
    RESULTS,
    Result,
    Row,
    Run,
    Store,
    conduct,
    floor_command,
    import_command,
    mebibytes,
    pair,
    run,
    warm,
)

RECORDS = (10**3, 10**4, 10**5, 10**6)
PROJECTS = (1, 10, 100, 1_000, 10_000)
GIBIBYTE_QUARTERS = (1, 4, 16, 40)  # of transcripts in total, up to 10 GiB
SPARE_SHARE = 1.5  # a store needs room for itself, its copies, and the cp's copies
MILLION = 10**6


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One size, and what it took."""

    size: float
    seconds: float
    floor_seconds: float
    ratio: float
    peak_mebibytes: float


def main() -> None:
    """Measure, and show it."""
    conduct(
        "scaling",
        __doc__,
        measure,
        flags={
            "max-records": (MILLION, "the largest number of records"),
            "max-projects": (10_000, "the largest number of projects"),
            "max-mebibytes": (10_240, "the largest total of transcripts, in MiB"),
        },
    )


def measure(options: argparse.Namespace, directory: Path) -> Result:
    """Return the points of three curves, and draw them."""
    if options.quick:
        options.max_records = min(options.max_records, 10_000)
        options.max_projects = min(options.max_projects, 1_000)
        options.max_mebibytes = min(options.max_mebibytes, 256)

    curves = {
        "records": list(
            _points(
                directory,
                ((count, _of_records(count)) for count in RECORDS),
                options.max_records,
            )
        ),
        "projects": list(
            _points(
                directory,
                ((count, _of_projects(count)) for count in PROJECTS),
                options.max_projects,
            )
        ),
        "transcripts": list(
            _points(
                directory,
                ((256 * n, _of_transcripts(256 * n)) for n in GIBIBYTE_QUARTERS),
                options.max_mebibytes,
            )
        ),
    }
    if options.max_mebibytes >= 4096:
        one = StoreShape(projects=1, records=1, transcripts=1, transcript_bytes=4 << 30)
        curves["one transcript"] = list(_points(directory, [(4096, one)], 4096))
    if options.save:
        _draw(curves)

    lines = [
        f"{name:<15}{point.size:>12,.0f}{point.seconds:>9.2f} s"
        f"{point.ratio:>8.2f} x the floor{point.peak_mebibytes:>8.1f} MiB"
        for name, points in curves.items()
        for point in points
    ]
    return Result(
        rows=list(_rows(curves)), lines=lines, data=msgspec.to_builtins(curves)
    )


def _of_records(count: int) -> StoreShape:
    # In the target's proportions: a thousand records to a project.
    return StoreShape(
        projects=max(count // 1000, 1), records=min(count, 1000), transcripts=0
    )


def _of_projects(count: int) -> StoreShape:
    return StoreShape(projects=count, records=1, transcripts=0)


def _of_transcripts(size_mebibytes: int) -> StoreShape:
    count = size_mebibytes // 64

    return StoreShape(
        projects=count, records=1, transcripts=count, transcript_bytes=64 << 20
    )


def _points(
    directory: Path, shapes: Iterable[tuple[int, StoreShape]], most: int
) -> Iterator[Point]:
    """Measure each shape up to a size, as long as there is room for it."""
    for size, shape in shapes:
        transcripts = shape.transcripts or 0
        needed_bytes = shape.projects * shape.records * 8192
        needed_bytes += 4 * transcripts * shape.transcript_bytes
        free_bytes = shutil.disk_usage(directory).free
        if size <= most and SPARE_SHARE * needed_bytes < free_bytes:
            store = Store.make(directory / "store", shape)
            yield _measure(store, size)
            shutil.rmtree(store.directory)


def _measure(store: Store, size: int) -> Point:
    warm(store)

    def import_it() -> Run:
        with store.fresh_places() as place:
            done = run(import_command(store, place / "data"))
        _make_room(store)
        return done

    def copy_it() -> Run:
        with store.fresh_places() as place:
            copies = ("--copy", store.buckets, place / "copies")
            done = run(floor_command("--read", store.root, *copies))
        _make_room(store)
        return done

    paired = pair(import_it, copy_it, pairs=1 if _is_large(store) else 3)
    return Point(
        size=size,
        seconds=paired.ours.seconds,
        floor_seconds=paired.other.seconds,
        ratio=paired.ratio,
        peak_mebibytes=mebibytes(paired.ours.peak_bytes),
    )


def _is_large(store: Store) -> bool:
    return store.generated.bytes > 1 << 30


def _make_room(store: Store) -> None:
    """Delete what large copies were made, and let the system finish with it."""
    if _is_large(store):
        for place in store.directory.glob("written-*"):
            shutil.rmtree(place)
        os.sync()


def _rows(curves: dict[str, list[Point]]) -> Iterator[Row]:
    """Yield what the targets are about, as far as it was measured."""
    by_size = {(name, p.size): p for name, points in curves.items() for p in points}
    if million := by_size.get(("records", MILLION)):
        what = "a million records in 1,000 projects / reading loop"
        yield Row(what=what, value=million.ratio, at_most=2.0)
        yield _memory("a million records", million)
    if many := by_size.get(("projects", 10_000)):
        what = "10,000 projects, one record each"
        yield Row(what=what, value=many.seconds, unit="s", at_most=6)
    if one := by_size.get(("one transcript", 4096)):
        yield _memory("one transcript of 4 GiB", one)


def _memory(what: str, point: Point) -> Row:
    return Row(
        what=f"peak memory, {what}", value=point.peak_mebibytes, unit="MiB", at_most=64
    )


def _draw(curves: dict[str, list[Point]]) -> None:
    """Write each curve as `results/scaling-{name}.svg`: time above, memory below."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    labels = {
        "records": "records, 1,000 to a project",
        "projects": "projects of one record",
        "transcripts": "MiB of transcripts, 64 MiB each",
    }
    RESULTS.mkdir(exist_ok=True)
    for name, label in labels.items():
        points = curves[name]
        sizes = [point.size for point in points]
        figure, (times, memory) = pyplot.subplots(2, sharex=True, figsize=(7, 6))
        times.loglog(sizes, [p.seconds for p in points], "o-", label="import")
        times.loglog(sizes, [p.floor_seconds for p in points], "s--", label="floor")
        times.set_ylabel("seconds")
        times.legend()
        peaks = [point.peak_mebibytes for point in points]
        memory.semilogx(sizes, peaks, "o-")
        memory.set_ylim(0, max(64, 1.1 * max(peaks)))
        memory.set_ylabel("peak memory in MiB")
        memory.set_xlabel(label)
        for axes in (times, memory):
            axes.grid(visible=True, alpha=0.3)
        figure.tight_layout()
        figure.savefig(RESULTS / f"scaling-{name}.svg")
        pyplot.close(figure)


if __name__ == "__main__":
    main()
