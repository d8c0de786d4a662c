"""Typed looks at one mapping of a configuration: a wrong type costs that field (P2)."""

from __future__ import annotations

__all__ = ("Fields", "is_scalar", "list_unknown")

import re
from collections.abc import Iterable
from itertools import islice

from stages.discover.yaml_text import Node, Quoted
from stages.floor.text import NAMES_SHOWN, brief, listing, resembling
from stages.messages import Note
from stages.notes import note

ELEMENTS_SHOWN = 3

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")


def is_scalar(node: Node) -> bool:
    """Whether the node is a scalar other than null; any such is text if need be."""
    return isinstance(node, str)


def list_unknown(found: Iterable[tuple[str, frozenset[str]]]) -> str:
    """Return the names, each with the known name that it resembles (rule P3).

    `found` are names, a prefix and dots included, with what is known there. Nothing at
    all is an empty text.
    """
    names = iter(found)
    shown = [_with_resembling(*each) for each in islice(names, NAMES_SHOWN)]

    return listing(shown, len(shown) + sum(1 for _ in names), show=str)


def _with_resembling(name: str, known: frozenset[str]) -> str:
    nearest = resembling(name.rpartition(".")[2], sorted(known))

    return f"{brief(name)} ({nearest[0]}?)" if nearest else brief(name)


class Fields:
    """A mapping, read field by field; what has the wrong type is left out and named.

    A null is an unset field everywhere (rule C5).
    """

    def __init__(self, mapping: dict[str, Node], prefix: str = "") -> None:
        self.mapping = mapping
        self.prefix = prefix
        self.wrong: list[str] = []  # a text for each field, as notes show it
        self._blocks: list[Fields] = []

    def text(self, name: str) -> str | None:
        """Return the text as typed, or None."""
        node = self.mapping.get(name)
        if node is None:
            return None
        if isinstance(node, str):
            return str(node)

        self.wrong.append(self.prefix + name)
        return None

    def trimmed(self, name: str) -> str | None:
        """Return the text without blanks around it, or None if nothing is left."""
        text = self.text(name)

        return None if text is None else text.strip() or None

    def filled(self, name: str) -> str | None:
        """Return the text as typed, or None if there is nothing but blanks."""
        text = self.text(name)

        return text if text and text.strip() else None

    def number(self, name: str) -> float | None:
        """Return a plain decimal number, or None."""
        node = self.mapping.get(name)
        if node is None:
            return None
        is_plain = isinstance(node, str) and not isinstance(node, Quoted)
        if is_plain and _NUMBER.fullmatch(str(node)):
            return float(str(node))

        self.wrong.append(self.prefix + name)
        return None

    def block(self, name: str) -> Fields:
        """Return the mapping under the name; an empty one where there is none."""
        node = self.mapping.get(name)
        if node is None:
            return _NO_FIELDS
        if isinstance(node, dict):
            block = Fields(node, f"{self.prefix}{name}.")
            self._blocks.append(block)
            return block

        self.wrong.append(self.prefix + name)
        return _NO_FIELDS

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a list; only an element of another type is left out."""
        node = self.mapping.get(name)
        if node is None:
            return ()
        if not isinstance(node, list):
            self.wrong.append(self.prefix + name)
            return ()

        self._leave_out(
            f"{self.prefix}{name}[{index}]"
            for index, element in enumerate(node)
            if element is not None and not is_scalar(element)
        )
        return tuple(str(element) for element in node if isinstance(element, str))

    def text_map(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return a map of text to text; a null in it is the empty text (rule C5)."""
        node = self.mapping.get(name)
        if node is None:
            return ()
        if not isinstance(node, dict):
            self.wrong.append(self.prefix + name)
            return ()

        self._leave_out(
            f"{self.prefix}{name}.{key}"
            for key, value in node.items()
            if value is not None and not is_scalar(value)
        )
        return tuple(
            (key, "" if value is None else str(value))
            for key, value in node.items()
            if value is None or isinstance(value, str)
        )

    def notes(self, project_id: str, source: str) -> list[Note]:
        """Return a note on each field left out, those of the blocks included."""
        return [
            note(
                "wrong-type", project_id, f"left out for a wrong type: {names}", source
            )
            for names in self.all_wrong()
        ]

    def all_wrong(self) -> list[str]:
        """Return what was left out, those of the blocks included; a text per field."""
        return self.wrong + [
            names for block in self._blocks for names in block.all_wrong()
        ]

    def _leave_out(self, elements: Iterable[str]) -> None:
        """Keep the names of a field's wrong elements: a few of them and their number."""
        names = iter(elements)
        shown = list(islice(names, ELEMENTS_SHOWN))
        if shown:
            count = len(shown) + sum(1 for _ in names)
            self.wrong.append(listing(shown, count, show=brief))


_NO_FIELDS = Fields({})  # nothing in it can be wrong, so that one will do
