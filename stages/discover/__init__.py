"""Discover: the registry becomes entries, in the order of their ids (rules C1 to P3)."""

from __future__ import annotations

__all__ = (
    "Places",
    "Registry",
    "load_registry",
    "read_registry",
    "read_sources",
    "run",
)

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from anyio.abc import ObjectSendStream
from msgspec.structs import replace

from stages.discover.behaviour import BEHAVIOUR_FIELDS, read_behaviour, unknown_fields
from stages.discover.configuration import Places, read_sources
from stages.discover.identity import RegisteredProject
from stages.discover.origins import Repositories, find_git
from stages.discover.own_file import read_own_file
from stages.discover.registry import (
    Registry,
    load_registry,
    read_registry,
)
from stages.discover.yaml_text import Node
from stages.floor.hops import run_in_hops
from stages.floor.text import plain, quote
from stages.floor.workers import Workers
from stages.messages import Behaviour, Entry, Note
from stages.notes import note


async def run(
    send: ObjectSendStream[Entry],
    *,
    registry: Registry,
    places: Places,
    includes_ended: bool,
    environment: Mapping[str, str],
    workers: Workers,
    asking: Workers,
) -> None:
    """Send one entry for each of the registry's projects, in their order.

    `includes_ended`: an ended orchestrator comes where there is no live one (rule S8).
    `environment` is what git is looked for and run in, by the workers for `asking`.
    """
    remaining = iter(registry.projects)
    rivals = Counter(project.real_path for project in registry.projects)

    async def take(most: int) -> list[RegisteredProject]:
        return list(islice(remaining, most))

    async with send:
        repositories = await workers.submit(Repositories, places.home)
        git = await workers.submit(find_git, environment, places.home)

        def read(some: Sequence[RegisteredProject]) -> list[tuple[Entry, bool]]:
            found = []
            for project in some:
                workers.check()
                chosen = _choose_behaviour(
                    project, registry.pointed_files, workers.check
                )
                entry = _read_entry(
                    project,
                    chosen,
                    registry,
                    places,
                    rivals,
                    includes_ended=includes_ended,
                )
                found.append((entry, repositories.has(project.path)))
            return found

        async def give(some: list[tuple[Entry, bool]]) -> None:
            asked = {
                entry.id: asking.submit(git.origin, entry.path, asking.check)
                for entry, is_repository in some
                if is_repository and git is not None
            }
            origins = dict(
                zip(asked, await asyncio.gather(*asked.values()), strict=True)
            )
            for entry, _ in some:
                await send.send(_with_origin(entry, origins.get(entry.id, "")))

        await run_in_hops(take, read, give, workers)


def _with_origin(entry: Entry, origin: str | None) -> Entry:
    """Return the entry with what git said of its origin; None: it said nothing in time."""
    if origin is None:
        text = f"git did not say the origin of {quote(entry.path)}; its entry's counts"
        silent = note("origin", entry.id, text, entry.path)
        return replace(entry, notes=(*entry.notes, silent))

    return replace(entry, origin_url=origin) if origin else entry


def _read_entry(
    project: RegisteredProject,
    chosen: tuple[Behaviour, list[Note]],
    registry: Registry,
    places: Places,
    rivals: Mapping[str, int],
    *,
    includes_ended: bool,
) -> Entry:
    behaviour, behaviour_notes = chosen
    overlays = registry.overlays
    projects = os.path.join(str(places.root), "projects")
    unknown = unknown_fields(
        project.mapping,
        project_id=project.id,
        source=project.source,
        where="its entry",
    )

    return Entry(
        id=project.id,
        path=project.path,
        real_path=project.real_path,
        rivals=rivals[project.real_path],
        origin_url=project.origin_url,
        display_name=overlays.names.get(project.id) or project.display_name,
        registered_at=overlays.times_by_id.get(project.id)
        or overlays.times_by_path.get(project.path)
        or project.registered_at
        or registry.config_modified_at,
        default_branch=project.default_branch,
        session_prefix=project.session_prefix,
        prefix=project.prefix,
        legacy_prefixes=project.legacy_prefixes,
        behaviour=behaviour,
        sessions_directories=tuple(
            os.path.join(projects, name, "sessions")
            for name in (project.id, *project.current_directories)
        ),
        v1_directories=tuple(
            os.path.join(str(places.root), name) for name in project.v1_directories
        ),
        is_migrating=registry.is_migrating and bool(project.v1_directories),
        standalone_file=os.path.join(projects, project.id, "orchestrator.json"),
        stopped_stems=project.stopped_stems,
        includes_ended=includes_ended,
        foreign_stems=frozenset(
            stem
            for prefix in project.legacy_prefixes
            if registry.owner_of_prefix.get(
                stem := f"{prefix}-orchestrator", project.id
            )
            != project.id
        ),
        registered_ids=registry.ids,
        notes=(*project.notes, *unknown, *behaviour_notes),
    )


def _choose_behaviour(
    project: RegisteredProject,
    pointed_files: frozenset[str],
    check: Callable[[], None],
) -> tuple[Behaviour, list[Note]]:
    """Return the behaviour from the own file, or else inline, with its notes (B1)."""
    own = read_own_file(project.path, project.id, pointed_files, check)
    inline = {
        name: node for name, node in project.mapping.items() if name in BEHAVIOUR_FIELDS
    }
    if own is None or own.problem:
        # Without any behaviour there is no agent of the project's either, and the two
        # orders of rule B5 are one.
        behaviour, notes = read_behaviour(
            inline,
            project.defaults,
            is_inline=not project.is_registry_entry,
            project_id=project.id,
            source=project.source,
        )
        if own is not None:
            notes.append(
                note(
                    "own-file",
                    project.id,
                    f"{quote(own.path)} does not load ({plain(own.problem)}); "
                    "the settings of its entry count",
                    own.path,
                )
            )
        return behaviour, notes

    behaviour, notes = read_behaviour(
        own.fields,
        own.defaults or project.defaults,
        is_inline=False,
        project_id=project.id,
        source=own.path,
    )
    notes += unknown_fields(
        own.fields,
        project_id=project.id,
        source=own.path,
        where=quote(own.path),
    )
    notes += _overridden(inline, own.fields, project, own.path)
    return behaviour, notes


def _overridden(
    inline: dict[str, Node],
    own: dict[str, Node],
    project: RegisteredProject,
    own_path: str,
) -> list[Note]:
    names = [
        name
        for name, node in inline.items()
        if node is not None and node != own.get(name)
    ]
    if not names:
        return []

    return [
        note(
            "inline-overridden",
            project.id,
            f"{', '.join(names)} of its entry gave way to {quote(own_path)}",
            project.source,
        )
    ]
