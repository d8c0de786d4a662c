"""One import that keeps within its memory and does not outlive who started it.

    python -m pipeline.fleet.launch LIMIT_BYTES ARGUMENT…

The arguments are those of the program itself. Standard input is a pipe that the starter
holds: its end is the starter's, however that died, and a node may be given up in the
middle of a night.
"""

from __future__ import annotations

__all__ = ("GRACE_SECONDS", "main")

import os
import runpy
import signal
import sys
import threading
import time
from contextlib import suppress

GRACE_SECONDS = 10.0  # from the request to stop to the end


def main() -> None:
    """Be the program, with two things arranged before."""
    limit, *arguments = sys.argv[1:]
    _limit_memory(int(limit))
    threading.Thread(target=_end_with_input, daemon=True).start()
    sys.argv[1:] = arguments
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)


def _limit_memory(limit_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # this system has no such limits
        return

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        limit_bytes = min(limit_bytes, hard)
    with suppress(ValueError, OSError):  # there, but not to be set: macOS
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


def _end_with_input() -> None:
    while os.read(0, 65_536):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
