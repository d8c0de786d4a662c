"""Threads for blocking work: whole batches go across, and they stop when told."""

from __future__ import annotations

__all__ = ("PATIENCE_SECONDS", "Stopped", "Workers")

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from anyio import CancelScope

P = ParamSpec("P")
T = TypeVar("T")

# How often it is looked at what a thread that waits has to show for itself.
PATIENCE_SECONDS = 0.1
# Elapsed time for each second of computing that tells a thread that waits for the disk
# from one that others keep from computing. Two that compute come to 2, as they hand the
# interpreter's lock to and fro: measured, they take 2.3 times as long as one. A machine
# of which others have four fifths comes to 5, a slow network to hundreds. Of a cold disk
# two threads were measured to get no more than one.
WAITS = 5.0
WAITS_FOR_ANOTHER = 2.5  # from there on: as much of it leaves room for one more thread
# One pass says little: whatever else runs may have held it up.
MEMORY_SECONDS = 1.0
# A thread that computes is made to hand over the interpreter's lock after 5 ms, to any
# of those that wait, and the event loop may be the last of them: measured, it was held
# for up to 27 ms by others, and for 11 with this.
YIELD_SECONDS = 0.001


class Stopped(Exception):
    """Raised inside a thread to leave its work: nobody waits for it any more."""


class Workers:
    """Some threads of a run's own, none of which outlives the run.

    With `shares_processor`, as many of them work at once as have to wait for the disk:
    one that computes leaves the others at the gate.

    A thread cannot be cancelled, so long work calls `check` between its pieces; leaving
    the context sets the flag that this looks at and waits for the threads to end,
    without holding the event loop meanwhile.
    """

    def __init__(
        self, count: int, name: str, *, shares_processor: bool = False
    ) -> None:
        self.count = count
        self.executor = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._stopping = threading.Event()
        self._yielded_at = 0.0
        self._gate = _Gate(count, self._start) if shares_processor else None
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
        if self._gate:
            self._gate.close()
        self.executor.shutdown(wait=False, cancel_futures=True)
        with CancelScope(shield=True):
            while running := [_watched(f) for f in tuple(self._running)]:
                await asyncio.wait(running)
        self.executor.shutdown()

    @property
    def parallel(self) -> int:
        """How many of the threads can work at once now."""
        return self._gate.limit() if self._gate else self.count

    def check(self) -> None:
        """Leave the thread's work if the run has ended, and let others at theirs.

        For use inside the thread.

        :raises Stopped: it has.
        """
        if self._stopping.is_set():
            raise Stopped
        if self._gate:
            self._gate.keep_time()
        if time.perf_counter() - self._yielded_at > YIELD_SECONDS:
            time.sleep(0)
            self._yielded_at = time.perf_counter()

    def submit(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Start the function in a thread; the future belongs to the event loop."""
        work = partial(function, *args, **kwargs)

        return self._gate.enter(work) if self._gate else self._start(work)

    def _start(self, work: Callable[[], T]) -> asyncio.Future[T]:
        future = self.executor.submit(work)
        self._running.add(future)
        future.add_done_callback(self._running.discard)

        return _watched(future)


_Job = tuple[Callable[[], Any], asyncio.Future[Any]]


class _Pass:
    """One thread's time beyond the gate."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._computing_from = time.thread_time()
        self.computing_seconds = 0.0

    def keep_time(self) -> None:
        """Note how long it computed. For inside the thread."""
        self.computing_seconds = time.thread_time() - self._computing_from

    def elapsed_seconds(self) -> float:
        return time.perf_counter() - self._started


class _Gate:
    """Lets as much work be done at once as has to wait; the rest waits without threads.

    A thread that has done its work goes on with what waits next: measured, work that
    goes from one thread to another takes a sixth longer. All of it is for the event
    loop's thread, but for what says otherwise.
    """

    def __init__(
        self, most: int, start: Callable[[Callable[[], None]], asyncio.Future[None]]
    ) -> None:
        self._most, self._start = most, start
        self._waiting: deque[_Job] = deque()
        self._inside = 0
        self._timer: asyncio.TimerHandle | None = None
        self._passes: dict[int, _Pass] = {}  # by thread
        self._elapsed_seconds = 0.0  # of what has ended, the older the less
        self._computing_seconds = 0.0

    def enter(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Start the work when it is its turn."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_look_at_error)
        self._waiting.append((work, future))
        self._admit()

        return future

    def close(self) -> None:
        """Start nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        while job := self._next():
            job[1].cancel()

    def limit(self) -> int:
        """How many threads may work at once. For any thread."""
        passes = [
            (elapsed, each.computing_seconds)
            for each in tuple(self._passes.values())
            if (elapsed := each.elapsed_seconds()) >= PATIENCE_SECONDS
        ]
        kept = _kept(max((elapsed for elapsed, _ in passes), default=0.0))
        elapsed = kept * self._elapsed_seconds + sum(each for each, _ in passes)
        computing = kept * self._computing_seconds + sum(each for _, each in passes)
        waits = elapsed / max(computing, 1e-6)
        if elapsed < PATIENCE_SECONDS or waits < WAITS:
            return 1

        return min(self._most, int(waits / WAITS_FOR_ANOTHER))

    def keep_time(self) -> None:
        """Note how long the calling thread computed. For inside a thread."""
        mine = self._passes.get(threading.get_ident())
        if mine is not None:
            mine.keep_time()

    def _admit(self) -> None:
        room = self.limit() - self._inside
        for _ in range(min(room, len(self._waiting))):
            # Each takes its work itself: what is not taken yet, `close` still sees.
            running = self._start(self._work)
            self._inside += 1
            running.add_done_callback(self._leave)
        if self._waiting and self._timer is None:
            # What is inside may be seen to wait only after a while.
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(PATIENCE_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._admit()

    def _leave(self, _: asyncio.Future[None]) -> None:
        self._inside -= 1
        self._admit()

    def _next(self) -> _Job | None:
        """Take what waits next. For any thread."""
        with suppress(IndexError):
            while True:
                job = self._waiting.popleft()
                if not job[1].cancelled():
                    return job

        return None

    def _work(self) -> None:
        """Do what waits while there is room for this thread. For inside a thread."""
        while (job := self._next()) is not None:
            self._pass(*job)
            del job  # it would keep the result until there is another
            if self._inside > self.limit():
                return

    def _pass(self, work: Callable[[], T], future: asyncio.Future[T]) -> None:
        """Do the work, keep its time, and hand over its result. For inside a thread."""
        hand_over = future.get_loop().call_soon_threadsafe
        thread = threading.get_ident()
        mine = self._passes[thread] = _Pass()
        try:
            try:
                result = work()
            finally:
                mine.keep_time()
                self._remember(mine)
                del self._passes[thread]
        except BaseException as error:
            hand_over(_set, future, future.set_exception, error)
            del future  # the error's traceback leads here, and it to the error
        else:
            hand_over(_set, future, future.set_result, result)

    def _remember(self, ended: _Pass) -> None:
        # Two threads may overwrite each other's sum; it is an estimate, and needs no lock.
        elapsed, computing = ended.elapsed_seconds(), ended.computing_seconds
        kept, counts = _kept(elapsed), min(1.0, MEMORY_SECONDS / max(elapsed, 1e-6))
        self._elapsed_seconds = kept * self._elapsed_seconds + counts * elapsed
        self._computing_seconds = kept * self._computing_seconds + counts * computing


def _kept(elapsed_seconds: float) -> float:
    """How much what was before still counts."""
    return max(0.0, 1 - elapsed_seconds / MEMORY_SECONDS)


def _set(future: asyncio.Future[Any], set_: Callable[[Any], None], value: Any) -> None:
    if not future.done():
        set_(value)


def _watched(future: Future[T]) -> asyncio.Future[T]:
    """Wrap a future so that an error nobody waits for is not logged as lost."""
    wrapped = asyncio.wrap_future(future)
    wrapped.add_done_callback(_look_at_error)

    return wrapped


def _look_at_error(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
