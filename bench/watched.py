"""Run the command line while every `open` of the store is counted, and takes its time.

    python -m bench.watched STORE COUNT_FILE DELAY_SECONDS ARGUMENT…

Python tells an audit hook of each file that it is about to open; the hook waits, in the
thread that opens, as a slow or remote file system would let it wait. Opening relative to
a directory's descriptor gives a relative path, and all of those are the store's.
"""

from __future__ import annotations

__all__ = ("main", "watched_command")

import itertools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.measure import Store


def watched_command(
    store: Store, count_file: Path, delay_seconds: float, command: Sequence[str]
) -> list[str]:
    """Return the command that runs an import command under the hook."""
    arguments = command[command.index("pipeline") + 1 :]
    places = (store.directory, count_file, delay_seconds)

    return [sys.executable, "-m", "bench.watched", *map(str, places), *arguments]


def main() -> None:
    """Set the hook, and be the command line."""
    store, count_file, delay_seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    sys.argv[1:] = sys.argv[4:]
    counter = itertools.count()  # counting is one step, so threads may share it

    def watch(event: str, details: tuple[object, ...]) -> None:
        if event != "open":
            return
        path = details[0]
        if isinstance(path, str | bytes):
            name = os.fsdecode(path)
            if name.startswith(store) or not os.path.isabs(name):
                next(counter)
                time.sleep(delay_seconds)

    from pipeline.terminal.cli import main as run_command_line

    sys.addaudithook(watch)
    try:
        run_command_line()
    finally:
        count = next(counter)
        Path(count_file).write_text(str(count))


if __name__ == "__main__":
    main()
