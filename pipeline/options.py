"""What an import is told, and what follows from it and from the environment."""

from __future__ import annotations

__all__ = ("DEFAULT_READERS", "ImportOptions", "Settings", "resolve")

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import msgspec

from stages.discover.configuration import Places

DEFAULT_READERS = 8  # at most; how many read at once follows from what they wait for
CONFIG_NAME = "config.yaml"


AnyPath: TypeAlias = str | os.PathLike[str]


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to import, and from where to where.

    What is `None` follows from the environment, as for the command line:

        options = ImportOptions(root="/backup/.agent-orchestrator", dry_run=True)

    A `root` or `claude_dir` that is named must be a directory.
    """

    root: AnyPath | None = None  # the legacy state root
    config: AnyPath | None = None  # its configuration, if that is elsewhere
    data_dir: AnyPath | None = None  # of the new store
    claude_dir: AnyPath | None = None  # the directory of Claude Code's buckets
    run_file: AnyPath | None = None  # the new application's daemon's
    projects: tuple[str, ...] = ()  # ids; none means all
    exclude: tuple[str, ...] = ()  # ids that are left out of these
    include_ended: bool = False  # an ended orchestrator where there is no live one
    dry_run: bool = False  # plan and report, write nothing
    readers: int = DEFAULT_READERS  # threads that read session records, at most


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The options with nothing left open: what the stages are told."""

    places: Places
    data_dir: Path
    branches: str  # what the new application's branches begin with (rule L9)
    buckets: Path
    run_file: Path
    root_is_named: bool  # and must be a directory, as must the buckets'
    buckets_are_named: bool
    projects: tuple[str, ...]
    exclude: tuple[str, ...]
    include_ended: bool  # rule S8
    is_dry_run: bool
    readers: int
    environment: dict[str, str]
    now: datetime


def resolve(options: ImportOptions, environment: Mapping[str, str]) -> Settings:
    """Return the settings; this is the one place that looks at the environment."""
    home = Path(os.path.expanduser("~"))
    root = _absolute(options.root) or home / ".agent-orchestrator"
    config, is_required = _find_config(options, environment, home, root)
    claude_home = _from(environment, "CLAUDE_CONFIG_DIR") or home / ".claude"
    data_dir = _absolute(options.data_dir) or _from(environment, "AO_DATA_DIR")
    is_dev = data_dir == home / ".ao" / "dev" / "data"
    run_file = _absolute(options.run_file) or _from(environment, "AO_RUN_FILE")

    return Settings(
        places=Places(
            root=root, config=config, config_is_required=is_required, home=str(home)
        ),
        data_dir=data_dir or home / ".ao" / "data",
        branches="ao/dev" if is_dev else "ao",
        buckets=_absolute(options.claude_dir) or claude_home / "projects",
        run_file=run_file or home / ".ao" / "running.json",
        root_is_named=options.root is not None,
        buckets_are_named=options.claude_dir is not None,
        projects=options.projects,
        exclude=options.exclude,
        include_ended=options.include_ended,
        is_dry_run=options.dry_run,
        readers=max(options.readers, 1),
        environment=dict(environment),
        now=datetime.now(UTC),
    )


def _find_config(
    options: ImportOptions, environment: Mapping[str, str], home: Path, root: Path
) -> tuple[Path, bool]:
    """Return the configuration's place, and whether it must be there."""
    if options.config is not None:
        return _to_absolute(options.config), True
    if options.root is not None:
        return root / CONFIG_NAME, False
    if (named := _from(environment, "AO_GLOBAL_CONFIG")) is not None:
        return named, True

    xdg = _from(environment, "XDG_CONFIG_HOME")
    candidates = [
        *([xdg / "agent-orchestrator" / CONFIG_NAME] if xdg else []),
        root / CONFIG_NAME,
        home / ".agent-orchestrator.yaml",
        home / ".agent-orchestrator.yml",
        home / ".config" / "agent-orchestrator" / CONFIG_NAME,
    ]
    found = next((place for place in candidates if os.path.lexists(place)), None)

    return found or root / CONFIG_NAME, False


def _absolute(path: AnyPath | None) -> Path | None:
    return None if path is None else _to_absolute(path)


def _to_absolute(path: AnyPath) -> Path:
    return Path(path).expanduser().absolute()


def _from(environment: Mapping[str, str], name: str) -> Path | None:
    value = environment.get(name)

    return _to_absolute(value) if value else None
