"""Typed looks at one mapping of a configuration: a wrong type costs that field (P2)."""

from __future__ import annotations

__all__ = ("Fields", "is_scalar")

import re

from stages.discover.yaml_text import Node, Quoted
from stages.floor.text import plain
from stages.messages import Note
from stages.notes import note

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")


def is_scalar(node: Node) -> bool:
    """Whether the node is a scalar other than null; any such is text if need be."""
    return isinstance(node, str)


class Fields:
    """A mapping, read field by field; what has the wrong type is left out and named.

    A null is an unset field everywhere (rule C5).
    """

    def __init__(self, mapping: dict[str, Node], prefix: str = "") -> None:
        self.mapping = mapping
        self.prefix = prefix
        self.wrong: list[str] = []
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

        for index, element in enumerate(node):
            if element is not None and not is_scalar(element):
                self.wrong.append(f"{self.prefix}{name}[{index}]")
        return tuple(str(element) for element in node if isinstance(element, str))

    def text_map(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return a map of text to text; a null in it is the empty text (rule C5)."""
        node = self.mapping.get(name)
        if node is None:
            return ()
        if not isinstance(node, dict):
            self.wrong.append(self.prefix + name)
            return ()

        self.wrong += [
            f"{self.prefix}{name}.{key}"
            for key, value in node.items()
            if value is not None and not is_scalar(value)
        ]
        return tuple(
            (key, "" if value is None else str(value))
            for key, value in node.items()
            if value is None or isinstance(value, str)
        )

    def notes(self, project_id: str, source: str) -> list[Note]:
        """Return a note on each field left out, those of the blocks included."""
        return [
            note(
                "wrong-type",
                project_id,
                f"{plain(name)} has the wrong type and was left out",
                source,
            )
            for name in self.all_wrong()
        ]

    def all_wrong(self) -> list[str]:
        """Return the names of the fields left out, those of the blocks included."""
        return self.wrong + [
            name for block in self._blocks for name in block.all_wrong()
        ]


_NO_FIELDS = Fields({})  # nothing in it can be wrong, so that one will do
