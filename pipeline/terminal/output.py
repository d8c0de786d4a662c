"""What commands write to stdout."""

from __future__ import annotations

__all__ = ("print_json",)

import click


def print_json(value: object) -> None:
    """Write a value to stdout as one JSON document."""
    import msgspec

    # Bytes, as JSON is UTF-8 whatever the encoding of the terminal.
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))
