"""What is written to stdout and stderr, and what becomes of the run where it cannot be."""

from __future__ import annotations

__all__ = ("close_output", "prepare_output", "print_json", "say")

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

import click

STREAMS = ("stdout", "stderr")


def prepare_output() -> None:
    """Make sure that the standard streams are there, and can say whatever is to be said.

    A descriptor that was closed would be the next file's that is opened, and the summary
    would be written into the database. In its place comes one that refuses writing.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            refusing = os.open(os.devnull, os.O_RDONLY)
            if refusing != fd:
                os.dup2(refusing, fd, inheritable=False)
                os.close(refusing)

    for fd, name in enumerate(STREAMS, start=1):
        if getattr(sys, name) is None:
            stream = open(fd, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        # A name that the encoding cannot hold must not end the run.
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: object, *, indent: int = 2) -> None:
    """Write a value to stdout as one JSON document; on one line with no indent.

    :raises OSError: it cannot be written.
    """
    import msgspec

    content = msgspec.json.encode(value)
    # Bytes, as JSON is UTF-8 whatever the encoding of the terminal.
    click.echo(msgspec.json.format(content, indent=indent) if indent else content)


def say(text: str) -> None:
    """Write a text to stderr, if anybody listens."""
    with suppress(OSError):
        click.echo(text, err=True)


def close_output() -> OSError | None:
    """Write what is left in the buffers, and return why it cannot be written.

    What a failed write leaves there would be tried again at the end of the process, which
    would end with another status for that.
    """
    problem: OSError | None = None
    for name in STREAMS:
        stream: TextIO = getattr(sys, name)
        try:
            stream.flush()
        except OSError as error:
            problem = problem or error
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, stream.fileno())
            os.close(silent)

    return problem
