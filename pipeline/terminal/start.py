"""First boot from the command line: the offer, then the application in our place.

All that is said goes to stderr, as stdout belongs to the application.
"""

from __future__ import annotations

__all__ = (
    "STATUS_NOT_EXECUTABLE",
    "STATUS_NOT_FOUND",
    "offer_import",
    "replace_process",
    "run_beneath",
)

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

import click

from pipeline.terminal.invocation import run
from pipeline.terminal.signals import (
    STATUS_OF_SIGNAL,
    Interrupted,
    end_at_once,
    install,
    restore,
)

# What the offer needs is imported for it: without one the application starts at once.
if TYPE_CHECKING:
    from pipeline.options import ImportOptions
    from pipeline.probing import Probe
    from pipeline.report import Report

QUESTION = "Found existing AO projects and sessions. Import them now? [Y/n] "
HINT = "Found existing AO projects at {root}. Run ao-import import to bring them in."
DECLINED = (
    "Continuing fresh. Run ao-import import later to bring in your existing data."
)
FAILED = "Import failed: {problem} Continuing fresh; legacy data is untouched."
INTERRUPTED = "it was interrupted; importing later continues."

# As shells have it.
STATUS_NOT_EXECUTABLE = 126
STATUS_NOT_FOUND = 127

# Where a process cannot fork, `exec` starts another one and ends this one at once: who
# waits for us would see us gone while the application still runs.
_CAN_REPLACE = hasattr(os, "fork")
# What Python ignores from its start on, and a program it becomes would inherit.
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ")


def offer_import(options: ImportOptions) -> None:
    """Offer an import, and do it on a yes; nothing that goes wrong here is raised."""
    try:
        report, problem = _offer(options)
        if report is not None:
            from pipeline.terminal.rendering import render
            from pipeline.terminal.summary import summarize_report

            _say(render(summarize_report(report)))
    except Interrupted as interrupted:
        if interrupted.status != STATUS_OF_SIGNAL + signal.SIGINT:
            raise  # who ends us wants no application either
        problem = INTERRUPTED
    except Exception as error:  # the outer edge: the application starts all the same
        problem = f"this should not have happened: {type(error).__name__}: {error}"
    if problem:
        end = "" if problem.endswith(".") else "."
        _say(FAILED.format(problem=problem + end))


def replace_process(command: tuple[str, ...]) -> int:
    """Become the command; a status is returned only where that is not possible."""
    name = command[0]
    try:
        if not _CAN_REPLACE:
            return run_beneath(command)

        for ignored in _IGNORED_BY_PYTHON:
            if hasattr(signal, ignored):
                signal.signal(getattr(signal, ignored), signal.SIG_DFL)
        os.execvp(name, command)
    except FileNotFoundError:
        _say(f"error: there is no command {name!r}.")
        return STATUS_NOT_FOUND
    except OSError as error:
        _say(f"error: {name!r} cannot be started: {error.strerror or error}.")
        return STATUS_NOT_EXECUTABLE


def run_beneath(command: tuple[str, ...]) -> int:
    """Run the command and return its status; for systems where we cannot become it.

    :raises OSError: it cannot be started.
    """
    program = shutil.which(command[0]) or command[0]
    with subprocess.Popen([program, *command[1:]]) as process:
        # Ctrl-C reaches both of us, and is the command's to answer.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        status = process.wait()

    return status if status >= 0 else STATUS_OF_SIGNAL - status


def _offer(options: ImportOptions) -> tuple[Report | None, str | None]:
    """Return what was imported, and what went wrong."""
    from pipeline.booting import first_boot
    from pipeline.terminal.progress_display import open_progress
    from stages.floor.text import plain

    can_ask = _is_terminal(sys.stdin) and _is_terminal(sys.stderr)

    async def ask(found: Probe) -> bool:
        if not can_ask:
            _say(HINT.format(root=plain(found.root)))
            return False

        is_wanted = _is_yes(QUESTION)
        if not is_wanted:
            _say(DECLINED)
        return is_wanted

    with open_progress(None, is_silent=False) as on_progress:
        done = run(first_boot(options, ask=ask, on_progress=on_progress))

    return done.report, done.error and plain(done.error)


def _is_yes(question: str) -> bool:
    """Whether the answer is yes, or Enter. Ctrl-C and the end of the input are a no."""
    # Under asyncio Ctrl-C cancels the task, which nobody could see while we wait here.
    # Nor could what else ends us wait for an answer.
    before = install(end_at_once)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        click.echo(question, nl=False, err=True)
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    finally:
        restore(before)
    if not answer.endswith("\n"):
        _say("")

    return answer.endswith("\n") and answer.strip().lower() in ("", "y", "yes")


def _is_terminal(stream: TextIO | None) -> bool:
    # Started with its stream closed, Python has none.
    return stream is not None and not stream.closed and stream.isatty()


def _say(text: str) -> None:
    with suppress(OSError):  # nobody reads it; the application starts all the same
        click.echo(text, err=True)
