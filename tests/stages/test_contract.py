"""What every stage owes its neighbours, whatever it does: held over all of them."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import msgspec
import pytest
from anyio import create_memory_object_stream, create_task_group, fail_after
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

import stages.compare
import stages.decode
import stages.discover
import stages.locate
import stages.map
import stages.relocate
import stages.write
from stages.database.reading import open_for_reading
from stages.database.writing import open_for_writing
from stages.discover import Registry
from stages.floor.buckets import Buckets
from stages.floor.workers import Workers
from tests.support import (
    HOME,
    NOW,
    STAGE_SECONDS,
    UUID,
    Store,
    go_on,
    lifecycle,
    run_stage,
)

PROJECTS = 24
# Without the stream that they send to, these keep the order of what they receive; the
# others bring first what takes least.
IN_ORDER = frozenset({"discover", "decode"})  # map holds back those of one path
STAGES = ("discover", "decode", "map", "locate", "write", "relocate", "compare")

Run = Callable[..., Coroutine[Any, Any, None]]
Send = MemoryObjectSendStream[Any]
Receive = MemoryObjectReceiveStream[Any]


def fill(store: Store) -> None:
    """Make projects of all kinds: with and without sessions, transcripts, conflicts."""
    projects: dict[str, object] = {}
    for number in range(PROJECTS):
        project_id = f"p{number:02}"
        path = store.home / "repos" / (project_id if number % 10 else "same")
        projects[project_id] = {"path": str(path), "env": {"N": str(number)}}
        if number % 4 == 0:
            continue

        worktree = store.worktree(project_id)
        uuid = UUID[:-2] + f"{number:02}"
        store.record(
            project_id,
            f"{project_id}-orchestrator",
            worktree=str(worktree),
            lifecycle=lifecycle("done" if number % 4 == 1 else "working"),
            claudeSessionUuid=uuid,
        )
        bucket = store.bucket(worktree) if number % 3 else store.buckets / "moved"
        store.write(bucket / f"{uuid}.jsonl", "x" * number)
    store.configure(projects)


class Bench:
    """A store with the items that each stage receives from the one before."""

    def __init__(self, store: Store, registry: Registry, items: dict[str, Any]) -> None:
        self.store, self.registry, self.items = store, registry, items
        self.written = 0  # databases; each run has one of its own

    @asynccontextmanager
    async def stage(self, name: str, count: int) -> AsyncIterator[tuple[Run, Any]]:
        """Provide a stage's `run` with its settings, and `count` workers."""
        store = self.store
        async with Workers(count, f"test-{name}") as workers, AsyncExitStack() as stack:
            buckets = Buckets(str(store.buckets), workers.check)
            settings: dict[str, Any] = {}
            if name == "discover":
                settings = {
                    "registry": self.registry,
                    "places": store.places(),
                    "includes_ended": False,
                    "environment": {},
                    "workers": workers,
                    "asking": workers,
                }
            elif name == "decode":
                settings = {"workers": workers}
            elif name == "locate":
                settings = {"buckets": buckets, "workers": workers}
            elif name == "map":
                settings = {"home": HOME}
            elif name == "write":
                self.written += 1
                data_dir = store.home / f"data-{self.written}"
                opening = open_for_writing(data_dir, workers, go_on)
                settings = {
                    "database": await stack.enter_async_context(opening),
                    "now": NOW,
                    "committed": lambda _: None,
                    "workers": workers,
                }
            elif name == "relocate":
                settings = {
                    "buckets": buckets,
                    "is_dry_run": True,
                    "count": lambda _: None,
                    "copiers": workers,
                    "readers": workers,
                }
            else:
                reading = open_for_reading(store.data_dir, workers)
                settings = {
                    "database": await stack.enter_async_context(reading),
                    "buckets": buckets,
                    "count": lambda _: None,
                    "workers": workers,
                }
            run = getattr(stages, name).run
            yield partial(run, **settings), self.items.get(name)

    async def results(self, name: str, count: int) -> list[Any]:
        async with self.stage(name, count) as (run, items):
            return await run_stage(run, items)


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    store = Store(tmp_path_factory.mktemp("contract") / "home")
    fill(store)
    registry, entries = await store.discover()
    made = Bench(store, registry, {"decode": entries})
    made.items["map"] = await made.results("decode", 2)
    made.items["locate"] = await made.results("map", 2)
    made.items["write"] = made.items["compare"] = await made.results("locate", 2)
    async with made.stage("write", 1) as (run, items):
        made.items["relocate"] = await run_stage(run, items)
    store.data_dir.parent.mkdir()
    (store.home / "data-1").rename(store.data_dir)

    return made


def ids(items: Sequence[Any]) -> list[str]:
    """Return the projects' ids; each message keeps its own in another place."""
    found = []
    for item in items:
        for place in ("entry", "project"):
            inner = getattr(item, place, None)
            item = inner if isinstance(inner, msgspec.Struct) else item
        found.append(item.id)

    return found


@pytest.mark.parametrize("name", STAGES)
async def test_nothing_is_lost_and_the_order_is_kept(bench: Bench, name: str) -> None:
    sent = ids(await bench.results(name, 2))
    expected = [project.id for project in bench.registry.projects]

    assert sorted(sent) == expected
    if name in IN_ORDER:
        assert sent == expected


@pytest.mark.parametrize("name", STAGES)
async def test_one_worker_and_eight_bring_the_same(bench: Bench, name: str) -> None:
    one = await bench.results(name, 1)
    eight = await bench.results(name, 8)

    assert sorted(one, key=repr) == sorted(eight, key=repr)


@pytest.mark.parametrize("name", STAGES)
async def test_stage_that_is_held_back_for_a_while_loses_nothing(
    bench: Bench, name: str
) -> None:
    async with bench.stage(name, 2) as (run, items):
        streams, outcome = opened(items)
        with fail_after(STAGE_SECONDS):
            async with create_task_group() as tasks:
                tasks.start_soon(partial(run, *streams))
                await anyio.wait_all_tasks_blocked()
                async with outcome:
                    received = [item async for item in outcome]

    assert len(received) == PROJECTS
    assert_closed(streams)


@pytest.mark.parametrize("name", STAGES)
async def test_streams_are_closed_where_the_stage_behind_has_died(
    bench: Bench, name: str
) -> None:
    async with bench.stage(name, 2) as (run, items):
        streams, outcome = opened(items)
        outcome.close()
        with fail_after(STAGE_SECONDS), pytest.raises(anyio.BrokenResourceError):
            await run(*streams)

    assert_closed(streams)


@pytest.mark.parametrize("name", STAGES)
async def test_streams_are_closed_on_cancellation(bench: Bench, name: str) -> None:
    async with bench.stage(name, 2) as (run, items):
        streams, outcome = opened(items)
        with fail_after(STAGE_SECONDS):
            async with create_task_group() as tasks:
                tasks.start_soon(partial(run, *streams))
                await outcome.receive()
                tasks.cancel_scope.cancel()

        assert_closed(streams)
        await outcome.aclose()


@pytest.mark.parametrize("name", [name for name in STAGES if name != "discover"])
async def test_stage_that_receives_nothing_ends_and_sends_nothing(
    bench: Bench, name: str
) -> None:
    async with bench.stage(name, 2) as (run, _):
        assert await run_stage(run, []) == []


@pytest.mark.parametrize("name", [name for name in STAGES if name != "discover"])
async def test_stage_waits_for_the_one_before_it(bench: Bench, name: str) -> None:
    async with bench.stage(name, 2) as (run, items):
        feed, receive = create_memory_object_stream[Any](0)
        send, outcome = create_memory_object_stream[Any](math.inf)
        with fail_after(STAGE_SECONDS), outcome:
            async with create_task_group() as tasks:
                tasks.start_soon(partial(run, receive, send))
                async with feed:
                    for item in items:
                        await feed.send(item)
            received = [item async for item in outcome]

    assert len(received) == PROJECTS


def opened(
    items: Sequence[Any] | None,
) -> tuple[list[Any], Receive]:
    """Return a stage's streams, all items in the first one, and what it sends to.

    The stream that it sends to has no buffer: it cannot get ahead of who takes from it.
    """
    send, outcome = create_memory_object_stream[Any](0)
    streams: list[Any] = [send]
    if items is not None:
        feed, receive = create_memory_object_stream[Any](math.inf)
        for item in items:
            feed.send_nowait(item)
        feed.close()
        streams.insert(0, receive)

    return streams, outcome


def assert_closed(streams: Sequence[Send | Receive]) -> None:
    for stream in streams:
        use: Callable[[], object] = (
            partial(stream.send_nowait, None)
            if isinstance(stream, MemoryObjectSendStream)
            else stream.receive_nowait
        )
        with pytest.raises(anyio.ClosedResourceError):
            use()
