from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

import anyio
import pytest

import stages.floor.workers
from stages.floor.workers import Stopped, Workers


def names_of_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "probe" in thread.name]


def check_forever(started: threading.Event, check: Callable[[], None]) -> None:
    started.set()
    while True:
        check()


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

    async with Workers(1, "probe") as workers:
        workers.submit(check_forever, started, workers.check)
        workers.submit(done.append, 1)
        await workers_started(started)

    assert done == []


async def test_no_thread_is_left_where_the_run_is_cancelled() -> None:
    started = threading.Event()

    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            async with Workers(1, "probe") as workers:
                await workers.submit(check_forever, started, workers.check)

        tasks.start_soon(run)
        await workers_started(started)
        tasks.cancel_scope.cancel()

    assert names_of_threads() == []


async def workers_started(event: threading.Event) -> None:
    await anyio.to_thread.run_sync(event.wait)


async def test_one_that_waits_lets_another_work() -> None:
    met = threading.Event()

    async with Workers(2, "probe", shares_processor=True) as workers:
        first = workers.submit(met.wait, 30)
        second = workers.submit(met.set)
        with anyio.fail_after(20):
            await second

        assert await first


async def test_those_that_compute_go_on_in_one_thread() -> None:
    all_are_there = threading.Event()

    def work() -> int:
        all_are_there.wait(30)
        return threading.get_ident()

    async with Workers(8, "probe", shares_processor=True) as workers:
        submitted = [workers.submit(work) for _ in range(20)]
        submitted[7].cancel()
        all_are_there.set()
        threads = {await each for each in submitted if not each.cancelled()}

    assert len(threads) == 1


async def test_error_behind_the_gate_arrives_and_the_next_goes_on() -> None:
    async with Workers(8, "probe", shares_processor=True) as workers:
        wrong = workers.submit(divmod, 7, 0)
        right = workers.submit(divmod, 7, 2)
        with pytest.raises(ZeroDivisionError):
            await wrong

        assert await right == (3, 1)


async def test_what_waits_at_the_gate_is_cancelled_with_the_run() -> None:
    started = threading.Event()

    async with Workers(8, "probe", shares_processor=True) as workers:
        workers.submit(check_forever, started, workers.check)
        waiting = workers.submit(divmod, 7, 2)
        await workers_started(started)

    assert waiting.cancelled()
    assert names_of_threads() == []


async def test_no_work_is_left_open_where_the_run_ends_before_it() -> None:
    for _ in range(20):
        async with Workers(8, "probe", shares_processor=True) as workers:
            await workers.submit(int)
            await anyio.sleep(0.005)  # its thread idles
            last = workers.submit(time.sleep, 0.001)

        assert last.done()


@pytest.mark.parametrize("shares_processor", [True, False])
async def test_error_that_was_dealt_with_keeps_nothing_alive(
    shares_processor: bool,
) -> None:
    freed = threading.Event()

    def fail() -> None:
        large = threading.Event()
        weakref.finalize(large, freed.set)
        raise ZeroDivisionError

    gc.collect()
    gc.disable()
    try:
        async with Workers(8, "probe", shares_processor=shares_processor) as workers:
            with suppress(ZeroDivisionError):
                await workers.submit(fail)

            assert await anyio.to_thread.run_sync(freed.wait, 10)
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("elapsed_seconds", "computing_seconds", "parallel"),
    [
        pytest.param(0.05, 0.0, 1, id="too-short-to-tell"),
        pytest.param(1.0, 1.0, 1, id="computes"),
        pytest.param(1.0, 0.5, 1, id="two-that-compute"),
        pytest.param(1.0, 0.25, 1, id="on-a-busy-machine"),
        pytest.param(1.0, 0.15, 2, id="waits-for-a-slow-disk"),
        pytest.param(10.0, 0.01, 8, id="waits-for-a-network"),
    ],
)
async def test_as_many_work_at_once_as_have_to_wait(
    elapsed_seconds: float,
    computing_seconds: float,
    parallel: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(stages.floor.workers, "time", clock)
    ready, done = threading.Event(), threading.Event()

    def work(check: Callable[[], None]) -> None:
        clock.elapsed, clock.computed = elapsed_seconds, computing_seconds
        check()
        ready.set()
        done.wait(30)

    async with Workers(8, "probe", shares_processor=True) as workers:
        work_done = workers.submit(work, workers.check)
        await workers_started(ready)
        found = workers.parallel
        done.set()
        await work_done

    assert found == parallel


@pytest.mark.parametrize(
    ("seconds", "parallel"),
    [
        pytest.param([(1.0, 1.0), (0.09, 0.001)], 1, id="held-up-once"),
        pytest.param([(0.05, 0.0)], 1, id="too-short-to-tell"),
        pytest.param([(0.05, 0.001)] * 3, 8, id="short-but-often"),
        pytest.param([(1.0, 1.0), (5.0, 0.01)], 8, id="slow-of-late"),
        pytest.param([(300.0, 0.01), (1.0, 1.0)], 1, id="slow-once"),
        pytest.param([(300.0, 0.01), (0.5, 0.5)], 1, id="quick-again-at-once"),
    ],
)
async def test_what_ended_is_remembered_for_a_while(
    seconds: list[tuple[float, float]],
    parallel: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(stages.floor.workers, "time", clock)

    def work(elapsed_seconds: float, computing_seconds: float) -> None:
        clock.elapsed += elapsed_seconds
        clock.computed += computing_seconds

    async with Workers(8, "probe", shares_processor=True) as workers:
        for each in seconds:
            await workers.submit(work, *each)

        assert workers.parallel == parallel


class Clock:
    """The two clocks that the gate looks at."""

    elapsed = computed = 0.0

    def perf_counter(self) -> float:
        return self.elapsed

    def thread_time(self) -> float:
        return self.computed

    def sleep(self, seconds: float) -> None:
        pass
