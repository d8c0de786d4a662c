"""The options that several commands share: places, projects, output."""

from __future__ import annotations

__all__ = (
    "CLAUDE_DIR",
    "INCLUDE_ENDED",
    "JSON",
    "PROGRESS",
    "PROJECT",
    "QUIET",
    "READERS",
    "STORE",
    "VERBOSE",
    "path_type",
)

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

T = TypeVar("T")


def path_type(*, is_directory: bool) -> click.Path:
    # Whether it can be read is found out where that says what to do about it.
    return click.Path(
        file_okay=not is_directory,
        dir_okay=is_directory,
        readable=False,
        path_type=Path,
    )


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
        type=path_type(is_directory=True),
        help="Legacy state root.  [default: ~/.agent-orchestrator]",
    ),
    click.option(
        "--config",
        metavar="FILE",
        type=path_type(is_directory=False),
        help="The legacy configuration, if it is not config.yaml in the root.",
    ),
    click.option(
        "--data-dir",
        metavar="DIR",
        type=path_type(is_directory=True),
        help="Data dir of the new application.  [default: $AO_DATA_DIR or ~/.ao/data]",
    ),
)
CLAUDE_DIR = click.option(
    "--claude-dir",
    metavar="DIR",
    type=path_type(is_directory=True),
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
