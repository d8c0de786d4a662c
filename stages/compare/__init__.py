"""Compare: what was planned against the new store, field by field and byte by byte."""

from __future__ import annotations

__all__ = ("run",)

from collections.abc import Callable
from functools import partial

from anyio.abc import ObjectSendStream

from stages.compare.rows import compare_rows, read_rows
from stages.compare.transcripts import TranscriptComparer
from stages.database.decision import Decider
from stages.database.lookup import find_owners
from stages.database.reading import Reader
from stages.floor.buckets import Buckets
from stages.floor.hops import InOrder
from stages.floor.streams import BatchReceiveStream, receive_batch
from stages.floor.workers import Workers
from stages.messages import Checked, PlannedProject

PROJECTS_PER_QUERY = 100
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
    comparisons = InOrder(COMPARISONS_AHEAD * workers.count, send.send)
    async with receive, send:
        find_all = partial(find_owners, workers)
        decider = Decider(
            await (database.read(find_all) if database else find_all(None))
        )
        while batch := await receive_batch(receive, PROJECTS_PER_QUERY):
            find = partial(read_rows, batch)
            lookup, projects, sessions = await (
                database.read(find) if database else find(None)
            )
            decisions = decider.decide(batch, lookup)
            for planned, decided in zip(batch, decisions, strict=True):
                checked = compare_rows(planned, decided, lookup, projects, sessions)
                plan = decided.transcript
                if decided.orchestrator != "present" or plan is None or not plan.uuid:
                    await send.send(checked)
                    continue
                await comparisons.add(
                    workers.submit(transcripts.compare, checked, plan)
                )
        await comparisons.finish()
