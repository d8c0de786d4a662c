"""Has everything arrived: the plan of an import against what is there, reading only."""

from __future__ import annotations

__all__ = ("verify", "verify_with")

import os
from functools import partial

from pipeline.daemon import find_daemon
from pipeline.destinations import require_sources
from pipeline.graph import OnProgress, compare_graph, load_plan, open_workers
from pipeline.guest import as_guest
from pipeline.options import ImportOptions, Settings, resolve
from pipeline.progress import Meter
from pipeline.report import Verification, VerificationTally
from stages.database.reading import open_for_reading


async def verify(
    options: ImportOptions, *, on_progress: OnProgress | None = None
) -> Verification:
    """Compare a legacy store with the database and the transcripts.

        result = await verify(ImportOptions())
        assert not result.faults

    Rows that are there and differ are `changed`, as the application goes on living.

    :raises ImportFailed: the store or the database cannot be read.
    """
    return await verify_with(
        resolve(options, os.environ), on_progress=on_progress, meter=Meter()
    )


async def verify_with(
    settings: Settings, *, on_progress: OnProgress | None, meter: Meter
) -> Verification:
    """Compare with everything resolved; the meter keeps what was counted."""
    return await as_guest(partial(_verify, settings, on_progress, meter))


async def _verify(
    settings: Settings, on_progress: OnProgress | None, meter: Meter
) -> Verification:
    tally = VerificationTally(settings)
    async with open_workers(settings) as workers:
        await workers.reading.submit(require_sources, settings)
        plan = await load_plan(settings, workers)
        daemon = await find_daemon(settings.run_file, workers.reading)
        async with open_for_reading(settings.data_dir, workers.reading) as database:
            await compare_graph(
                settings,
                plan,
                workers,
                database,
                tally.add,
                meter=meter,
                on_progress=on_progress,
            )

        return await workers.reading.submit(
            tally.verification,
            invalid=plan.invalid,
            notes=plan.notes,
            daemon=daemon,
        )
