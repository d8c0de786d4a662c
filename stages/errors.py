"""What ends a run, as opposed to what costs one item (that is a note).

ImportFailed
├── ConfigBroken        mend the file
├── StoreUnreadable     make it readable
├── DatabaseUnusable    choose another data dir, or do to it what the text says
├── WriteFailed         make room or allow writing, run again
├── RunFileBroken       look at the run-file
├── DaemonRunning       stop the daemon
├── ImportRunning       wait for the other import
├── Exhausted           give the process more of what ran out
├── UnknownProject      correct the name
├── PlaceRefused        choose another place
└── UnsupportedBackend  run under asyncio
"""

from __future__ import annotations

__all__ = (
    "ConfigBroken",
    "DaemonRunning",
    "DatabaseUnusable",
    "Exhausted",
    "ImportFailed",
    "ImportRunning",
    "PlaceRefused",
    "RunFileBroken",
    "StoreUnreadable",
    "UnknownProject",
    "UnsupportedBackend",
    "WriteFailed",
    "exhausted_by",
)

import errno
from pathlib import Path

from stages.floor.text import plain, quote


class ImportFailed(Exception):
    """The import could not be done. Its text says what, where and what to do."""


class ConfigBroken(ImportFailed):
    """A configuration does not parse or has the wrong shape (rule C6)."""

    def __init__(self, file: Path, line: int, column: int, problem: str) -> None:
        super().__init__(
            f"{plain(str(file))}: line {line}, column {column}: {plain(problem)}. "
            "Nothing was imported; mend the file and import again."
        )
        self.file, self.line, self.column, self.problem = file, line, column, problem


class StoreUnreadable(ImportFailed):
    """A part of the legacy store that nothing goes without cannot be read."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(
            f"{plain(str(file))} cannot be read: {plain(problem)}. "
            "What was imported before stays; make it readable and import again."
        )
        self.file, self.problem = file, problem


class DatabaseUnusable(ImportFailed):
    """The database is not one that we may read or write to (rules D4, D10)."""

    def __init__(
        self,
        file: Path,
        found: str,
        remedy: str = "Choose another data dir, or start the new application once to "
        "upgrade it",
    ) -> None:
        super().__init__(
            f"{plain(str(file))} cannot be used: {plain(found)}. It was left as it is. "
            f"{remedy}."
        )
        self.file, self.found, self.remedy = file, found, remedy


class WriteFailed(ImportFailed):
    """A write failed; what was committed before stays."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(
            f"{plain(str(file))} could not be written: {plain(problem)}. "
            "What was imported before stays; running the import again is safe "
            "and continues."
        )
        self.file, self.problem = file, problem


class RunFileBroken(ImportFailed):
    """The daemon's run-file does not say whether the daemon lives (rule G1)."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(
            f"{plain(str(file))} does not say whether the AO daemon is running: "
            f"{plain(problem)}. If it is not running, remove the file."
        )
        self.file, self.problem = file, problem


class DaemonRunning(ImportFailed):
    """The daemon lives and owns the database (rule G1)."""

    def __init__(self, pid: int) -> None:
        super().__init__(
            f"the AO daemon is running (pid {pid}); stop it first with `ao stop`, "
            "then import again."
        )
        self.pid = pid


class ImportRunning(ImportFailed):
    """Another import is at work on the same data dir."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"another import is at work on {plain(str(data_dir))}; "
            "wait for it to end, then import again if anything is missing."
        )
        self.data_dir = data_dir


class Exhausted(ImportFailed):
    """The system gave no more of something that every program needs."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(
            f"{found}; {remedy}. What was imported before stays; running the import "
            "again is safe and continues."
        )
        self.found, self.remedy = found, remedy


class UnknownProject(ImportFailed):
    """A project that was asked for is not in the registry."""

    def __init__(self, project_id: str, resembles: tuple[str, ...]) -> None:
        hint = (
            f" Did you mean {' or '.join(map(quote, resembles))}?" if resembles else ""
        )
        super().__init__(f"no legacy project is called {quote(project_id)}.{hint}")
        self.project_id, self.resembles = project_id, resembles


class PlaceRefused(ImportFailed):
    """A place that was named is not what it has to be (rule G2). Nothing was written."""

    def __init__(self, place: Path, problem: str, to_do: str) -> None:
        super().__init__(f"{plain(str(place))} {plain(problem)}; {plain(to_do)}.")
        self.place, self.problem, self.to_do = place, problem, to_do


class UnsupportedBackend(ImportFailed):
    """The event loop is not asyncio's; the database's driver knows no other."""

    def __init__(self, backend: str) -> None:
        super().__init__(f"the import runs under asyncio only, not under {backend}.")
        self.backend = backend


_MEMORY = (
    "the memory ran out",
    "end other programs or raise the limit (`ulimit -v`)",
)
_FILES = (
    "the limit of open files was reached",
    "raise it (`ulimit -n`)",
)
_THREADS = (
    "the system starts no more threads",
    "end other programs or raise the limits (`ulimit -u`, `ulimit -v`)",
)
_NO_DIRECTORY = (
    "the working directory is gone",
    "change into one that is there",
)
_BY_NUMBER = {
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOMEM: _MEMORY,
}


def exhausted_by(error: BaseException) -> Exhausted | None:
    """Return what an error says of the system's means, or None if it is about others."""
    found = None
    if isinstance(error, MemoryError):
        found = _MEMORY
    elif isinstance(error, RuntimeError) and "start new thread" in str(error):
        found = _THREADS
    elif isinstance(error, FileNotFoundError) and error.filename is None:
        # Only what asks for the working directory names no file.
        found = _NO_DIRECTORY
    elif isinstance(error, OSError):
        found = _BY_NUMBER.get(error.errno or 0)

    return Exhausted(*found) if found else None
