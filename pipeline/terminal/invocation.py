"""How the user calls us, and how the command line runs what is async."""

from __future__ import annotations

__all__ = ("command_line", "program", "run")

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pipeline.options import ImportOptions

T = TypeVar("T")


def command_line(command: str, options: ImportOptions, *more: str) -> str:
    """Return how to call another command on the same places."""
    import shlex

    words = [command]
    for name, value in (
        ("--from", options.root),
        ("--config", options.config),
        ("--data-dir", options.data_dir),
        ("--claude-dir", options.claude_dir),
        *(("--project", project) for project in options.projects),
        *(("--exclude", project) for project in options.exclude),
    ):
        words += [name, str(value)] if value is not None else []
    words += ["--include-ended"] if options.include_ended else []

    return f"{program()} {shlex.join([*words, *more])}"


def program() -> str:
    """Return how the user calls us."""
    import shlex
    import shutil

    called = sys.argv[0]
    if Path(called).name == "__main__.py":
        return "python -m pipeline"

    return "ao-import" if shutil.which("ao-import") == called else shlex.quote(called)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of its own."""
    import asyncio

    return asyncio.run(work)
