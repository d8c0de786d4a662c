"""The one way through the house: the stages, the streams between them, one task group."""

from __future__ import annotations

__all__ = ("compare_graph", "import_graph", "load_plan", "open_workers")

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import msgspec
from anyio import create_task_group
from anyio.abc import TaskGroup

import stages.decode
import stages.discover
import stages.locate
import stages.map
import stages.relocate
import stages.write
from pipeline.options import Settings
from pipeline.progress import (
    Meter,
    MeteredReceive,
    MeteredSend,
    Progress,
    StageName,
    report_progress,
)
from stages.database.reading import Reader
from stages.database.writing import Writer
from stages.discover.registry import Registry
from stages.errors import UnknownProject
from stages.floor.buckets import Buckets
from stages.floor.text import resembling
from stages.floor.workers import Workers
from stages.messages import (
    Checked,
    Entry,
    LegacyProject,
    PlannedProject,
    RelocatedProject,
    WrittenProject,
)

# So many projects go from stage to stage in one turn of the event loop.
ENTRY_BUFFER = 64
LEGACY_BUFFER = 64
PLANNED_BUFFER = 64
WRITTEN_BUFFER = 64
OUTCOME_BUFFER = 64

GITS = 8  # asked at once; each waits for a process
COPIERS = 4  # their flushes overlap; eight gained 13 % more on a fast disk

T = TypeVar("T")

OnProgress = Callable[[Progress], None]
Steps = dict[str, StageName]  # which stage fills which stream
Stream = tuple[MeteredSend[T], MeteredReceive[T]]


class WorkerPools(msgspec.Struct, frozen=True, kw_only=True):
    """The threads of one run, by what they do, so that none waits for another kind."""

    reading: Workers  # what computes as well as waits
    asking: Workers  # git
    copying: Workers


@asynccontextmanager
async def open_workers(settings: Settings) -> AsyncIterator[WorkerPools]:
    """Provide the threads of one run; none is left when this ends."""
    async with (
        Workers(settings.readers, "ao-import-read", shares_processor=True) as reading,
        Workers(GITS, "ao-import-ask") as asking,
        Workers(COPIERS, "ao-import-copy") as copying,
    ):
        yield WorkerPools(reading=reading, asking=asking, copying=copying)


async def load_plan(settings: Settings, workers: WorkerPools) -> Registry:
    """Read the registry and choose the projects that were asked for.

    :raises ConfigBroken: the configuration does not parse.
    :raises StoreUnreadable: the configuration or the state root cannot be read.
    :raises UnknownProject: one that was named is not there.
    """
    registry = await stages.discover.read_registry(settings.places, workers.reading)
    for project_id in (*settings.projects, *settings.exclude):
        if project_id not in registry.ids:
            nearest = resembling(project_id, sorted(registry.ids), most=3)
            raise UnknownProject(project_id, nearest)

    return registry.only(settings.projects, settings.exclude)


async def import_graph(
    settings: Settings,
    registry: Registry,
    workers: WorkerPools,
    database: Writer | Reader | None,
    add: Callable[[RelocatedProject], None],
    *,
    committed: Callable[[WrittenProject], None],
    meter: Meter,
    on_progress: OnProgress | None,
) -> None:
    """Run the stages of an import and add up what comes out at their end.

    `committed` gets each project when its rows are there, `add` when its transcript is.
    """
    written: Stream[WrittenProject] = meter.open_stream("written", WRITTEN_BUFFER)
    outcome: Stream[RelocatedProject] = meter.open_stream("outcome", OUTCOME_BUFFER)
    steps: Steps = {"legacy": "read", "written": "write", "outcome": "relocate"}
    async with _running(steps, registry, meter, on_progress) as tasks:
        buckets = Buckets(str(settings.buckets), workers.reading.check)
        planned = _start_planning(tasks, settings, registry, workers, buckets, meter)
        tasks.start_soon(
            partial(
                stages.write.run,
                planned,
                written[0],
                database=database,
                now=settings.now,
                committed=committed,
                workers=workers.reading,
            )
        )
        tasks.start_soon(
            partial(
                stages.relocate.run,
                written[1],
                outcome[0],
                buckets=buckets,
                is_dry_run=settings.is_dry_run,
                count=meter.count_bytes,
                copiers=workers.copying,
                readers=workers.reading,
            )
        )
        await _add_all(outcome[1], add)


async def compare_graph(
    settings: Settings,
    registry: Registry,
    workers: WorkerPools,
    database: Reader | None,
    add: Callable[[Checked], None],
    *,
    meter: Meter,
    on_progress: OnProgress | None,
) -> None:
    """Run the stages of a verification: the same plan, with a comparer at its end."""
    import stages.compare  # an import need not wait for it to load

    checked: Stream[Checked] = meter.open_stream("checked", OUTCOME_BUFFER)
    steps: Steps = {"legacy": "read", "checked": "compare"}
    async with _running(steps, registry, meter, on_progress) as tasks:
        buckets = Buckets(str(settings.buckets), workers.reading.check)
        planned = _start_planning(tasks, settings, registry, workers, buckets, meter)
        tasks.start_soon(
            partial(
                stages.compare.run,
                planned,
                checked[0],
                database=database,
                buckets=buckets,
                count=meter.count_bytes,
                workers=workers.copying,
            )
        )
        await _add_all(checked[1], add)


def _start_planning(
    tasks: TaskGroup,
    settings: Settings,
    registry: Registry,
    workers: WorkerPools,
    buckets: Buckets,
    meter: Meter,
) -> MeteredReceive[PlannedProject]:
    """Start the stages that only read, and return what they give."""
    entry: Stream[Entry] = meter.open_stream("entry", ENTRY_BUFFER)
    legacy: Stream[LegacyProject] = meter.open_stream("legacy", LEGACY_BUFFER)
    planned: Stream[PlannedProject] = meter.open_stream("planned", PLANNED_BUFFER)
    located: Stream[PlannedProject] = meter.open_stream("located", PLANNED_BUFFER)
    places = settings.places
    tasks.start_soon(
        partial(
            stages.discover.run,
            entry[0],
            registry=registry,
            places=places,
            includes_ended=settings.include_ended,
            environment=settings.environment,
            workers=workers.reading,
            asking=workers.asking,
        )
    )
    tasks.start_soon(
        partial(
            stages.decode.run,
            entry[1],
            legacy[0],
            workers=workers.reading,
        )
    )
    home = stages.map.NewHome(
        worktrees=str(settings.data_dir / "worktrees"), branches=settings.branches
    )
    tasks.start_soon(partial(stages.map.run, legacy[1], planned[0], home=home))
    tasks.start_soon(
        partial(
            stages.locate.run,
            planned[1],
            located[0],
            buckets=buckets,
            workers=workers.reading,
        )
    )

    return located[1]


@asynccontextmanager
async def _running(
    steps: Steps, registry: Registry, meter: Meter, on_progress: OnProgress | None
) -> AsyncIterator[TaskGroup]:
    """Provide the task group of the stages, with the progress reported beside them."""
    async with create_task_group() as outer:
        if on_progress is not None:
            total = len(registry.projects)
            outer.start_soon(report_progress, meter, steps, total, on_progress)
        async with create_task_group() as tasks:
            yield tasks
        outer.cancel_scope.cancel()


async def _add_all(receive: MeteredReceive[T], add: Callable[[T], None]) -> None:
    async with receive:
        async for item in receive:
            add(item)
