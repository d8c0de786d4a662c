"""Compare: what was planned against the new store, field by field and byte by byte."""

from __future__ import annotations

__all__ = ("run",)

import asyncio
import os
import sqlite3
import stat
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import aiosqlite
import msgspec
from anyio.abc import ObjectSendStream

from stages.database.lookup import Lookup, look_up
from stages.database.opening import write_problem
from stages.errors import DatabaseUnusable
from stages.floor.buckets import is_uuid
from stages.floor.directories import Directory
from stages.floor.files import reason
from stages.floor.json_text import decode_object
from stages.floor.streams import BatchReceiveStream, receive_batch
from stages.floor.text import listing, quote
from stages.floor.transcripts import locate, search
from stages.floor.workers import Workers
from stages.messages import (
    Checked,
    Note,
    PlannedProject,
    ProjectRow,
    SessionRow,
    TranscriptPlan,
)
from stages.notes import note

PROJECTS_PER_LOOK = 100
COMPARISONS_AHEAD = 16  # for each thread
READ_BYTES = 256 * 1024

_PROJECT_COLUMNS = (
    "path",
    "repo_origin_url",
    "display_name",
    "registered_at",
    "config",
)
_SESSION_COLUMNS = (
    "harness",
    "activity_state",
    "activity_last_at",
    "branch",
    "workspace_path",
    "agent_session_id",
    "prompt",
    "created_at",
    "updated_at",
    "display_name",
)

_Rows = dict[str, dict[str, object]]


class _Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How one transcript compares."""

    faults: tuple[Note, ...] = ()
    size_bytes: int = 0
    is_sought: bool = False  # its source is not where the record says


async def run(
    receive: BatchReceiveStream[PlannedProject],
    send: ObjectSendStream[Checked],
    *,
    connection: aiosqlite.Connection | None,
    file: Path,
    buckets: str,
    count: Callable[[int], None],
    workers: Workers,
) -> None:
    """Send how each planned project compares with its rows and its transcript.

    `count` gets the bytes of each piece that was compared, in a thread.

    :raises DatabaseUnusable: the database, `file`, could not be read.
    """
    comparer = _Comparer(buckets, count, workers.check)
    pending: deque[tuple[Checked, TranscriptPlan, asyncio.Future[_Compared]]] = deque()
    sought: list[tuple[Checked, TranscriptPlan]] = []

    async def finish() -> None:
        checked, plan, comparison = pending.popleft()
        compared = await comparison
        if compared.is_sought:
            sought.append((checked, plan))
        else:
            await send.send(_with_transcript(checked, compared))

    async with receive, send:
        while batch := await receive_batch(receive, PROJECTS_PER_LOOK):
            try:
                lookup, projects, sessions = await _read_rows(connection, batch)
            except sqlite3.Error as error:
                raise DatabaseUnusable(file, write_problem(error)) from error
            for planned in batch:
                checked, plan = comparer.compare_rows(
                    planned, lookup, projects, sessions
                )
                if plan is None or not plan.uuid:
                    await send.send(checked)
                    continue
                comparison = workers.submit(
                    comparer.compare_transcript, checked.id, plan
                )
                pending.append((checked, plan, comparison))
                while len(pending) > COMPARISONS_AHEAD * workers.count:
                    await finish()
        while pending:
            await finish()

        if sought:
            uuids = {plan.uuid for _, plan in sought}
            places, _ = await workers.submit(search, buckets, uuids, workers.check)
            for checked, plan in sought:
                comparison = workers.submit(
                    comparer.compare_found, checked.id, plan, places[plan.uuid]
                )
                pending.append((checked, plan, comparison))
            while pending:
                await finish()


async def _read_rows(
    connection: aiosqlite.Connection | None, batch: list[PlannedProject]
) -> tuple[Lookup, _Rows, _Rows]:
    sessions = [planned.session.id for planned in batch if planned.session]
    ids = [planned.project.id for planned in batch]
    paths = [planned.project.path for planned in batch]

    return (
        await look_up(connection, ids, paths, sessions),
        await _rows(connection, "projects", _PROJECT_COLUMNS, ids),
        await _rows(connection, "sessions", _SESSION_COLUMNS, sessions),
    )


async def _rows(
    connection: aiosqlite.Connection | None,
    table: str,
    columns: tuple[str, ...],
    ids: Iterable[str],
) -> _Rows:
    if connection is None:
        return {}

    # The names of table and columns are constants of ours; the ids are bound.
    rows = await connection.execute_fetchall(
        f"SELECT id, {', '.join(columns)} FROM {table}"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(tuple(ids)).decode(),),
    )
    return {row[0]: dict(zip(columns, tuple(row)[1:], strict=True)) for row in rows}


class _Comparer:
    def __init__(
        self, buckets: str, count: Callable[[int], None], check: Callable[[], None]
    ) -> None:
        self._buckets, self._count, self._check = buckets, count, check
        self._id_by_path: dict[str, str] = {}

    def compare_rows(
        self, planned: PlannedProject, lookup: Lookup, projects: _Rows, sessions: _Rows
    ) -> tuple[Checked, TranscriptPlan | None]:
        """Compare the rows; the plan is that of the transcript to compare next."""
        faults: list[Note] = []
        changed: list[Note] = []
        transcript: TranscriptPlan | None = None
        row, session = planned.project, planned.session
        if row.id in lookup.project_ids:
            changed += _differences(row.id, "project", row, projects[row.id])
        else:
            owner = lookup.id_by_path.get(row.path) or self._id_by_path.get(row.path)
            if owner is not None:  # left out by rule P5
                return Checked(
                    id=row.id, faults=(), changed=(), transcript_bytes=0
                ), None
            self._id_by_path[row.path] = row.id
            faults.append(note("project-missing", row.id, "its row is missing"))

        if session is not None:
            existing = lookup.sessions.get(session.id)
            if existing is not None and existing.project_id == row.id:
                found = sessions[session.id]
                changed += _differences(row.id, "session", session, found)
                transcript = _plan_of(planned.transcript, found)
            elif existing is not None:
                text = (
                    f"the session {quote(session.id)} is missing; the one of that name "
                    f"belongs to {quote(existing.project_id)}"
                )
                faults.append(note("session-missing", row.id, text))
            elif row.id not in lookup.numbered:  # else left out by rule L8
                text = f"the session {quote(session.id)} is missing"
                faults.append(note("session-missing", row.id, text))

        checked = Checked(
            id=row.id, faults=tuple(faults), changed=tuple(changed), transcript_bytes=0
        )
        return checked, transcript

    def compare_transcript(self, project_id: str, plan: TranscriptPlan) -> _Compared:
        """Compare a transcript with the one in the bucket of its worktree. Blocks."""
        located = locate(plan, self._buckets)
        source = located.source and os.path.join(self._buckets, located.source)
        if source is None or not _is_regular(
            os.path.join(source, f"{plan.uuid}.jsonl")
        ):
            return _Compared(is_sought=True)

        return self._compare(project_id, plan.uuid, source, located.destination)

    def compare_found(
        self, project_id: str, plan: TranscriptPlan, places: list[str]
    ) -> _Compared:
        """Compare a transcript with the only other one of its name, if there is one."""
        destination = locate(plan, self._buckets).destination
        others = [place for place in places if place != destination]
        if len(others) != 1:
            return _Compared()

        source = os.path.join(self._buckets, others[0])
        return self._compare(project_id, plan.uuid, source, destination)

    def _compare(
        self, project_id: str, uuid: str, source_path: str, destination_name: str
    ) -> _Compared:
        path = os.path.join(self._buckets, destination_name, f"{uuid}.jsonl")
        try:
            with Directory.open(source_path) as source:
                try:
                    buckets = Directory.open(self._buckets)
                    with buckets, buckets.enter(destination_name) as destination:
                        differing: list[str] = []
                        size_bytes = self._compare_file(
                            source, destination, f"{uuid}.jsonl", differing, follow=True
                        )
                        if source.kind(uuid) == stat.S_IFDIR:
                            size_bytes += self._compare_tree(
                                source, destination, uuid, differing
                            )
                except FileNotFoundError:
                    text = f"the transcript {quote(path)} is missing"
                    fault = note("copy-missing", project_id, text, source_path)
                    return _Compared(faults=(fault,))
        except OSError as error:
            text = (
                f"the transcript {quote(path)} could not be compared: {reason(error)}"
            )
            fault = note("transcript-unreadable", project_id, text, source_path)
            return _Compared(faults=(fault,))

        if not differing:
            return _Compared(size_bytes=size_bytes)
        text = f"does not begin with what its source holds: {listing(differing)}"
        fault = note("transcript-differs", project_id, text, source_path)
        return _Compared(faults=(fault,), size_bytes=size_bytes)

    def _compare_tree(
        self, source: Directory, destination: Directory, name: str, differing: list[str]
    ) -> int:
        size_bytes = 0
        with source.enter(name) as old:
            if destination.kind(name) != stat.S_IFDIR:
                differing.append(os.path.join(destination.path, name))
                return 0
            with destination.enter(name) as new:
                for entry in old.names():
                    if entry.is_dir(follow_symlinks=False):
                        size_bytes += self._compare_tree(
                            old, new, entry.name, differing
                        )
                    elif entry.is_file(follow_symlinks=False):
                        if new.kind(entry.name) == stat.S_IFREG:
                            size_bytes += self._compare_file(
                                old, new, entry.name, differing, follow=False
                            )
                        else:
                            differing.append(os.path.join(new.path, entry.name))

        return size_bytes

    def _compare_file(
        self,
        source: Directory,
        destination: Directory,
        name: str,
        differing: list[str],
        *,
        follow: bool,
    ) -> int:
        size_bytes = 0
        with (
            destination.reading(name, follow=False) as (new, _),
            source.reading(name, follow=follow) as (old, _),
        ):
            while expected := os.read(old, READ_BYTES):
                self._check()
                if _read_exactly(new, len(expected)) != expected:
                    differing.append(os.path.join(destination.path, name))
                    break
                size_bytes += len(expected)
                self._count(len(expected))

        return size_bytes


def _read_exactly(fd: int, size_bytes: int) -> bytes:
    data = os.read(fd, size_bytes)
    while len(data) < size_bytes and (more := os.read(fd, size_bytes - len(data))):
        data += more

    return data


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def _plan_of(
    plan: TranscriptPlan | None, found: dict[str, object]
) -> TranscriptPlan | None:
    if plan is None or not plan.is_found:
        return plan

    uuid = found["agent_session_id"]
    return (
        msgspec.structs.replace(plan, uuid=uuid)
        if isinstance(uuid, str) and is_uuid(uuid)
        else None
    )


def _differences(
    project_id: str, what: str, row: ProjectRow | SessionRow, found: dict[str, object]
) -> list[Note]:
    columns = [
        column
        for column, value in found.items()
        if not _is_equal(column, getattr(row, column), value)
    ]
    if not columns:
        return []

    text = f"its {what}'s row has changed since: {', '.join(columns)}"
    return [note(f"{what}-changed", project_id, text)]


def _is_equal(column: str, planned: object, found: object) -> bool:
    if column == "registered_at" and planned is None:  # it was the time of the import
        return True
    if column == "config" and isinstance(planned, str) and isinstance(found, str):
        return decode_object(planned) == decode_object(found)

    return planned == found


def _with_transcript(checked: Checked, compared: _Compared) -> Checked:
    return msgspec.structs.replace(
        checked,
        faults=checked.faults + compared.faults,
        transcript_bytes=compared.size_bytes,
    )
