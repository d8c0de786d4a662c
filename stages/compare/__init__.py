"""Compare: what was planned against the new store, field by field and byte by byte."""

from __future__ import annotations

__all__ = ("run",)

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

import msgspec
from anyio.abc import ObjectSendStream

from stages.compare.rows import RowComparer, read_rows
from stages.compare.transcripts import Compared, TranscriptComparer
from stages.database.lookup import find_owners
from stages.database.reading import Reader
from stages.floor.buckets import Buckets
from stages.floor.streams import BatchReceiveStream, receive_batch
from stages.floor.workers import Workers
from stages.messages import Checked, PlannedProject

PROJECTS_PER_LOOK = 100
COMPARISONS_AHEAD = 16  # for each thread


async def run(
    receive: BatchReceiveStream[PlannedProject],
    send: ObjectSendStream[Checked],
    *,
    database: Reader | None,
    buckets: Buckets,
    count: Callable[[int], None],
    workers: Workers,
) -> None:
    """Send how each planned project compares with its rows and its transcript.

    `count` gets the bytes of each piece that was compared, in a thread.

    :raises DatabaseUnusable: the database could not be read.
    """
    transcripts = TranscriptComparer(buckets, count, workers.check)
    pending: deque[tuple[Checked, asyncio.Future[Compared]]] = deque()

    async def finish() -> None:
        checked, comparison = pending.popleft()
        await send.send(_with_transcript(checked, await comparison))

    async with receive, send:
        find_all = partial(find_owners, workers)
        rows = RowComparer(
            await (database.read(find_all) if database else find_all(None))
        )
        while batch := await receive_batch(receive, PROJECTS_PER_LOOK):
            find = partial(read_rows, batch)
            lookup, projects, sessions = await (
                database.read(find) if database else find(None)
            )
            for planned in batch:
                checked, plan = rows.compare(planned, lookup, projects, sessions)
                if plan is None or not plan.uuid:
                    await send.send(checked)
                    continue
                comparison = workers.submit(transcripts.compare, checked.id, plan)
                pending.append((checked, comparison))
                while len(pending) > COMPARISONS_AHEAD * workers.count:
                    await finish()
        while pending:
            await finish()


def _with_transcript(checked: Checked, compared: Compared) -> Checked:
    return msgspec.structs.replace(
        checked,
        faults=checked.faults + compared.faults,
        transcript_bytes=compared.size_bytes,
    )
