"""Decode: an entry's session records are read and its orchestrator chosen (S1 to S6)."""

from __future__ import annotations

__all__ = ("read_project", "run")

import asyncio
import os
import stat
import time
from collections import deque
from collections.abc import Callable

from anyio.abc import ObjectSendStream
from msgspec.structs import replace

from stages.buckets import bucket_of, newest_uuid
from stages.decode.directory import Finding, SessionReader
from stages.files import reason
from stages.messages import Entry, LegacyProject, Note, Orchestrator, Severity
from stages.streams import BatchReceiveStream, receive_batch
from stages.text import listing, quote
from stages.workers import Workers

# A hop to a thread costs what ten small files cost, so small projects go together, as
# many as take about so long; and none is so long that others wait for its results.
HOP_SECONDS = 0.03
PROJECTS_PER_HOP = 64
HOPS_AHEAD = 4  # for each reader, so that none idles behind a slow directory
# A reader that mostly waits for the disk leaves room for another one. One that computes
# does not: two would only hand the interpreter's lock to and fro (measured: 2.3 times
# the time). What a waiting reader has to show for itself is looked at this often.
PATIENCE_SECONDS = 0.1
WAITS_FOR_ANOTHER = 2.0  # elapsed time for each second of computing, and reader


async def run(
    receive: BatchReceiveStream[Entry],
    send: ObjectSendStream[LegacyProject],
    *,
    buckets: str,
    workers: Workers,
) -> None:
    """Send one legacy project for each entry, in the order in which they came.

    `buckets` is the directory of the transcript buckets, where a record that names no
    transcript may have one (rule T3). Of the workers, as many read at once as have to
    wait for the disk.
    """
    hops: deque[tuple[_Hop, asyncio.Future[list[LegacyProject]]]] = deque()
    together, readers, is_over = 1, 1, False
    async with receive, send:
        while hops or not is_over:
            if hops and hops[0][1].done():
                hop, future = hops.popleft()
                together = hop.projects_per_hop()
                readers = hop.readers(workers.count)
                for project in await future:
                    await send.send(project)
                continue

            running = [(hop, future) for hop, future in hops if not future.done()]
            has_room = len(hops) < HOPS_AHEAD * workers.count
            if not is_over and len(running) < readers and has_room:
                entries = await receive_batch(receive, together)
                is_over = not entries
                if entries:
                    hop = _Hop(entries, buckets, workers.check)
                    hops.append((hop, workers.submit(hop.read)))
                continue

            await asyncio.wait(
                [future for _, future in running],
                timeout=PATIENCE_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            readers = max(
                (hop.readers(workers.count) for hop, _ in running), default=readers
            )


class _Hop:
    """One crossing to a thread: the projects that it reads, and the time that it takes."""

    def __init__(
        self, entries: list[Entry], buckets: str, check: Callable[[], None]
    ) -> None:
        self._entries, self._buckets, self._check = entries, buckets, check
        self._started = time.perf_counter()
        self._ended: float | None = None
        self._computing_started = 0.0
        self._computing_seconds = 0.0

    def read(self) -> list[LegacyProject]:
        """Read all projects. For inside the thread."""
        self._started = time.perf_counter()
        self._computing_started = time.thread_time()
        projects = [
            read_project(entry, self._buckets, self._keep_time)
            for entry in self._entries
        ]
        self._keep_time()
        self._ended = time.perf_counter()

        return projects

    def projects_per_hop(self) -> int:
        """How many projects like these take as long as a hop may."""
        each_seconds = self._elapsed_seconds() / len(self._entries)

        return max(1, min(PROJECTS_PER_HOP, int(HOP_SECONDS / max(each_seconds, 1e-6))))

    def readers(self, most: int) -> int:
        """How many readers can read at once without one holding up the other."""
        elapsed_seconds = self._elapsed_seconds()
        if self._ended is None and elapsed_seconds < PATIENCE_SECONDS / 2:
            return 1

        computing_seconds = max(self._computing_seconds, 1e-6)
        return max(
            1, min(most, int(elapsed_seconds / computing_seconds / WAITS_FOR_ANOTHER))
        )

    def _elapsed_seconds(self) -> float:
        return (self._ended or time.perf_counter()) - self._started

    def _keep_time(self) -> None:
        self._check()
        self._computing_seconds = time.thread_time() - self._computing_started


def read_project(
    entry: Entry, buckets: str, check: Callable[[], None]
) -> LegacyProject:
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
            notes.append(_note(entry, "hidden-sessions", "lossy", text, hidden[0]))
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
        orchestrator=choice.best and _with_transcript(choice.best, entry, buckets),
        also_live=choice.also_live,
        also_live_count=max(choice.live_count - 1, 0),
        sessions_read=reader.sessions_read,
        files_skipped=files_skipped,
        notes=tuple(sorted(notes, key=lambda note: (note.kind, note.text))),
    )


def _with_transcript(
    orchestrator: Orchestrator, entry: Entry, buckets: str
) -> Orchestrator:
    """Look for a transcript where the record of a live one names none (rule T3)."""
    if (
        orchestrator.is_terminal
        or orchestrator.agent != "claude-code"
        or orchestrator.claude_session_uuid
    ):
        return orchestrator

    bucket = bucket_of(buckets, orchestrator.worktree)
    # The transcripts of the project's own directory are the user's.
    if bucket is None or _is_same(orchestrator.worktree, entry.path):
        return orchestrator

    try:
        return replace(orchestrator, found_uuid=newest_uuid(bucket) or "")
    except OSError as error:
        problem = f"the bucket {quote(bucket)} could not be read: {reason(error)}"
        return replace(orchestrator, bucket_problem=problem)


def _is_same(directory: str, other: str) -> bool:
    return os.path.realpath(directory) == os.path.realpath(other)


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

    return _note(entry, "directory-unreadable", "failed", text, directory)


def _finding_note(entry: Entry, finding: Finding) -> Note:
    files = sorted(finding.files)
    names = listing([os.path.basename(file) for file in files], finding.count)
    source = files[0] if finding.count == 1 else os.path.dirname(files[0])

    return _note(
        entry, finding.kind, finding.severity, f"{names} {finding.problem}", source
    )


def _note(entry: Entry, kind: str, severity: Severity, text: str, source: str) -> Note:
    return Note(
        project_id=entry.id, kind=kind, severity=severity, text=text, source=source
    )
