"""The configuration: read whole, and of the shape that a registry has, or an error (C6)."""

from __future__ import annotations

__all__ = (
    "CONFIG_LIMIT",
    "Configuration",
    "Places",
    "Sources",
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

from stages.discover.behaviour import Defaults, read_defaults
from stages.discover.overlays import OVERLAY_LIMIT
from stages.discover.yaml_text import Node, YamlError, parse_yaml
from stages.errors import ConfigBroken, StoreUnreadable
from stages.floor.files import NotRegular, opener, reason
from stages.floor.times import from_file_time
from stages.floor.workers import Workers
from stages.messages import Note

CONFIG_LIMIT = 64 * 1024 * 1024  # bytes


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where the legacy store is, and whose home `~` means."""

    root: Path
    config: Path
    config_is_required: bool  # named by the user: it must exist
    home: str


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """The files that the registry is read from; what is missing is empty."""

    config: bytes
    config_modified_at: datetime | None
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
    config, modified_at = b"", None
    try:
        config, info = await _read_once(places.config, CONFIG_LIMIT, workers)
        modified_at = from_file_time(info.st_mtime_ns)
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
        preferences=overlays[0],
        registered=overlays[1],
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
    """Return what the configuration says (rules C1, C6). Blocks; `check` may end it.

    :raises ConfigBroken: it is no YAML, or of another shape.
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
        place = document.places.get("projects", document.place)
        raise ConfigBroken(
            file, *place, '"projects" must be a mapping of ids to entries'
        )

    return Configuration(
        entries=projects or {}, defaults=read_defaults(root.get("defaults"))
    )
