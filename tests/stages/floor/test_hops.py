from __future__ import annotations

import threading
from collections.abc import Sequence
from unittest.mock import Mock

import anyio
import anyio.lowlevel
import pytest

import stages.floor.hops
from stages.floor.hops import ITEMS_PER_HOP, run_in_hops
from stages.floor.workers import Workers

COUNT = 1000


class Ends:
    """Both ends of a run: what is taken from the one, and given to the other."""

    def __init__(self, count: int) -> None:
        self.left = list(range(count))
        self.hops: list[list[int]] = []

    async def take(self, most: int) -> list[int]:
        taken, self.left = self.left[:most], self.left[most:]
        return taken

    async def give(self, result: Sequence[int]) -> None:
        await anyio.lowlevel.checkpoint()
        self.hops.append(list(result))


@pytest.mark.parametrize("count", [0, 1, 5, COUNT])
@pytest.mark.parametrize("threads", [1, 4])
async def test_all_items_come_in_their_order(count: int, threads: int) -> None:
    ends = Ends(count)

    async with Workers(threads, "test-hops") as workers:
        await run_in_hops(ends.take, list, ends.give, workers)

    assert [item for hop in ends.hops for item in hop] == list(range(count))


async def test_quick_items_go_together_and_slow_ones_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = Ends(COUNT)
    clock = Mock(perf_counter=iter(range(COUNT)).__next__)  # a second later each time
    sizes: list[int] = []

    def work(items: Sequence[int]) -> Sequence[int]:
        sizes.append(len(items))
        return items

    async with Workers(1, "test-hops") as workers:
        await run_in_hops(ends.take, work, ends.give, workers)
    assert max(sizes) == ITEMS_PER_HOP

    monkeypatch.setattr(stages.floor.hops, "time", clock)
    ends, sizes = Ends(20), []
    async with Workers(1, "test-hops") as workers:
        await run_in_hops(ends.take, work, ends.give, workers)
    assert set(sizes) == {1}


async def test_several_hops_are_under_way_at_once() -> None:
    ends = Ends(2)
    both = threading.Barrier(2, timeout=30)

    def work(items: Sequence[int]) -> Sequence[int]:
        both.wait()
        return items

    async with Workers(2, "test-hops") as workers:
        await run_in_hops(ends.take, work, ends.give, workers)

    assert ends.hops == [[0], [1]]


async def test_error_in_a_hop_is_raised() -> None:
    ends = Ends(COUNT)

    def work(items: Sequence[int]) -> Sequence[int]:
        raise OSError("of the disk")

    async with Workers(2, "test-hops") as workers:
        with pytest.raises(OSError, match="of the disk"):
            await run_in_hops(ends.take, work, ends.give, workers)

    assert ends.hops == []
