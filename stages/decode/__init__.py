"""Decode: an entry's session records are read and its orchestrator chosen (S1 to S6)."""

from __future__ import annotations

__all__ = ("read_project", "run")

import os
import stat
from collections.abc import Callable, Sequence

from anyio.abc import ObjectSendStream

from stages.decode.directory import Finding, SessionReader
from stages.floor.files import reason
from stages.floor.hops import run_in_hops
from stages.floor.streams import BatchReceiveStream, receive_batch
from stages.floor.text import listing, quote
from stages.floor.workers import Workers
from stages.messages import Entry, LegacyProject, Note
from stages.notes import note


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
    if _is_directory(entry.sessions_directory, entry, notes):
        _read_directory(reader.read_current, entry.sessions_directory, entry, notes)
        hidden = [
            directory
            for directory in entry.v1_directories
            if os.path.isdir(os.path.join(directory, "sessions"))
        ]
        if hidden:
            names = listing([os.path.basename(directory) for directory in hidden])
            text = f"older sessions were not read, as there are newer ones: {names}"
            notes.append(note("hidden-sessions", entry.id, text, hidden[0]))
    else:
        for directory in entry.v1_directories:
            sessions = os.path.join(directory, "sessions")
            if _is_directory(sessions, entry, notes):
                _read_directory(reader.read_v1, sessions, entry, notes)
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


def _is_directory(path: str, entry: Entry, notes: list[Note]) -> bool:
    """Whether there is a directory; one that cannot be looked at is noted (rule S2)."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        notes.append(_unreadable(path, entry, error))
        return False


def _read_directory(
    read: Callable[[str], None], directory: str, entry: Entry, notes: list[Note]
) -> None:
    try:
        read(directory)
    except OSError as error:
        notes.append(_unreadable(directory, entry, error))


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
