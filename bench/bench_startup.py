"""What does a tiny store cost, and `--help`, beyond loading the libraries?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.generate_store import StoreShape
from bench.measure import Result, Row, Run, Store, conduct, import_command, pair, run

LIBRARIES = ("anyio", "aiosqlite", "msgspec", "aiofiles", "click")
# `import anyio` leaves this for the first event loop, and nothing of it runs without.
BACKEND = "anyio._backends._asyncio"


def main() -> None:
    """Measure, and show it."""
    conduct("startup", __doc__, measure)


def measure(options: argparse.Namespace, directory: Path) -> Result:
    """Return the cost of a tiny import and of `--help`."""
    store = Store.make(directory / "store", StoreShape(projects=3, records=20))
    pairs = options.pairs * (1 if options.quick else 3)
    bare = f"import {', '.join(LIBRARIES)}"
    tiny = pair(lambda: _import(store), lambda: _python(bare), pairs=pairs)
    loaded = pair(
        lambda: _import(store), lambda: _python(f"{bare}, {BACKEND}"), pairs=pairs
    )
    helping = pair(
        lambda: run([sys.executable, "-m", "pipeline", "--help"]),
        lambda: _python("pass"),
        pairs=pairs,
    )

    return Result(
        rows=[
            Row(
                what=f"import of 3 x 20 records / bare imports of {', '.join(LIBRARIES)}",
                value=tiny.ratio,
                at_most=1.4,
                paired=tiny,
            ),
            Row(
                what="the same / these imports and anyio's backend for asyncio",
                value=loaded.ratio,
                paired=loaded,
            ),
            Row(
                what="--help, more than bare Python",
                value=1000 * (helping.ours.seconds - helping.other.seconds),
                unit="ms",
                at_most=100,
                paired=helping,
            ),
        ]
    )


def _import(store: Store) -> Run:
    with store.fresh_places() as place:
        return run(import_command(store, place / "data"))


def _python(code: str) -> Run:
    return run([sys.executable, "-c", code])


if __name__ == "__main__":
    main()
