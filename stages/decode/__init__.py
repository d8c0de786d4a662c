"""Decode: an entry's session records are read and its orchestrator chosen (S1 to S6)."""

from __future__ import annotations

__all__ = ("read_project", "run")

import os
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

from anyio.abc import ObjectSendStream

from stages.decode.directory import Finding, SessionReader
from stages.floor.files import reason
from stages.floor.hops import run_in_hops
from stages.floor.streams import BatchReceiveStream, receive_batch
from stages.floor.text import listing, quote
from stages.floor.workers import Workers
from stages.messages import Entry, LegacyProject, Note
from stages.notes import note


class _Layout(NamedTuple):
    """One of the two layouts: how its directories are read, and which they are."""

    read: Callable[[str], None]
    directories: tuple[str, ...]


async def run(
    receive: BatchReceiveStream[Entry],
    send: ObjectSendStream[LegacyProject],
    *,
    workers: Workers,
) -> None:
    """Send one legacy project for each entry, in the order in which they came."""

    async def take(most: int) -> list[Entry]:
        return await receive_batch(receive, most)

    def read(entries: Sequence[Entry]) -> list[LegacyProject]:
        return [read_project(entry, workers.check) for entry in entries]

    async def give(projects: list[LegacyProject]) -> None:
        for project in projects:
            await send.send(project)

    async with receive, send:
        await run_in_hops(take, read, give, workers)


def read_project(entry: Entry, check: Callable[[], None]) -> LegacyProject:
    """Return the project with its orchestrator. Blocks; `check` may end it."""
    reader = SessionReader(entry, check)
    notes: list[Note] = []
    current = _Layout(reader.read_current, entry.sessions_directories)
    old = _Layout(
        reader.read_v1,
        tuple(os.path.join(place, "sessions") for place in entry.v1_directories),
    )
    # While a migration is unfinished, what was not moved yet is the whole of it.
    first, second = (old, current) if entry.is_migrating else (current, old)
    unlisted = [
        directory
        for directory in first.directories
        if not _read_directory(first.read, directory, entry, notes)
    ]
    if not reader.files_that_count and not unlisted:
        for directory in second.directories:
            _read_directory(second.read, directory, entry, notes)
    elif not entry.is_migrating:
        notes += _hidden(second.directories, entry)
    files_skipped = reader.names_seen - reader.sessions_read
    if reader.choice.best is None:
        reader.read_standalone(entry.standalone_file)

    notes += [_finding_note(entry, finding) for finding in reader.findings.values()]
    choice = reader.choice
    return LegacyProject(
        entry=entry,
        orchestrator=choice.best,
        also_live=choice.also_live,
        also_live_count=max(choice.live_count - 1, 0),
        sessions_read=reader.sessions_read,
        files_skipped=files_skipped,
        notes=tuple(sorted(notes, key=lambda each: (each.kind, each.text))),
    )


def _read_directory(
    read: Callable[[str], None], directory: str, entry: Entry, notes: list[Note]
) -> bool:
    """Read a directory if it is there; one that cannot be listed is noted (rule S2).

    Returns whether all that is there has been read.
    """
    try:
        if stat.S_ISDIR(os.stat(directory).st_mode):
            read(directory)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        notes.append(_unreadable(directory, entry, error))
        return False

    return True


def _hidden(directories: Sequence[str], entry: Entry) -> list[Note]:
    """Return the note on old session directories that newer ones hide (rule S2)."""
    hidden = [directory for directory in directories if os.path.isdir(directory)]
    if not hidden:
        return []

    names = listing([os.path.basename(os.path.dirname(each)) for each in hidden])
    text = f"older sessions were not read, as there are newer ones: {names}"
    return [note("hidden-sessions", entry.id, text, hidden[0])]


def _unreadable(directory: str, entry: Entry, error: OSError) -> Note:
    text = f"{quote(directory)} could not be listed: {reason(error)}"

    return note("directory-unreadable", entry.id, text, directory)


def _finding_note(entry: Entry, finding: Finding) -> Note:
    files = sorted(finding.files)
    names = listing([os.path.basename(file) for file in files], finding.count)
    source = files[0] if finding.count == 1 else os.path.dirname(files[0])

    return note(
        finding.kind,
        entry.id,
        f"{names} {finding.problem}",
        source,
        severity=finding.severity,
    )
