"""An import from beginning to end: registry, guards, lock, database, stages, report."""

from __future__ import annotations

__all__ = ("OnPartial", "nothing_to_import", "run_import", "run_import_with")

import os
from collections.abc import Callable
from functools import partial

from anyio import CancelScope

from pipeline.daemon import find_legacy_application, refuse_daemon
from pipeline.destinations import refuse_destinations, require_sources
from pipeline.graph import (
    OnProgress,
    WorkerPools,
    import_graph,
    load_plan,
    open_workers,
)
from pipeline.guest import as_guest, cause_of
from pipeline.kept_notes import NOTES_NAME, keep_notes
from pipeline.lock import only_import
from pipeline.options import ImportOptions, Settings, resolve
from pipeline.progress import Meter
from pipeline.rehearsal import rehearse
from pipeline.report import Report, Tally
from stages.database.connecting import note_odd_place
from stages.database.reading import open_for_reading
from stages.database.writing import open_for_writing
from stages.discover.registry import Registry, note_changed_config
from stages.floor.files import reason
from stages.floor.text import plain, quote
from stages.floor.workers import Workers
from stages.messages import Note
from stages.notes import note

OnPartial = Callable[[Report], None]


async def run_import(
    options: ImportOptions,
    *,
    on_progress: OnProgress | None = None,
    on_partial: OnPartial | None = None,
) -> Report:
    """Bring a legacy store into the database, and return what was done.

    `on_progress` is called from the event loop's thread, some ten times a second:

        report = await run_import(ImportOptions(data_dir=Path("/srv/ao")))
        print(report.projects_imported, *report.notes, sep="\\n")

    `on_partial` gets the report of what was done by a run that fails or is cancelled,
    before that is raised: a cancelled call can return nothing.

    :raises ImportFailed: it could not be done; its text says what, where and what to do.
        What was committed before stays, and running again continues.
    """
    return await run_import_with(
        resolve(options, os.environ),
        on_progress=on_progress,
        on_partial=on_partial,
        meter=Meter(),
    )


async def run_import_with(
    settings: Settings,
    *,
    on_progress: OnProgress | None,
    on_partial: OnPartial | None = None,
    meter: Meter,
) -> Report:
    """Import with everything resolved; the meter keeps what was counted."""
    return await as_guest(partial(_import, settings, on_progress, on_partial, meter))


def nothing_to_import(settings: Settings) -> Note:
    """Return the note of a run that finds no projects."""
    root = plain(str(settings.places.root))

    return note(
        "nothing-to-import",
        None,
        f"No legacy AO projects found at {root}. Nothing to import.",
    )


async def _import(
    settings: Settings,
    on_progress: OnProgress | None,
    on_partial: OnPartial | None,
    meter: Meter,
) -> Report:
    tally = Tally(settings)
    try:
        return await _run(settings, tally, on_progress, meter)
    except BaseException as error:
        if on_partial is not None:
            with CancelScope(shield=True):
                on_partial(await _partial_report(tally, error))
        raise


async def _run(
    settings: Settings, tally: Tally, on_progress: OnProgress | None, meter: Meter
) -> Report:
    async with open_workers(settings) as workers:
        await workers.reading.submit(require_sources, settings)
        await workers.reading.submit(refuse_destinations, settings)
        plan = await load_plan(settings, workers)
        tally.add_notes(plan.notes)
        tally.add_invalid(plan.invalid)
        tally.expect(project.id for project in plan.projects)
        if plan.is_lost:
            return tally.report()
        if not plan.count:
            tally.add_notes([nothing_to_import(settings)])
            return tally.report()

        await refuse_daemon(settings.run_file, workers.reading)
        tally.add_notes(note_odd_place(settings.data_dir))
        root = settings.places.root
        tally.add_notes(await find_legacy_application(root, workers.reading))
        if not settings.is_dry_run:
            return await _write(settings, plan, workers, tally, meter, on_progress)

        async with open_for_reading(settings.data_dir, workers.reading) as database:
            await import_graph(
                settings,
                plan,
                workers,
                database,
                tally.add,
                committed=tally.add_written,
                meter=meter,
                on_progress=on_progress,
            )
        tally.add_notes(await _note_changes(settings, plan, workers))
        found = await workers.reading.submit(rehearse, settings, tally.transcript_bytes)
        tally.add_notes(found.notes)
        if found.copy_problem:
            tally.fail_copies(found.copy_problem)
        return await workers.reading.submit(tally.report, free_bytes=found.free_bytes)


async def _write(
    settings: Settings,
    plan: Registry,
    workers: WorkerPools,
    tally: Tally,
    meter: Meter,
    on_progress: OnProgress | None,
) -> Report:
    async with only_import(settings.data_dir, workers.reading):
        # A daemon may have started while the registry was read, and may yet.
        check = partial(refuse_daemon, settings.run_file, workers.reading)
        await check()
        try:
            async with open_for_writing(
                settings.data_dir, workers.reading, check
            ) as database:
                await import_graph(
                    settings,
                    plan,
                    workers,
                    database,
                    tally.add,
                    committed=tally.add_written,
                    meter=meter,
                    on_progress=on_progress,
                )
            tally.add_notes(await _note_changes(settings, plan, workers))
        except BaseException as error:
            with CancelScope(shield=True):
                report = await _partial_report(tally, error)
                await _keep(settings, tally, report)
            raise

        # Of 10,000 projects it takes 60 ms, too long for the event loop.
        report = await workers.reading.submit(tally.report)
        with CancelScope(shield=True):
            report = await _keep(settings, tally, report)

    return report


async def _note_changes(
    settings: Settings, plan: Registry, workers: WorkerPools
) -> list[Note]:
    return await workers.reading.submit(note_changed_config, plan, settings.places)


async def _keep(settings: Settings, tally: Tally, report: Report) -> Report:
    """Keep the notes in the data dir, and return the report, which says if that failed."""
    # A thread of its own: those of the run may be waiting for a disk that hangs.
    async with Workers(1, "ao-import-notes") as workers:
        try:
            await workers.submit(
                keep_notes,
                settings.data_dir,
                report,
                is_part=bool(settings.projects or settings.exclude),
            )
        except OSError as error:
            file = quote(str(settings.data_dir / NOTES_NAME))
            text = f"the notes could not be kept in {file}: {reason(error)}"
            tally.add_notes([note("notes-not-kept", None, text)])
            return await workers.submit(tally.report)

    return report


async def _partial_report(tally: Tally, error: BaseException) -> Report:
    """Return the report of a run that this error has ended."""
    async with Workers(1, "ao-import-report") as workers:
        return await workers.submit(tally.report, error=cause_of(error))
