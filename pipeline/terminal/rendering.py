"""Lines with a style, and the one place that wraps and colours them.

Rich is loaded for the width of characters alone, and only where a line is wrapped.
"""

from __future__ import annotations

__all__ = ("Line", "Style", "format_bytes", "render", "show")

import os
import shutil
import sys
from collections.abc import Iterable
from typing import Literal

import click
import msgspec

Style = Literal["title", "alarm", "text", "command"]


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of what people read."""

    text: str
    style: Style = "text"
    hang: int = 0  # columns; what does not fit goes on below, so far to the right


def show(lines: Iterable[Line], *, is_error: bool = False) -> None:
    """Write lines to stdout, or to stderr: on a terminal wrapped and with colours."""
    stream = sys.stderr if is_error else sys.stdout
    columns, has_colours = None, False
    if stream is not None and stream.isatty():
        columns = shutil.get_terminal_size().columns
        has_colours = not os.environ.get("NO_COLOR") and not _is_dumb()
    click.echo(render(lines, columns, has_colours=has_colours), err=is_error)


def render(
    lines: Iterable[Line], columns: int | None = None, *, has_colours: bool = False
) -> str:
    """Return the lines as text, wrapped between words to so many columns.

    What people copy stays whole: a command, and a word that is wider than the line.
    """
    rendered: list[str] = []
    for line in lines:
        is_wrapped = columns is not None and line.style != "command"
        pieces = _wrap(line, columns or 0) if is_wrapped else [line.text]
        if has_colours and line.style == "alarm":
            pieces = [click.style(piece, fg="red", bold=True) for piece in pieces]
        elif has_colours and line.style == "title":
            pieces = [click.style(piece, bold=True) for piece in pieces]
        rendered += pieces

    return "\n".join(rendered)


def format_bytes(size_bytes: int) -> str:
    """Return a size as people read it, in units of 1,024."""
    size = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024

    return f"{size:.1f} TiB"


def _wrap(line: Line, columns: int) -> list[str]:
    from rich.cells import cell_len

    if cell_len(line.text) <= columns:
        return [line.text]

    text = line.text.lstrip(" ")
    start = " " * (len(line.text) - len(text))
    # Half a line at least is left for what goes on.
    hanging = " " * (line.hang if line.hang <= columns // 2 else len(start) + 2)
    pieces, current = [], start
    for word in text.split(" "):
        is_begun = bool(current.strip())
        if is_begun and cell_len(current) + 1 + cell_len(word) > columns:
            pieces.append(current)
            current = hanging + word
        else:
            current += f" {word}" if is_begun else word

    return [*pieces, current]


def _is_dumb() -> bool:
    return os.environ.get("TERM", "") in ("dumb", "unknown")
