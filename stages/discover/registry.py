"""The registry: which projects there are, read whole and checked before anything else."""

from __future__ import annotations

__all__ = ("Registry", "load_registry", "note_changed_config", "read_registry")

import os
from collections.abc import Callable, Collection, Iterable
from datetime import datetime

import msgspec
from msgspec.structs import replace

from stages.discover.candidates import Candidate, PointedFiles, find_candidates
from stages.discover.configuration import (
    FileState,
    Places,
    Sources,
    find_config_state,
    parse_configuration,
    read_sources,
)
from stages.discover.identity import (
    RegisteredProject,
    fit_for_ids,
    read_identity,
    with_whole_prefix,
)
from stages.discover.last_stop import read_last_stop
from stages.discover.overlays import Overlays, read_overlays
from stages.discover.owners import find_owners
from stages.discover.session_places import (
    StoreDirectories,
    clean_path,
    holds_records,
    list_directories,
)
from stages.errors import StoreUnreadable
from stages.floor.buckets import Resolver
from stages.floor.text import listing, plain, quote
from stages.floor.workers import Workers
from stages.messages import Note
from stages.notes import note

ATTEMPTS = 3

Check = Callable[[], None]


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """All projects, in the order of their ids, and what concerns the store as a whole."""

    projects: tuple[RegisteredProject, ...]
    invalid: tuple[Note, ...]  # one on each entry that can be no project (rule P1)
    notes: tuple[Note, ...]  # of the store, or of an invalid id found twice
    ids: frozenset[str]  # the invalid ones too
    overlays: Overlays
    config_modified_at: datetime | None
    config_state: FileState | None  # that it was read in
    is_migrating: bool  # a migration of the legacy application was broken off
    pointed_files: frozenset[str]  # that registered projects, resolved (rule C7)
    # A prefix leads to the only project that has it, or to the empty text.
    owner_of_prefix: dict[str, str]

    @property
    def count(self) -> int:
        """How many entries there are, the invalid ones too."""
        return len(self.projects) + len(self.invalid)

    @property
    def is_lost(self) -> bool:
        """Whether there are records, and nothing says whose they are (rule C9)."""
        return any(each.kind == "no-registry" for each in self.notes)

    def only(self, ids: Collection[str], without: Collection[str] = ()) -> Registry:
        """Return the registry as if it had these projects alone; no ids mean all.

        What the others are called still counts.
        """
        if not ids and not without:
            return self

        def is_meant(project_id: str | None) -> bool:
            return (not ids or project_id in ids) and project_id not in without

        return replace(
            self,
            projects=tuple(each for each in self.projects if is_meant(each.id)),
            invalid=tuple(each for each in self.invalid if is_meant(each.project_id)),
            notes=tuple(each for each in self.notes if is_meant(each.project_id)),
        )


async def read_registry(places: Places, workers: Workers) -> Registry:
    """Read the registry; a configuration that is changed meanwhile is read again.

    :raises ConfigBroken: the configuration is no YAML, or of another shape.
    :raises StoreUnreadable: a part of it cannot be read, or is changed all the time.
    """
    for _ in range(ATTEMPTS):
        sources = await read_sources(places, workers)
        registry = await workers.submit(load_registry, sources, places, workers.check)
        if registry.config_state == await workers.submit(find_config_state, places):
            return registry

    problem = "it was changed each time while it was read"
    raise StoreUnreadable(places.config, problem)


def note_changed_config(registry: Registry, places: Places) -> list[Note]:
    """Return a note if the configuration is no longer what was read. Blocks."""
    if registry.config_state == find_config_state(places):
        return []

    text = f"{quote(str(places.config))} was changed since it was read for this import"
    return [note("config-changed", None, text, str(places.config))]


def load_registry(
    sources: Sources, places: Places, check: Check = lambda: None
) -> Registry:
    """Return the registry (rules C1 to C9, P1). Blocks; `check` may end it.

    :raises ConfigBroken: the configuration is no YAML, or of another shape.
    :raises StoreUnreadable: the state root cannot be listed.
    """
    base = str(places.config.parent)
    overlays = read_overlays(
        sources.preferences,
        sources.registered,
        lambda path: clean_path(path, base, places.home),
    )
    configuration = parse_configuration(sources.config, places.config, check)
    directories = list_directories(places.root)
    files = PointedFiles(places.home, check)
    notes = list(configuration.notes)
    candidates = {
        project_id: Candidate(
            project_id, node, str(places.config), configuration.defaults
        )
        for project_id, node in configuration.entries.items()
    }
    if not candidates:
        candidates, found = find_candidates(directories, files, check)
        notes += found

    projects, invalid = _read_all(candidates, places.home, notes, check)
    stopped = read_last_stop(places.root, notes)
    owners = find_owners(directories, projects, files, frozenset(candidates), check)
    if candidates:
        notes += _unclaimed(directories, owners.v1, owners.current)
    else:
        notes += _lost(directories)
    pointed = (each.source for each in candidates.values() if each.is_pointed)

    return Registry(
        projects=tuple(
            replace(
                each,
                v1_directories=owners.v1_of(each.id),
                current_directories=owners.current_of(each.id),
                stopped_stems=stopped.of((each.id, *owners.current_of(each.id))),
            )
            for each in projects
        ),
        invalid=tuple(invalid),
        notes=tuple(notes),
        ids=frozenset(candidates),
        overlays=overlays,
        config_modified_at=sources.config_modified_at,
        config_state=sources.config_state,
        is_migrating=directories.is_migrating,
        pointed_files=frozenset(map(os.path.realpath, set(pointed))),
        owner_of_prefix=_owners_of_prefixes(projects),
    )


def _read_all(
    candidates: dict[str, Candidate], home: str, notes: list[Note], check: Check
) -> tuple[list[RegisteredProject], list[Note]]:
    """Return the projects and the notes on entries that are none, by id (P1, S1)."""
    resolve = Resolver().resolve
    projects: list[RegisteredProject] = []
    invalid: list[Note] = []
    taken: dict[str, str] = {}  # prefixes that nobody set, by what they are taken by
    for project_id in sorted(candidates):
        check()
        read = read_identity(candidates[project_id], home, resolve)
        if isinstance(read, Note):
            invalid.append(read)
            notes += candidates[project_id].notes
            continue
        if read.session_prefix is None or read.session_prefix == fit_for_ids(
            project_id[: len(read.prefix)]
        ):
            first = taken.setdefault(read.prefix, project_id)
            if first != project_id:
                read = with_whole_prefix(read, first)
        projects.append(read)

    return projects, invalid


def _owners_of_prefixes(projects: Iterable[RegisteredProject]) -> dict[str, str]:
    owners: dict[str, str] = {}
    for project in projects:
        for prefix in project.legacy_prefixes:
            owner = owners.setdefault(prefix, project.id)
            if owner != project.id:
                owners[prefix] = ""

    return owners


def _unclaimed(
    directories: StoreDirectories,
    claimed_v1: Collection[str],
    claimed_current: Collection[str],
) -> list[Note]:
    """Return a note for each layout on sessions that belong to no project (rule C7)."""
    found = []
    if old := directories.unclaimed_v1(set(claimed_v1)):
        text = (
            "directories of the old layout that belong to no registered project were not "
            f"read: {listing(old)}"
        )
        source = plain(directories.root)
        found.append(note("unclaimed-directories", None, text, source))
    current = [
        name
        for name in directories.current
        if name not in claimed_current and holds_records(directories.current_path(name))
    ]
    if current:
        text = (
            "directories below projects/ that belong to no registered project were not "
            f"read: {listing(current)}"
        )
        source = plain(directories.current_path(""))
        found.append(note("unclaimed-directories", None, text, source))

    return found


def _lost(directories: StoreDirectories) -> list[Note]:
    """Return the note on records of a store without any registry (rule C9)."""
    places = [directories.current_path(name) for name in directories.current]
    places += [directories.v1_path(name) for name in directories.v1]
    lost = [place for place in places if holds_records(place)]
    if not lost:
        return []

    text = (
        f"session records were found in {listing(lost)}, and nothing says which projects "
        f"they belong to: neither a configuration nor a pointer. Name the configuration "
        "with --config"
    )
    return [note("no-registry", None, text, plain(directories.root))]
