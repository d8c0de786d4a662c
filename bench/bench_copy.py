"""Are transcripts copied and flushed as fast as `cp` and `rsync` do it?

The imports are of a store whose projects have one record each, so that copying is what
takes time; a dry run of the same, which does all but the writing, is taken off.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from bench.generate_store import StoreShape
from bench.measure import (
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


def main() -> None:
    """Measure, and show it."""
    conduct(
        "copy",
        __doc__,
        measure,
        flags={
            "transcripts": (32, "how many there are"),
            "mebibytes": (16, "size of each in MiB"),
        },
    )


def measure(options: argparse.Namespace, directory: Path) -> Result:
    """Return our speed as a multiple of each other one's."""
    count = options.transcripts // (4 if options.quick else 1)
    shape = StoreShape(
        projects=count,
        records=1,
        transcripts=count,
        transcript_bytes=options.mebibytes << 20,
        terminal_share=0,
    )
    store = Store.make(directory / "store", shape)
    warm(store)
    others = {
        "cp, then sync": ("--copy", "--flush"),
        "cp -R, not flushed": ("--copy",),
    }
    if shutil.which("rsync"):
        others["rsync -a, not flushed"] = ("--rsync",)
        others["rsync -a, then sync"] = ("--rsync", "--flush")

    rows = []
    for what, flags in others.items():
        paired = pair(
            lambda: _copy_ours(store),
            lambda flags=flags: _copy_theirs(store, flags),  # type: ignore[misc]
            pairs=options.pairs,
        )
        size = mebibytes(store.generated.transcript_bytes)
        rows.append(
            Row(
                what=f"our speed / {what}",
                value=1 / paired.ratio,
                at_least=0.9 if what == "cp, then sync" else None,
                paired=paired,
                remark=f"{size / paired.ours.seconds:,.0f} MiB/s against "
                f"{size / paired.other.seconds:,.0f} MiB/s",
            )
        )

    return Result(rows=rows)


def _copy_ours(store: Store) -> Run:
    with store.fresh_places() as place:
        dry = run(import_command(store, place / "data", "--dry-run"))
        done = run(import_command(store, place / "data"))

    return Run(
        seconds=done.seconds - dry.seconds,
        cpu_seconds=done.cpu_seconds - dry.cpu_seconds,
        peak_bytes=done.peak_bytes,
    )


def _copy_theirs(store: Store, flags: tuple[str, ...]) -> Run:
    with store.fresh_places() as place:
        places = (store.buckets, place / "copies")
        return run(floor_command(flags[0], *places, *flags[1:]))


if __name__ == "__main__":
    main()
