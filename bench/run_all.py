"""Run all benchmarks one after the other, and show the targets together at the end.

    python -m bench.run_all [--quick]

Each writes its figures to `results/`, with the command, the machine and the date.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import msgspec

from bench.measure import RESULTS, Result, Row

QUESTIONS = (
    "startup",
    "import",
    "guest",
    "stages",
    "copy",
    "rows",
    "slow",
    "scaling",
)


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What a benchmark wrote, as far as it is shown."""

    result: Result


def main() -> None:
    """Run them; fail if one of them could not be run."""
    parser = argparse.ArgumentParser(prog="python -m bench.run_all")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a look")
    flags = ["--quick"] if parser.parse_args().quick else []
    failed = [question for question in QUESTIONS if not _run(question, flags)]
    sys.stdout.write("\nTargets\n")
    for row in _targets():
        sys.stdout.write(f"{row}\n")
    if failed:
        sys.exit(f"could not be run: {', '.join(failed)}")


def _run(question: str, flags: list[str]) -> bool:
    sys.stdout.write(f"\n{question}\n")
    sys.stdout.flush()
    command = [sys.executable, "-m", f"bench.bench_{question}", "--save", *flags]

    return subprocess.run(command, check=False).returncode == 0


def _targets() -> list[Row]:
    """Return the figures that have a limit, of all that are saved."""
    return [
        row
        for question in QUESTIONS
        if (file := RESULTS / f"{question}.json").exists()
        for row in msgspec.json.decode(file.read_bytes(), type=Saved).result.rows
        if row.at_most is not None or row.at_least is not None
    ]


if __name__ == "__main__":
    main()
