"""Is there anything to import: a look that reads no session and leaves no trace."""

from __future__ import annotations

__all__ = ("Probe", "probe", "probe_with")

import os
from functools import partial

import aiosqlite
import msgspec

from pipeline.daemon import find_daemon
from pipeline.graph import WorkerPools, load_plan, open_workers
from pipeline.guest import as_guest
from pipeline.options import ImportOptions, Settings, resolve
from stages.database.reading import open_for_reading
from stages.errors import ImportFailed


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to import, and what stands in the way."""

    available: bool  # there is at least one project
    root: str
    projects: int  # the invalid ones too
    imported: int  # of the valid ones, those whose id the database has
    pending: int  # the other valid ones
    daemon: int | None  # the process id of a live daemon
    error: str | None  # why the store, the run-file or the database cannot be read
    is_populated: bool = False  # the database has an unarchived project
    is_broken: bool = False  # the error is the legacy store's own


async def probe(options: ImportOptions) -> Probe:
    """Look at a legacy store and at the database, also beside a live daemon.

        found = await probe(ImportOptions())
        if found.available and not found.daemon: ...

    A broken store is no exception: `available` is false and `error` says why.
    """
    return await probe_with(resolve(options, os.environ))


async def probe_with(settings: Settings) -> Probe:
    """Look with everything resolved."""
    return await as_guest(partial(_probe, settings))


async def _probe(settings: Settings) -> Probe:
    errors: list[str] = []
    daemon: int | None = None
    is_populated = is_broken = False
    present: frozenset[str] = frozenset()
    ids: list[str] = []
    count = 0
    async with open_workers(settings) as workers:
        try:
            daemon = await find_daemon(settings.run_file, workers.reading)
        except ImportFailed as error:
            errors.append(str(error))
        try:
            ids, count = await _read_ids(settings, workers)
        except ImportFailed as error:
            is_broken = True
            errors.insert(0, str(error))
        try:
            async with open_for_reading(settings.data_dir, workers.reading) as database:
                if database is not None:
                    find = partial(_read_database, ids)
                    present, is_populated = await database.read(find)
        except ImportFailed as error:
            errors.append(str(error))

    imported = sum(project_id in present for project_id in ids)
    return Probe(
        available=count > 0,
        root=str(settings.places.root),
        projects=count,
        imported=imported,
        pending=len(ids) - imported,
        daemon=daemon,
        error=errors[0] if errors else None,
        is_populated=is_populated,
        is_broken=is_broken,
    )


async def _read_ids(settings: Settings, workers: WorkerPools) -> tuple[list[str], int]:
    plan = await load_plan(settings, workers)

    return [project.id for project in plan.projects], plan.count


async def _read_database(
    ids: list[str], connection: aiosqlite.Connection
) -> tuple[frozenset[str], bool]:
    """Return which of the ids it has, and whether it has an unarchived project."""
    [(present, is_populated)] = await connection.execute_fetchall(
        "SELECT json_group_array(id), EXISTS"
        " (SELECT 1 FROM projects WHERE archived_at IS NULL)"
        " FROM projects WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(ids).decode(),),
    )

    return msgspec.json.decode(present, type=frozenset[str]), bool(is_populated)
