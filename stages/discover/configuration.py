"""The configuration: read whole, and of the shape that a registry has, or an error (C6)."""

from __future__ import annotations

__all__ = (
    "CONFIG_LIMIT",
    "Configuration",
    "FileState",
    "Places",
    "Sources",
    "find_config_state",
    "parse_configuration",
    "read_sources",
)

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import aiofiles
import msgspec
from anyio import CancelScope

from stages.discover.behaviour import (
    BEHAVIOUR_FIELDS,
    ROLES,
    WRITTEN_EVERYWHERE,
    Defaults,
    read_defaults,
)
from stages.discover.fields import list_unknown
from stages.discover.overlays import OVERLAY_LIMIT
from stages.discover.yaml_text import Node, YamlError, parse_yaml
from stages.errors import ConfigBroken, StoreUnreadable
from stages.floor.files import NotRegular, opener, reason
from stages.floor.text import brief, listing, quote, resembling
from stages.floor.times import from_file_time
from stages.floor.workers import Workers
from stages.messages import Note
from stages.notes import note

CONFIG_LIMIT = 32 * 1024 * 1024  # bytes
KEYS_COMPARED = 1000  # with "projects", where there is none; each costs some 10 µs

# What may stand beside the projects, for all of them: some has no home in the new
# application, some is about the running of the legacy one.
HOMELESS_SETTINGS = BEHAVIOUR_FIELDS | {
    "dataDir",
    "notificationRouting",
    "notifiers",
    "plugins",
    "worktreeDir",
}
INHERITED = frozenset(
    {"agent", "orchestrator.agent", "runtime", "worker.agent", "workspace"}
)
KNOWN_SETTINGS = HOMELESS_SETTINGS | {
    "$schema",
    "configPath",
    "dashboard",
    "defaults",
    "directTerminalPort",
    "installMethod",
    "lifecycle",
    "observability",
    "openBrowser",
    "port",
    "power",
    "projectOrder",
    "projects",
    "readyThresholdMs",
    "scmFailureThreshold",
    "startupGracePeriodMs",
    "terminalPort",
    "updateChannel",
    "version",
}


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where the legacy store is, and whose home `~` means."""

    root: Path
    config: Path
    config_is_required: bool  # named by the user: it must exist
    home: str


class FileState(msgspec.Struct, frozen=True, kw_only=True):
    """What tells one state of a file from another."""

    inode: int
    size_bytes: int
    modified_ns: int


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """The files that the registry is read from; what is missing is empty."""

    config: bytes
    config_modified_at: datetime | None
    config_state: FileState | None  # before it was read; None: there was none
    preferences: bytes
    registered: bytes


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration registers, and what its projects inherit."""

    entries: dict[str, Node]  # by project id, as they were read
    defaults: Defaults
    notes: tuple[Note, ...] = ()  # on the store as a whole


async def read_sources(places: Places, workers: Workers) -> Sources:
    """Read the configuration and the portfolio files.

    :raises StoreUnreadable: one of them is there and cannot be read, or the
        configuration is missing although the user named it.
    """
    config, modified_at, state = b"", None, None
    try:
        config, info = await _read_once(places.config, CONFIG_LIMIT, workers)
        modified_at, state = from_file_time(info.st_mtime_ns), _state_of(info)
    except (FileNotFoundError, NotADirectoryError) as error:
        if places.config_is_required:
            raise StoreUnreadable(places.config, "there is no such file") from error
    except OSError as error:
        raise StoreUnreadable(places.config, reason(error)) from error
    if len(config) > CONFIG_LIMIT:
        problem = f"it has more than {CONFIG_LIMIT} bytes"
        raise StoreUnreadable(places.config, problem)

    overlays = []
    for name in ("preferences.json", "registered.json"):
        path = places.root / "portfolio" / name
        try:
            content, _ = await _read_once(path, OVERLAY_LIMIT, workers)
        except (FileNotFoundError, NotADirectoryError, NotRegular):
            content = b""
        except OSError as error:
            # It may well be sound, and a name that is left out now never comes again.
            raise StoreUnreadable(path, reason(error)) from error
        overlays.append(content if len(content) <= OVERLAY_LIMIT else b"")

    return Sources(
        config=config,
        config_modified_at=modified_at,
        config_state=state,
        preferences=overlays[0],
        registered=overlays[1],
    )


def find_config_state(places: Places) -> FileState | None:
    """Return the state that the configuration is in now, or None if it is missing."""
    try:
        return _state_of(os.stat(places.config))
    except OSError:
        return None


def _state_of(info: os.stat_result) -> FileState:
    return FileState(
        inode=info.st_ino, size_bytes=info.st_size, modified_ns=info.st_mtime_ns
    )


async def _read_once(
    path: Path, limit: int, workers: Workers
) -> tuple[bytes, os.stat_result]:
    """Return at most one byte more than the limit, and the file's data.

    :raises OSError: the file is missing, unreadable or no regular file.
    """
    # Shielded: a cancelled `open` leaks its handle. And closed by hand: the `async with`
    # of aiofiles closes in the event loop's default threads, whatever it was told.
    with CancelScope(shield=True):
        file = await aiofiles.open(path, "rb", opener=opener, executor=workers.executor)
        try:
            info = os.fstat(file.fileno())
            content = await file.read(limit + 1) or b""  # None: it would have blocked
        finally:
            await file.close()

    return content, info


def parse_configuration(
    data: bytes, file: Path, check: Callable[[], None] = lambda: None
) -> Configuration:
    """Return what the configuration says (rules C1, C6, B8). Blocks; `check` may end it.

    :raises ConfigBroken: it is no YAML, of another shape, or has its entries elsewhere.
    """
    try:
        document = parse_yaml(data, check)
    except YamlError as error:
        raise ConfigBroken(file, error.line, error.column, error.problem) from error

    root = document.root
    if root is None:
        return Configuration(entries={}, defaults=Defaults())
    if not isinstance(root, dict):
        raise ConfigBroken(file, *document.place, "a mapping is wanted here")

    projects = root.get("projects")
    if projects is not None and not isinstance(projects, dict):
        problem = '"projects" must be a mapping of ids to entries'
        raise ConfigBroken(file, *document.place_of("projects"), problem)
    if not projects and (found := _find_misplaced(root)):
        key, problem = found
        raise ConfigBroken(file, *document.place_of(key), problem)

    return Configuration(
        entries=projects or {},
        defaults=read_defaults(root.get("defaults")),
        notes=tuple(_note_settings(root, str(file))),
    )


def _find_misplaced(root: dict[str, Node]) -> tuple[str, str] | None:
    """Return the key that has or should have the projects in it, and what is wrong."""
    unknown = [key for key in root if not _is_setting(key)]
    for key in unknown:
        node = root[key]
        if not isinstance(node, dict):
            continue
        if "path" in node:
            return (
                key,
                f'{quote(key)} looks like a project, but is not under "projects"',
            )
        if any(isinstance(each, dict) and "path" in each for each in node.values()):
            return key, f'{quote(key)} holds what belongs under "projects"'

    for key in unknown[:KEYS_COMPARED] if "projects" not in root else ():
        if resembling(key, ("projects",)):
            return (
                key,
                f'there is no "projects"; perhaps {quote(key)} is meant to be it',
            )

    return None


def _note_settings(root: dict[str, Node], source: str) -> list[Note]:
    """Return the notes on what stands beside the projects and has no home (rule B8)."""
    homeless = [
        key for key in root if key in HOMELESS_SETTINGS and _says(key, root[key])
    ]
    defaults = root.get("defaults")
    if isinstance(defaults, dict):
        homeless += [f"defaults.{name}" for name in _homeless_defaults(defaults)]
    elif defaults is not None:
        homeless.append("defaults that are no mapping")
    notes = []
    if homeless:
        names = listing(homeless, show=brief)
        text = f"the new application has no place for these settings: {names}"
        notes.append(note("no-home", None, text, source))

    unknown = ((key, KNOWN_SETTINGS) for key in root if not _is_setting(key))
    if names := list_unknown(unknown):
        text = f"unknown settings of {quote(source)} were left out: {names}"
        notes.append(note("unknown-field", None, text, source))

    return notes


def _is_setting(key: str) -> bool:
    """Whether a key is known, the legacy application's own, or a home of anchors."""
    return key in KNOWN_SETTINGS or key.startswith(("x-", ".", "_"))


def _says(name: str, node: Node) -> bool:
    """Whether a setting says anything that not every file says."""
    return bool(node) and node != WRITTEN_EVERYWHERE.get(name)


def _homeless_defaults(defaults: dict[str, Node]) -> list[str]:
    """Return the names of the defaults that no project inherits (rule C4)."""
    found = []
    for name, node in defaults.items():
        if name in ROLES and isinstance(node, dict):
            found += [f"{name}.{key}" for key in node if key != "agent" and node[key]]
            name, node = f"{name}.agent", node.get("agent")
        if name not in INHERITED and _says(name, node):
            found.append(name)
        elif name in INHERITED and node is not None and not isinstance(node, str):
            found.append(f"{name} that is no text")

    return found
