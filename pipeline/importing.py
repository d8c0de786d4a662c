"""An import from beginning to end: registry, guards, lock, database, stages, report."""

from __future__ import annotations

__all__ = ("nothing_to_import", "run_import", "run_import_with")

import os
import shutil
from functools import partial
from pathlib import Path

from pipeline.daemon import refuse_daemon
from pipeline.graph import (
    OnProgress,
    Plan,
    WorkerPools,
    import_graph,
    load_plan,
    open_workers,
)
from pipeline.guest import as_guest
from pipeline.lock import only_import
from pipeline.options import ImportOptions, Settings, resolve
from pipeline.progress import Meter
from pipeline.report import Report, Tally
from stages.database.opening import open_for_reading, open_for_writing
from stages.floor.text import plain
from stages.messages import Note
from stages.notes import note


async def run_import(
    options: ImportOptions, *, on_progress: OnProgress | None = None
) -> Report:
    """Bring a legacy store into the database, and return what was done.

    `on_progress` is called from the event loop's thread, some ten times a second:

        report = await run_import(ImportOptions(data_dir=Path("/srv/ao")))
        print(report.projects_imported, *report.notes, sep="\\n")

    :raises ImportFailed: it could not be done; its text says what, where and what to do.
        What was committed before stays, and running again continues.
    """
    return await run_import_with(
        resolve(options, os.environ), on_progress=on_progress, meter=Meter()
    )


async def run_import_with(
    settings: Settings, *, on_progress: OnProgress | None, meter: Meter
) -> Report:
    """Import with everything resolved; the meter keeps what was counted."""
    return await as_guest(partial(_import, settings, on_progress, meter))


def nothing_to_import(settings: Settings) -> Note:
    """Return the note of a run that finds no projects."""
    root = plain(str(settings.places.root))

    return note(
        "nothing-to-import",
        None,
        f"No legacy AO projects found at {root}. Nothing to import.",
    )


async def _import(
    settings: Settings, on_progress: OnProgress | None, meter: Meter
) -> Report:
    tally = Tally(settings)
    async with open_workers(settings) as workers:
        plan = await load_plan(settings, workers)
        tally.add_notes(plan.notes)
        tally.add_invalid(plan.invalid)
        tally.expect(project.id for project in plan.projects)
        if not plan.registry.count:
            tally.add_notes([nothing_to_import(settings)])
            return tally.report()

        await refuse_daemon(settings.run_file, workers.reading)
        if settings.is_dry_run:
            async with open_for_reading(
                settings.data_dir, workers.reading
            ) as connection:
                await import_graph(
                    settings,
                    plan,
                    workers,
                    connection,
                    tally.add,
                    meter=meter,
                    on_progress=on_progress,
                )
            free_bytes = await workers.reading.submit(_free_bytes, settings.buckets)
            return await workers.reading.submit(tally.report, free_bytes=free_bytes)

        if plan.projects:
            await _write(settings, plan, workers, tally, meter, on_progress)
        # Of 10,000 projects it takes 60 ms, too long for the event loop.
        return await workers.reading.submit(tally.report)


async def _write(
    settings: Settings,
    plan: Plan,
    workers: WorkerPools,
    tally: Tally,
    meter: Meter,
    on_progress: OnProgress | None,
) -> None:
    async with only_import(settings.data_dir, workers.reading):
        # A daemon may have started while the registry was read.
        await refuse_daemon(settings.run_file, workers.reading)
        async with open_for_writing(settings.data_dir, workers.reading) as connection:
            await import_graph(
                settings,
                plan,
                workers,
                connection,
                tally.add,
                meter=meter,
                on_progress=on_progress,
            )


def _free_bytes(directory: Path) -> int | None:
    """Return the room where a directory is, or would be."""
    for place in (directory, *directory.parents):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError:
            return None

    return None
