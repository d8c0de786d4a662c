"""The options that several commands share: places, projects, output."""

from __future__ import annotations

__all__ = (
    "CLAUDE_DIR",
    "DRY_RUN",
    "EXCLUDE",
    "INCLUDE_ENDED",
    "JSON",
    "PATH",
    "PROGRESS",
    "PROJECT",
    "QUIET",
    "READERS",
    "STORE",
    "VERBOSE",
)

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

T = TypeVar("T")


# Whether it is there and fit is found out where that says what to do about it.
PATH = click.Path(path_type=Path, readable=False)


def _options(*options: Callable[[T], T]) -> Callable[[T], T]:
    def decorate(command: T) -> T:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


STORE = _options(
    click.option(
        "--from",
        "root",
        metavar="DIR",
        type=PATH,
        help="Legacy state root.  [default: ~/.agent-orchestrator]",
    ),
    click.option(
        "--config",
        metavar="FILE",
        type=PATH,
        help="The legacy configuration, if it is not config.yaml in the root.",
    ),
    click.option(
        "--data-dir",
        metavar="DIR",
        type=PATH,
        help="Data dir of the new application.  [default: $AO_DATA_DIR or ~/.ao/data]",
    ),
)
CLAUDE_DIR = click.option(
    "--claude-dir",
    metavar="DIR",
    type=PATH,
    help="Claude Code's transcripts.  "
    "[default: $CLAUDE_CONFIG_DIR/projects or ~/.claude/projects]",
)
PROJECT = click.option(
    "--project",
    "projects",
    metavar="ID",
    multiple=True,
    help="Only this project; may be given several times.",
)
EXCLUDE = click.option(
    "--exclude",
    metavar="ID",
    multiple=True,
    help="Leave this project out; may be given several times.",
)
DRY_RUN = click.option(
    "-n", "--dry-run", is_flag=True, help="Show what would be done; write nothing."
)
INCLUDE_ENDED = click.option(
    "--include-ended",
    is_flag=True,
    help="Where no orchestrator of a project is live, bring the one that was terminated.",
)
READERS = click.option(
    "--readers",
    metavar="N",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="At most so many threads read session records; of these, as many do as have to "
    "wait for the disk.",
)
PROGRESS = click.option(
    "--progress/--no-progress",
    "shows_progress",
    default=None,
    help="Progress on stderr: bars on a terminal, else a line every few seconds.  "
    "[default: on a terminal, unless -q or --json]",
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON on stdout, no text.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Only what failed, on stderr.")
VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, help="Every note by itself, and times."
)
