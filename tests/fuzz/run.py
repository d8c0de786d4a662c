"""Tries mutated content on every reader for as long as it is told.

    python -m tests.fuzz.run --seconds 60

Prints how many inputs each reader was given. Ends with status 1 at the first that raises
what its reader does not document, and shows that input. An input that takes longer than
ten seconds, or more than two GiB, ends the run with a traceback.
"""

from __future__ import annotations

__all__ = ("main",)

import argparse
import faulthandler
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.fuzz.readers import READERS, Readers, mutated

try:
    import resource
except ImportError:  # a system without limits of memory
    resource = None  # type: ignore[assignment]  # the module is looked at before use

INPUT_SECONDS = 10
MEMORY_BYTES = 2 << 30
BATCH = 200


def main() -> int:
    """Run as the command line says and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    seconds = options.seconds / len(READERS)
    total = 0
    with (
        tempfile.TemporaryDirectory() as directory,
        Readers(Path(directory)) as readers,
    ):
        for name, seeds in READERS.items():
            random = Random(f"{options.seed} {name}")
            count, ends = 0, time.monotonic() + seconds
            while time.monotonic() < ends:
                for _ in range(BATCH):
                    data = mutated(seeds, random)
                    faulthandler.dump_traceback_later(INPUT_SECONDS, exit=True)
                    try:
                        readers.by_name[name](data)
                    except BaseException:
                        sys.stderr.write(f"{name}: input {count}: {data!r}\n")
                        raise
                    count += 1
            faulthandler.cancel_dump_traceback_later()
            sys.stdout.write(f"{name:<18}{count:>12,} inputs\n")
            total += count
    sys.stdout.write(f"{'total':<18}{total:>12,} inputs, seed {options.seed}\n")

    return 0


if __name__ == "__main__":
    sys.exit(main())
