"""The registry: which projects there are, read whole and checked before anything else."""

from __future__ import annotations

__all__ = ("RegisteredProject", "Registry", "load_registry")

import os
import re
from collections.abc import Callable
from datetime import datetime

import msgspec

from stages.discover.behaviour import Defaults
from stages.discover.configuration import Places, Sources, parse_configuration
from stages.discover.fields import Fields
from stages.discover.overlays import Overlays, read_overlays
from stages.discover.pointers import Pointed, follow_pointers
from stages.discover.session_places import (
    V1Directories,
    clean_path,
    legacy_prefix_of,
    list_v1_directories,
)
from stages.discover.yaml_text import Node
from stages.floor.json_text import mend
from stages.floor.text import listing, plain, quote
from stages.messages import Note
from stages.notes import note

_VALID_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_REFUSED_IN_PREFIX = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")


# Without `gc` 10,000 of them make a garbage collection, which holds all threads, a third
# shorter (48 to 32 ms); nothing in them can lead back to them.
class RegisteredProject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A valid entry of the registry: its identity, its fields still as they were read."""

    id: str
    path: str
    session_prefix: str | None
    prefix: str
    legacy_prefix: str
    mapping: dict[str, Node]
    source: str  # the file that it stands in
    defaults: Defaults
    v1_directories: tuple[str, ...]
    notes: tuple[Note, ...]


class Registry:
    """All projects, in the order of their ids, and what concerns the store as a whole."""

    def __init__(self, config_modified_at: datetime | None, overlays: Overlays) -> None:
        self.config_modified_at = config_modified_at
        self.overlays = overlays
        self.projects: list[RegisteredProject] = []
        self.invalid: list[Note] = []
        self.notes: list[Note] = []  # of the store, or of an invalid id found twice
        self.ids: frozenset[str] = frozenset()
        self.pointed_files: frozenset[str] = frozenset()  # resolved (rule C7)
        # A prefix leads to the only project that has it, or to the empty text.
        self.owner_of_prefix: dict[str, str] = {}

    @property
    def count(self) -> int:
        """How many entries there are, the invalid ones too."""
        return len(self.projects) + len(self.invalid)


def load_registry(
    sources: Sources, places: Places, check: Callable[[], None] = lambda: None
) -> Registry:
    """Return the registry (rules C1 to C7, P1). Blocks; `check` may end it.

    :raises ConfigBroken: the configuration is no YAML, or of another shape.
    :raises StoreUnreadable: the state root cannot be listed.
    """
    base = str(places.config.parent)
    overlays = read_overlays(
        sources.preferences,
        sources.registered,
        lambda path: clean_path(path, base, places.home),
    )
    registry = Registry(sources.config_modified_at, overlays)

    configuration = parse_configuration(sources.config, places.config, check)
    entries, defaults = configuration.entries, configuration.defaults
    registry.notes += configuration.notes
    directories = list_v1_directories(places.root)
    if entries:
        source = str(places.config)
        for project_id, node in sorted(entries.items()):
            check()
            _add(registry, project_id, node, places, directories, source, defaults)
        _note_unclaimed(registry, directories)
    else:
        pointed, notes = follow_pointers(directories)
        registry.notes += notes
        for project_id, found in sorted(pointed.items()):
            _add(
                registry,
                project_id,
                found.node,
                places,
                directories,
                found.file,
                found.defaults,
                found,
            )
        entries = {project_id: found.node for project_id, found in pointed.items()}
        files = {found.file for found in pointed.values()}
        registry.pointed_files = frozenset(map(os.path.realpath, files))

    registry.ids = frozenset(entries)
    for project in registry.projects:
        for prefix in {project.prefix, project.legacy_prefix}:
            owner = registry.owner_of_prefix.setdefault(prefix, project.id)
            if owner != project.id:
                registry.owner_of_prefix[prefix] = ""

    return registry


def _add(
    registry: Registry,
    project_id: str,
    node: Node,
    places: Places,
    directories: V1Directories,
    source: str,
    defaults: Defaults,
    pointed: Pointed | None = None,
) -> None:
    """Add an entry as a project, or as a note if it cannot be one (rule P1)."""
    mapping = node if isinstance(node, dict) else {}
    base = os.path.dirname(source)
    raw_path = mapping.get("path")
    path = (
        clean_path(raw_path, base, places.home) if isinstance(raw_path, str) else None
    )
    if not isinstance(node, dict):
        problem = "its entry is no mapping"
    elif not _VALID_ID.fullmatch(project_id) or ".." in project_id:
        problem = "the new application refuses this id"
    elif path is None:
        problem = "its entry has no path"
    elif "\0" in path:
        problem = "its path holds a NUL character"
    elif mend(path) != path:  # of a home directory, say
        problem = "its path is no UTF-8"
    else:
        problem = ""
    if problem or path is None:
        registry.invalid.append(
            note("invalid-project", project_id, f"not imported: {problem}", source)
        )
        registry.notes += pointed.notes if pointed else ()
        return

    notes = []
    if pointed:
        text = f"registered by {quote(source)}"
        notes += [note("pointed", project_id, text, source), *pointed.notes]
    session_prefix, refused = _read_prefix(mapping)
    if refused is not None:
        text = f"sessionPrefix {quote(refused)} is refused by the new application"
        notes.append(note("refused-value", project_id, text, source))
    storage_key = Fields(mapping).trimmed("storageKey") or ""
    v1_names = directories.of_project(project_id, path, storage_key)
    if pointed:
        v1_names += pointed.bare_directories
    registry.projects.append(
        RegisteredProject(
            id=project_id,
            path=path,
            session_prefix=session_prefix,
            prefix=session_prefix or project_id[:12],
            legacy_prefix=legacy_prefix_of(path),
            mapping=mapping,
            source=source,
            defaults=defaults,
            v1_directories=tuple(sorted(set(v1_names))),
            notes=tuple(notes),
        )
    )


def _read_prefix(mapping: dict[str, Node]) -> tuple[str | None, str | None]:
    """Return the session prefix that is set, or the one that is refused (rule B7)."""
    prefix = Fields(mapping).trimmed("sessionPrefix")
    if prefix and (prefix in (".", "..") or _REFUSED_IN_PREFIX.search(prefix)):
        return None, prefix

    return prefix, None


def _note_unclaimed(registry: Registry, directories: V1Directories) -> None:
    claimed = {name for each in registry.projects for name in each.v1_directories}
    if unclaimed := directories.unclaimed(claimed):
        registry.notes.append(
            note(
                "unclaimed-directories",
                None,
                "directories of the old layout that belong to no registered "
                f"project were not read: {listing(unclaimed)}",
                plain(directories.root),
            )
        )
