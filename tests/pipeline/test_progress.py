"""Progress: values from the loop's own thread, not too many, and true at the end."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from bench.generate_store import StoreShape, generate
from pipeline.importing import run_import_with
from pipeline.options import Settings
from pipeline.progress import (
    REPORT_SECONDS,
    Meter,
    MeteredReceive,
    MeteredSend,
    Progress,
    StageName,
    report_progress,
)
from pipeline.report import Report
from pipeline.verifying import verify_with
from tests.support import Store

PROJECTS = 30


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shape = StoreShape(projects=PROJECTS, records=20, transcripts=10)
    generate(tmp_path / "made", shape)
    made = tmp_path / "made"
    settings = Store(tmp_path / "home").settings(buckets=made / "claude")
    settings.places.root.rmdir()
    (made / "root").rename(settings.places.root)

    return settings


async def watch(settings: Settings) -> tuple[Report, list[Progress]]:
    values: list[Progress] = []
    report = await run_import_with(settings, on_progress=values.append, meter=Meter())

    return report, values


def of(stage: StageName, values: list[Progress]) -> list[Progress]:
    return [value for value in values if value.stage == stage]


async def test_each_stage_says_at_the_end_that_all_is_done(settings: Settings) -> None:
    report, values = await watch(settings)

    assert report.transcripts_relocated == 10
    for stage in ("read", "write", "relocate"):
        last = of(stage, values)[-1]
        assert (last.done, last.total, last.bytes) == (
            PROJECTS,
            PROJECTS,
            report.transcript_bytes,
        )
        assert last.project


async def test_nothing_ever_goes_back(settings: Settings) -> None:
    _, values = await watch(settings)

    sizes = [value.bytes for value in values]
    assert sizes == sorted(sizes)
    for stage in ("read", "write", "relocate"):
        done = [value.done for value in of(stage, values)]
        assert done == sorted(done)


async def test_a_verification_has_its_own_stages(settings: Settings) -> None:
    await watch(settings)
    values: list[Progress] = []

    await verify_with(settings, on_progress=values.append, meter=Meter())

    assert {value.stage for value in values} == {"read", "compare"}
    assert of("compare", values)[-1].done == PROJECTS


async def test_values_come_in_the_loops_own_thread_and_task_group(
    settings: Settings,
) -> None:
    threads: set[int] = set()
    loops: set[asyncio.AbstractEventLoop] = set()

    def on_progress(progress: Progress) -> None:
        threads.add(threading.get_ident())
        loops.add(asyncio.get_running_loop())

    await run_import_with(settings, on_progress=on_progress, meter=Meter())

    assert threads == {threading.get_ident()}
    assert loops == {asyncio.get_running_loop()}


async def test_there_are_some_ten_values_a_second_at_most() -> None:
    stages: dict[str, StageName] = {"a": "read", "b": "write", "c": "relocate"}
    meter = Meter()
    streams: list[tuple[MeteredSend[None], MeteredReceive[None]]] = [
        meter.open_stream(name, 1) for name in stages
    ]
    values: list[Progress] = []
    started = time.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(report_progress, meter, stages, 1_000, values.append)
        while len(values) < 2 * len(stages):
            for send, receive in streams:
                await send.send(None)
                await receive.receive()
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    looks = (time.monotonic() - started) / REPORT_SECONDS
    for send, receive in streams:
        await send.aclose()
        await receive.aclose()

    # A look for each pause that has gone by, and one at the end.
    assert len(values) <= len(stages) * (looks + 1)
    assert len(stages) / REPORT_SECONDS <= 10


async def test_nobody_is_told_of_what_has_not_moved() -> None:
    stages: dict[str, StageName] = {"a": "read"}
    meter = Meter()
    ends: tuple[MeteredSend[None], MeteredReceive[None]] = meter.open_stream("a", 1)
    for end in ends:
        await end.aclose()
    values: list[Progress] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(report_progress, meter, stages, 1, values.append)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert values == []
