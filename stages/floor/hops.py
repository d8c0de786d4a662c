"""Blocking work on many items: some of it under way at once, its results in order."""

from __future__ import annotations

__all__ = ("InOrder", "run_in_hops")

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from stages.floor.workers import PATIENCE_SECONDS, Workers

T = TypeVar("T")
U = TypeVar("U")

# A hop to a thread costs what ten small files cost, so small projects go together, as
# many as take about so long; and none is so long that others wait for its results.
HOP_SECONDS = 0.03
ITEMS_PER_HOP = 64
HOPS_AHEAD = 4  # for each thread, so that none idles behind a slow directory


class InOrder(Generic[T]):
    """Work that is under way, whose results are given in the order in which it began."""

    def __init__(self, most: int, give: Callable[[T], Awaitable[None]]) -> None:
        """Take how much may be under way, and what gets each result."""
        self._most, self._give = most, give
        self._pending: deque[asyncio.Future[T]] = deque()

    async def add(self, work: asyncio.Future[T]) -> None:
        """Give what has ended, and wait until there is room for more."""
        self._pending.append(work)
        while self._pending and (
            self._pending[0].done() or len(self._pending) > self._most
        ):
            await self._give_first()

    async def finish(self) -> None:
        """Wait for all that is under way."""
        while self._pending:
            await self._give_first()

    async def _give_first(self) -> None:
        await self._give(await self._pending.popleft())


async def run_in_hops(
    take: Callable[[int], Awaitable[Sequence[T]]],
    work: Callable[[Sequence[T]], U],
    give: Callable[[U], Awaitable[None]],
    workers: Workers,
) -> None:
    """Do the work on all items, and give what comes of each hop in the items' order.

    `take` returns at most so many items, and none at their end. `work` is done by the
    workers; it blocks.
    """
    hops: deque[tuple[int, asyncio.Future[tuple[U, float]]]] = deque()
    together, is_over = 1, False
    while hops or not is_over:
        if hops and hops[0][1].done():
            count, hop = hops.popleft()
            result, seconds = await hop
            together = _items_per_hop(seconds / count)
            await give(result)
            continue

        running = [hop for _, hop in hops if not hop.done()]
        # One more than can run, so that the next is there when one has ended.
        has_room = len(running) <= workers.parallel
        if has_room and not is_over and len(hops) < HOPS_AHEAD * workers.count:
            items = await take(together)
            is_over = not items
            if items:
                hops.append((len(items), workers.submit(_timed, work, items)))
            continue

        await asyncio.wait(
            running, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )


def _timed(work: Callable[[Sequence[T]], U], items: Sequence[T]) -> tuple[U, float]:
    started = time.perf_counter()
    result = work(items)

    return result, time.perf_counter() - started


def _items_per_hop(each_seconds: float) -> int:
    """How many items take as long as a hop may."""
    return max(1, min(ITEMS_PER_HOP, int(HOP_SECONDS / max(each_seconds, 1e-6))))
