"""How the stores of a fleet are worked through: how many at once, and which again."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from anyio import create_memory_object_stream, create_task_group, fail_after
from anyio.lowlevel import checkpoint

from pipeline.fleet.shift import CarryOut, Shift
from pipeline.fleet.store import Order, StoreResult

SECONDS = 20


def order(home: str) -> Order:
    return Order(home=home, time_limit_seconds=60, memory_limit_bytes=1 << 30)


async def work(
    carry_out: CarryOut,
    homes: dict[str, list[str]],
    *,
    at_once: int = 2,
    retries: int = 3,
) -> list[StoreResult]:
    """Work through all homes, with delays that nobody notices."""
    shift = Shift(carry_out, at_once=at_once, retries=retries, first_delay_seconds=1e-6)
    send, receive = create_memory_object_stream[StoreResult](math.inf)
    orders = {server: [order(home) for home in of] for server, of in homes.items()}
    with fail_after(SECONDS), receive:
        await shift.run(orders, send)
        return [result async for result in receive]


async def test_each_store_is_carried_out_once_and_none_is_lost() -> None:
    begun: Counter[str] = Counter()

    async def carry_out(order: Order) -> StoreResult:
        begun[order.home] += 1
        await checkpoint()
        return StoreResult(home=order.home, outcome="done")

    homes = [f"/home/{number}" for number in range(50)]
    results = await work(carry_out, {"nas1": homes[:40], "nas2": homes[40:]})

    assert sorted(result.home for result in results) == sorted(homes)
    assert set(begun.values()) == {1}


@pytest.mark.parametrize("at_once", [1, 3])
async def test_no_server_bears_more_at_once_than_it_may(at_once: int) -> None:
    now: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def carry_out(order: Order) -> StoreResult:
        server = order.home.split("/")[0]
        now[server] += 1
        most[server] = max(most[server], now[server])
        for _ in range(10):  # time for others to begin, if they may
            await checkpoint()
        now[server] -= 1
        return StoreResult(home=order.home, outcome="done")

    homes = {name: [f"{name}/{number}" for number in range(8)] for name in ("a", "b")}
    await work(carry_out, homes, at_once=at_once)

    assert most == {"a": at_once, "b": at_once}


@pytest.mark.parametrize(
    ("passes_after", "outcome", "attempts"),
    [
        pytest.param(0, "done", 1, id="nothing-in-the-way"),
        pytest.param(2, "done", 3, id="it-passes"),
        pytest.param(9, "refused", 4, id="it-does-not-pass-in-time"),
    ],
)
async def test_what_may_pass_is_tried_again(
    passes_after: int, outcome: str, attempts: int
) -> None:
    tried = 0

    async def carry_out(order: Order) -> StoreResult:
        nonlocal tried
        tried += 1
        if tried > passes_after:
            return StoreResult(home=order.home, outcome="done")
        return StoreResult(home=order.home, outcome="refused", may_pass=True)

    [result] = await work(carry_out, {"nas": ["/home/ada"]}, retries=3)

    assert (result.outcome, result.attempts, tried) == (outcome, attempts, attempts)


async def test_what_will_not_pass_is_tried_once() -> None:
    broken = StoreResult(home="/home/ada", outcome="failed", error="broken")

    async def carry_out(order: Order) -> StoreResult:
        return broken

    assert await work(carry_out, {"nas": ["/home/ada"]}) == [broken]


async def test_a_stopped_shift_begins_nothing_more_and_ends_what_it_has() -> None:
    begun: list[str] = []
    send, receive = create_memory_object_stream[StoreResult](math.inf)

    async def carry_out(order: Order) -> StoreResult:
        begun.append(order.home)
        shift.stop()
        await checkpoint()
        return StoreResult(home=order.home, outcome="interrupted", may_pass=True)

    shift = Shift(carry_out, at_once=1, retries=3)
    with fail_after(SECONDS), receive:
        async with create_task_group() as tasks:
            tasks.start_soon(shift.run, {"nas": [order("/a"), order("/b")]}, send)
        results = [result async for result in receive]

    assert begun == ["/a"]
    assert [result.home for result in results] == ["/a"]
    assert shift.at_work == 0
