"""How the user calls us, and how the command line runs what is async."""

from __future__ import annotations

__all__ = ("command_line", "program", "run")

import sys
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.terminal.signals import Interrupted, Stop, install, restore

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
    """Run a coroutine in an event loop of its own; a signal stops it in good order.

    :raises Interrupted: it was stopped so.
    """
    import asyncio

    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)  # signals are the main thread's

    loop: asyncio.AbstractEventLoop | None = None
    task: asyncio.Task[object] | None = None

    def begin() -> None:
        if loop is not None and task is not None:
            with suppress(RuntimeError):  # it is closed: the work is done
                loop.call_soon_threadsafe(task.cancel)

    stop = Stop(begin)

    async def watched() -> T:
        nonlocal loop, task
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if stop.number is not None:
            work.close()
            raise asyncio.CancelledError
        return await work

    before = install(stop)
    try:
        result = asyncio.run(watched())
    except asyncio.CancelledError:
        if stop.number is None:
            raise
        # The handler stays: one Ctrl-C may be told twice, and is no second one then.
        raise Interrupted(stop.number) from None
    except BaseException:
        restore(before)
        raise
    restore(before)

    return result
