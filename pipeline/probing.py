"""Is there anything to import: a look that reads no session and leaves no trace."""

from __future__ import annotations

__all__ = ("Probe", "ProjectState", "State", "probe", "probe_with")

import os
from collections import Counter
from functools import partial
from typing import Literal

import aiosqlite
import msgspec

from pipeline.daemon import find_daemon
from pipeline.graph import load_plan, open_workers
from pipeline.guest import as_guest
from pipeline.options import ImportOptions, Settings, resolve
from stages.database.connecting import DATABASE_NAME
from stages.database.lookup import find_owners
from stages.database.reading import open_for_reading
from stages.discover.registry import Registry
from stages.errors import ImportFailed
from stages.floor.workers import Workers

State = Literal["imported", "pending", "conflicting", "invalid"]


class ProjectState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What has become of one project so far."""

    id: str
    state: State


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to import, and what stands in the way.

    Every project is in exactly one of `imported`, `pending` and `left_out`.
    """

    available: bool  # there is at least one project
    root: str
    projects: int  # the invalid ones too
    imported: int  # of the valid ones, those whose id the database has
    pending: int
    left_out: int  # invalid, or its path is another project's
    database: str  # the file that was looked at
    daemon: int | None  # the process id of a live daemon
    error: str | None  # why the store, the run-file or the database cannot be read
    states: tuple[ProjectState, ...] = ()  # in the order of the ids
    is_populated: bool = False  # the database has a project that somebody made
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
    is_broken = False
    found = _Found()
    plan: Registry | None = None
    async with open_workers(settings) as workers:
        try:
            daemon = await find_daemon(settings.run_file, workers.reading)
        except ImportFailed as error:
            errors.append(str(error))
        try:
            plan = await load_plan(settings, workers)
        except ImportFailed as error:
            is_broken = True
            errors.insert(0, str(error))
        try:
            async with open_for_reading(settings.data_dir, workers.reading) as database:
                if database is not None:
                    ids = [project.id for project in plan.projects] if plan else []
                    found = await database.read(
                        partial(_read_database, ids, workers.reading)
                    )
        except ImportFailed as error:
            errors.append(str(error))
        states = await workers.reading.submit(_states_of, plan, found) if plan else ()

    counts = Counter(project.state for project in states)
    return Probe(
        available=bool(states),
        root=str(settings.places.root),
        projects=len(states),
        imported=counts["imported"],
        pending=counts["pending"],
        left_out=counts["conflicting"] + counts["invalid"],
        database=str(settings.data_dir / DATABASE_NAME),
        daemon=daemon,
        error=errors[0] if errors else None,
        states=states,
        is_populated=found.is_populated,
        is_broken=is_broken,
    )


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the database has."""

    present: frozenset[str] = frozenset()  # ids of the legacy store's projects
    owners: dict[str, str] = {}  # the unarchived project of each resolved path
    is_populated: bool = False


async def _read_database(
    ids: list[str], workers: Workers, connection: aiosqlite.Connection
) -> _Found:
    present = await connection.execute_fetchall(
        "SELECT id FROM projects WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(ids).decode(),),
    )
    # Newer daemons make a project of kind `scratch` themselves, at their first boot.
    [(is_populated,)] = await connection.execute_fetchall(
        "SELECT EXISTS (SELECT 1 FROM projects"
        " WHERE archived_at IS NULL AND kind <> 'scratch')"
    )

    return _Found(
        present=frozenset(row[0] for row in present),
        owners=await find_owners(workers, connection),
        is_populated=bool(is_populated),
    )


def _states_of(plan: Registry, found: _Found) -> tuple[ProjectState, ...]:
    """Return the state of each project, in the order of their ids.

    Of several new projects with one path the first counts here; which of them an import
    takes follows from their sessions, which are not read (rule P5).
    """
    owners = dict(found.owners)
    states = [
        ProjectState(id=invalid.project_id or "", state="invalid")
        for invalid in plan.invalid
    ]
    for project in plan.projects:
        state: State = "imported"
        if project.id not in found.present:
            owner = owners.setdefault(project.real_path, project.id)
            is_free = owner == project.id
            state = "pending" if is_free else "conflicting"
        states.append(ProjectState(id=project.id, state=state))

    return tuple(sorted(states, key=lambda each: each.id))
