"""Run a command and say what it took: its time, its processor time, its own peak memory.

    python -I -S launch.py COMMAND…

The last line on stderr is `seconds cpu_seconds peak_bytes`. A process's peak starts with
that of its parent at the fork, so the parent of what is measured has to be as small as
this one: it imports nothing that Python has not imported already.
"""

import os
import sys
import time


def main() -> None:
    """Start the command, wait for it, and end with its status."""
    command = sys.argv[1:]
    started = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started

    unit_bytes = 1 if sys.platform == "darwin" else 1024
    cpu_seconds = usage.ru_utime + usage.ru_stime
    peak_bytes = usage.ru_maxrss * unit_bytes
    sys.stderr.write(f"\n{seconds} {cpu_seconds} {peak_bytes}\n")
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
