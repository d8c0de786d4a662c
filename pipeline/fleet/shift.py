"""A shift: the stores of a fleet, so many at once, again where that may help.

Orders go in with what carries one out; results come out of a stream as they are there.
Nothing here knows what a cluster is.
"""

from __future__ import annotations

__all__ = ("CarryOut", "Shift")

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import anyio
import msgspec
from anyio import create_task_group, move_on_after
from anyio.abc import ObjectSendStream

from pipeline.fleet.store import Order, StoreResult

CarryOut = Callable[[Order], Awaitable[StoreResult]]

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 60.0


class Shift:
    """The work on all stores, until it is done or stopped."""

    def __init__(
        self,
        carry_out: CarryOut,
        *,
        at_once: int,
        retries: int,
        first_delay_seconds: float = FIRST_DELAY_SECONDS,
    ) -> None:
        self._carry_out = carry_out
        self._at_once = at_once
        self._retries = retries
        self._first_delay_seconds = first_delay_seconds
        self._stopping = anyio.Event()
        self.at_work = 0

    def stop(self) -> None:
        """Begin nothing more; what is at work is not touched."""
        self._stopping.set()

    async def run(
        self,
        orders: Mapping[str, Sequence[Order]],
        send: ObjectSendStream[StoreResult],
    ) -> None:
        """Work through the orders of each file server, and send one result for each begun.

        No server has to bear more than `at_once` stores at the same time.
        """
        async with send, create_task_group() as tasks:
            for waiting in orders.values():
                left = iter(waiting)
                for _ in range(min(self._at_once, len(waiting))):
                    tasks.start_soon(self._work_through, left, send)

    async def _work_through(
        self, left: Iterator[Order], send: ObjectSendStream[StoreResult]
    ) -> None:
        for order in left:
            if self._stopping.is_set():
                return
            await send.send(await self._work_on(order))

    async def _work_on(self, order: Order) -> StoreResult:
        """Carry an order out, with more and more patience for what may pass."""
        delay_seconds = self._first_delay_seconds
        attempts = 0
        while True:
            attempts += 1
            self.at_work += 1
            try:
                result = await self._carry_out(order)
            finally:
                self.at_work -= 1
            if not result.may_pass or attempts > self._retries:
                break
            with move_on_after(delay_seconds):
                await self._stopping.wait()
            if self._stopping.is_set():
                break
            delay_seconds = min(2 * delay_seconds, LONGEST_DELAY_SECONDS)

        return msgspec.structs.replace(result, attempts=attempts)
