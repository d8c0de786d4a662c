from __future__ import annotations

import threading
from collections.abc import Callable

import anyio
import pytest

from stages.workers import Stopped, Workers


def names_of_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "probe" in thread.name]


async def test_result_and_error_of_a_thread_arrive() -> None:
    async with Workers(2, "probe") as workers:
        assert await workers.submit(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await workers.submit(divmod, 7, 0)

    assert names_of_threads() == []


async def test_work_that_looks_for_it_ends_when_the_run_does() -> None:
    started = threading.Event()
    left = threading.Event()

    def work(check: Callable[[], None]) -> None:
        started.set()
        try:
            while True:
                check()
        except Stopped:
            left.set()
            raise

    async with Workers(1, "probe") as workers:
        workers.submit(work, workers.check)
        await workers_started(started)

    assert left.is_set()
    assert names_of_threads() == []


async def test_work_that_has_not_begun_never_does() -> None:
    started = threading.Event()
    done: list[int] = []

    def work(check: Callable[[], None]) -> None:
        started.set()
        while True:
            check()

    async with Workers(1, "probe") as workers:
        workers.submit(work, workers.check)
        workers.submit(done.append, 1)
        await workers_started(started)

    assert done == []


async def test_no_thread_is_left_where_the_run_is_cancelled() -> None:
    started = threading.Event()

    def work(check: Callable[[], None]) -> None:
        started.set()
        while True:
            check()

    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            async with Workers(1, "probe") as workers:
                await workers.submit(work, workers.check)

        tasks.start_soon(run)
        await workers_started(started)
        tasks.cancel_scope.cancel()

    assert names_of_threads() == []


async def workers_started(event: threading.Event) -> None:
    await anyio.to_thread.run_sync(event.wait)
