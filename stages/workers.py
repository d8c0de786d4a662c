"""Threads for blocking work: whole batches go across, and they stop when told."""

from __future__ import annotations

__all__ = ("Stopped", "Workers")

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from anyio import CancelScope

P = ParamSpec("P")
T = TypeVar("T")


class Stopped(Exception):
    """Raised inside a thread to leave its work: nobody waits for it any more."""


class Workers:
    """Some threads of a run's own, none of which outlives the run.

    A thread cannot be cancelled, so long work calls `check` between its pieces; leaving
    the context sets the flag that this looks at and waits for the threads to end,
    without holding the event loop meanwhile.
    """

    def __init__(self, count: int, name: str) -> None:
        self.count = count
        self.executor = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._stopping = threading.Event()
        self._running: set[Future[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self.executor.shutdown(wait=False, cancel_futures=True)
        with CancelScope(shield=True):
            while running := [_watched(f) for f in tuple(self._running)]:
                await asyncio.wait(running)
        self.executor.shutdown()

    def check(self) -> None:
        """Leave the thread's work if the run has ended. For use inside the thread.

        :raises Stopped: it has.
        """
        if self._stopping.is_set():
            raise Stopped

    def submit(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Start the function in a thread; the future belongs to the event loop."""
        future = self.executor.submit(function, *args, **kwargs)
        self._running.add(future)
        future.add_done_callback(self._running.discard)

        return _watched(future)


def _watched(future: Future[T]) -> asyncio.Future[T]:
    """Wrap a future so that an error nobody waits for is not logged as lost."""
    wrapped = asyncio.wrap_future(future)
    wrapped.add_done_callback(lambda done: done.cancelled() or done.exception())

    return wrapped
