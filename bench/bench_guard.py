"""Has the import become slower, compared with its floor in the same run?

    python -m bench.bench_guard            fails at 1.5 times the recorded ratio
    python -m bench.bench_guard --record   records the ratio of now

No time is compared, so that it holds on any machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import msgspec

from bench.generate_store import StoreShape
from bench.measure import (
    RESULTS,
    Run,
    Store,
    floor_command,
    import_command,
    pair,
    run,
    warm,
)

RECORD = RESULTS / "guard.json"
SLOWER = 1.5
# Large enough that the start is not all there is to an import.
SHAPE = StoreShape(
    projects=160, records=200, transcripts=60, transcript_bytes=256 << 10
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The ratio that later ones are compared with."""

    ratio: float


def main() -> None:
    """Measure, print one line, and fail if it has become slower."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench_guard")
    parser.add_argument("--pairs", type=int, default=7, help="at least 5")
    parser.add_argument("--record", action="store_true", help="record the ratio of now")
    options = parser.parse_args()
    ratio = measure(max(options.pairs, 5))
    if options.record:
        RESULTS.mkdir(exist_ok=True)
        record = Record(ratio=round(ratio, 2))
        RECORD.write_bytes(msgspec.json.encode(record) + b"\n")

    recorded = msgspec.json.decode(RECORD.read_bytes(), type=Record).ratio
    text, is_slower = judge(ratio, recorded)
    sys.stdout.write(f"{text}\n")
    sys.exit(is_slower)


def measure(pairs: int) -> float:
    """Return the ratio of the import to its floor."""
    with tempfile.TemporaryDirectory(prefix="ao-import-bench-") as directory:
        store = Store.make(Path(directory) / "store", SHAPE)
        warm(store)
        paired = pair(lambda: _import(store), lambda: _floor(store), pairs=pairs)

    # What disturbs a run only ever makes it slower: the fastest of each side are true
    # to both, unless one side never had a quiet moment.
    return min(paired.ratio, paired.fastest_ratio)


def judge(ratio: float, recorded: float) -> tuple[str, bool]:
    """Return a line that says it all, and whether the import has become slower."""
    is_slower = ratio >= SLOWER * recorded
    verdict = "slower than it may be" if is_slower else "ok"

    return (
        f"import / floor: {ratio:.2f}; recorded {recorded:.2f}, fails at "
        f"{SLOWER * recorded:.2f}: {verdict}",
        is_slower,
    )


def _import(store: Store) -> Run:
    with store.fresh_places() as place:
        return run(import_command(store, place / "data"))


def _floor(store: Store) -> Run:
    with store.fresh_places() as place:
        copies = ("--copy", store.buckets, place / "copies", "--flush")
        return run(floor_command("--read", store.root, *copies))


if __name__ == "__main__":
    main()
