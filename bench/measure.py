"""Measuring, as all benchmarks do it: fresh processes, pairs of them, caches dropped."""

from __future__ import annotations

__all__ = (
    "BENCH",
    "RESULTS",
    "Paired",
    "Result",
    "Row",
    "Run",
    "Store",
    "conduct",
    "drop_caches",
    "floor_command",
    "import_command",
    "mebibytes",
    "pair",
    "run",
    "stolen_seconds",
    "warm",
)

import argparse
import contextlib
import math
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import psutil

from bench.generate_store import Generated, StoreShape, generate

BENCH = Path(__file__).parent
RESULTS = BENCH / "results"
PACKAGES = (
    "anyio",
    "aiosqlite",
    "aiofiles",
    "msgspec",
    "PyYAML",
    "click",
    "sqlite-utils",
)
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int  # of the process alone
    output: str = ""


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """Two commands, run by turns: the median of the ratios, and of each command."""

    ratio: float  # ours to the other
    lowest: float  # of the ratios
    highest: float
    fastest_ratio: float  # the fastest run of ours to the fastest of the other
    cpu_ratio: float  # the median of the ratios of processor time
    pairs: int
    ours: Run
    other: Run


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure, and what it has to be."""

    what: str
    value: float
    unit: str = "x"
    at_most: float | None = None
    at_least: float | None = None
    paired: Paired | None = None
    remark: str = ""

    @property
    def is_met(self) -> bool:
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def __str__(self) -> str:
        """The figure first, then what it has to be, then all the rest."""
        limit = ""
        if self.at_most is not None:
            limit = f"at most {self.at_most:g}"
        elif self.at_least is not None:
            limit = f"at least {self.at_least:g}"
        verdict = "" if not limit else "ok" if self.is_met else "MISSED"
        text = f"{self.value:8.2f} {self.unit:<5}{limit:<13}{verdict:<7}{self.what}"
        if self.paired is not None:
            ours, other = self.paired.ours, self.paired.other
            text += (
                f" [{self.paired.lowest:.2f} to {self.paired.highest:.2f} in "
                f"{self.paired.pairs} pairs; {ours.seconds:.3f} s against "
                f"{other.seconds:.3f} s; fastest {self.paired.fastest_ratio:.2f} x; CPU "
                f"{self.paired.cpu_ratio:.2f} x, {ours.cpu_seconds:.2f} s; peak "
                f"{mebibytes(ours.peak_bytes):.1f} MiB]"
            )

        return f"{text} {self.remark}".rstrip()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a benchmark found: its figures, and what else is to be shown or kept."""

    rows: list[Row]
    lines: list[str] = []
    data: dict[str, object] = {}


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where and with what it was measured."""

    system: str
    processor: str
    processors: int
    memory_bytes: int
    file_system: str
    python: str
    versions: dict[str, str]
    command: str
    measured_at: str
    stolen_share: float  # of the processors' time, by others on the same hardware


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """A generated store, and what it holds."""

    directory: Path
    shape: StoreShape
    generated: Generated

    @classmethod
    def make(cls, directory: Path, shape: StoreShape) -> Store:
        """Write the store into a directory that holds none yet."""
        generated = generate(directory, shape)
        os.sync()  # else its write-back would run into the first measurement

        return cls(directory=directory, shape=shape, generated=generated)

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def buckets(self) -> Path:
        return self.directory / "claude"

    @contextlib.contextmanager
    def fresh_places(self) -> Iterator[Path]:
        """Provide a place for what is written; the store is as before afterwards."""
        before = set(os.listdir(self.buckets))
        place = Path(tempfile.mkdtemp(prefix="written-", dir=self.directory))
        yield place
        # Deleting is left for the end: here it would slow down whoever writes next.
        for name in set(os.listdir(self.buckets)) - before:
            (self.buckets / name).rename(place / name)


def run(command: Sequence[str | os.PathLike[str]]) -> Run:
    """Run a command in a process of its own, away from the user's own files.

    :raises subprocess.CalledProcessError: it failed.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AO_", "CLAUDE_", "XDG_"))
        and name != "PYTHONDONTWRITEBYTECODE"  # an installed program is compiled
    }
    environment["AO_RUN_FILE"] = os.devnull + ".json"
    done = subprocess.run(
        [sys.executable, "-I", "-S", BENCH / "launch.py", *command],
        cwd=BENCH.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
        done.check_returncode()

    seconds, cpu_seconds, peak_bytes = done.stderr.splitlines()[-1].split()
    return Run(
        seconds=float(seconds),
        cpu_seconds=float(cpu_seconds),
        peak_bytes=int(peak_bytes),
        output=done.stdout,
    )


def pair(ours: Callable[[], Run], other: Callable[[], Run], *, pairs: int) -> Paired:
    """Run both by turns, the one that begins changing, after a first run of each.

    What else the machine does meets both alike, so trust the ratio, not the seconds.
    """
    ours(), other()
    runs: list[tuple[Run, Run]] = []
    for number in range(pairs):
        if number % 2:
            second = other()
            runs.append((ours(), second))
        else:
            first = ours()
            runs.append((first, other()))

    ratios = [first.seconds / second.seconds for first, second in runs]
    fastest = [min(run.seconds for run in side) for side in zip(*runs, strict=True)]
    return Paired(
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        fastest_ratio=fastest[0] / fastest[1],
        cpu_ratio=statistics.median(
            first.cpu_seconds / second.cpu_seconds for first, second in runs
        ),
        pairs=pairs,
        ours=_median([first for first, _ in runs]),
        other=_median([second for _, second in runs]),
    )


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        seconds=statistics.median(run.seconds for run in runs),
        cpu_seconds=statistics.median(run.cpu_seconds for run in runs),
        peak_bytes=max(run.peak_bytes for run in runs),
    )


def import_command(store: Store, data_dir: Path, *flags: str) -> list[str]:
    """Return the command that imports a store."""
    places = ("--from", store.root, "--claude-dir", store.buckets)
    options = ("--data-dir", data_dir, "--yes", "--quiet", "--no-progress", *flags)

    return [sys.executable, "-m", "pipeline", "import", *map(str, (*places, *options))]


def floor_command(*arguments: str | Path) -> list[str]:
    """Return the command that does what `bench/floor.py` is told."""
    return [sys.executable, "-I", "-S", str(BENCH / "floor.py"), *map(str, arguments)]


def warm(store: Store) -> None:
    """Bring the records and the transcripts into the cache."""
    run(floor_command("--read", store.root))
    for file in store.buckets.rglob("*.jsonl"):
        with file.open("rb") as source:
            while source.read(1 << 20):
                pass


def drop_caches(directory: Path) -> None:
    """Drop what is cached of the files below a directory, or of all there are.

    :raises AttributeError: the system can be told nothing of the kind.
    """
    os.sync()
    if os.access(DROP_CACHES, os.W_OK):
        DROP_CACHES.write_text("3\n")
        return

    for folder, _, names in os.walk(directory):
        for name in names:
            file = os.open(os.path.join(folder, name), os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def conduct(
    name: str,
    description: str | None,
    measure: Callable[[argparse.Namespace, Path], Result],
    *,
    flags: Mapping[str, tuple[int, str]] | None = None,
) -> None:
    """Be the command of a benchmark: read the command line, measure, show the result.

    `measure` gets the options and a directory of its own. `flags` are further numbers
    of the command line, each with its default and help.
    """
    parser = argparse.ArgumentParser(prog=f"python -m bench.bench_{name}")
    parser.description = (description or "").split("\n\n")[0]
    parser.add_argument("--pairs", type=int, default=5, help="how often each is run")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a look")
    parser.add_argument("--json", action="store_true", help="JSON on stdout, no text")
    parser.add_argument(
        "--save", action="store_true", help="write results/*.json, *.svg"
    )
    for flag, (default, text) in (flags or {}).items():
        text += f" (default: {default:,})"
        parser.add_argument(f"--{flag}", type=int, default=default, help=text)

    options = parser.parse_args()
    started, stolen = time.monotonic(), stolen_seconds()
    # `TMPDIR` decides where: it has to be on a disk that can hold the stores.
    with tempfile.TemporaryDirectory(prefix="ao-import-bench-") as directory:
        result = measure(options, Path(directory))
        available = (time.monotonic() - started) * (os.cpu_count() or 1)
        share = (stolen_seconds() - stolen) / available
        machine = _describe_machine(Path(directory), name, share)

    encoded = msgspec.json.encode({"machine": machine, "result": result})
    text = msgspec.json.format(encoded, indent=2).decode()
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(f"{text}\n")
    if not options.json:
        text = "\n".join(
            (
                f"{machine.processors} x {machine.processor}, {machine.system}, "
                f"{machine.file_system}, Python {machine.python}, {machine.measured_at}, "
                f"{machine.stolen_share:.1%} taken by others",
                *map(str, result.rows),
                *result.lines,
            )
        )
    sys.stdout.write(f"{text}\n")


def mebibytes(size_bytes: float) -> float:
    return size_bytes / (1 << 20)


def stolen_seconds() -> float:
    """Processor time that others on the same hardware took so far; NaN: who knows.

    What is measured while it grows was held up by them.
    """
    return float(getattr(psutil.cpu_times(), "steal", math.nan))


def _describe_machine(directory: Path, name: str, stolen_share: float) -> Machine:
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=_processor(),
        processors=os.cpu_count() or 0,
        memory_bytes=psutil.virtual_memory().total,
        file_system=_file_system(directory),
        python=platform.python_version(),
        versions=_versions(),
        command=shlex.join(["python", "-m", f"bench.bench_{name}", *sys.argv[1:]]),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        stolen_share=round(stolen_share, 4),
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)

    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()

    names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.processor()).strip()


def _file_system(directory: Path) -> str:
    above = (directory.resolve(), *directory.resolve().parents)
    mounts = {Path(m.mountpoint): m.fstype for m in psutil.disk_partitions(all=True)}

    return next((mounts[path] for path in above if path in mounts), "")
