"""YAML as text: every scalar as it was typed, every trap an error with its place (C5, C6).

A YAML loader turns `yes` and `010` into something else, recurses through whatever
nesting it finds, and takes the last of two equal keys. Here the parser gives events
alone and an iterative builder makes of them mappings, lists and text.
"""

from __future__ import annotations

__all__ = ("Document", "Node", "Quoted", "YamlError", "parse_yaml")

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import yaml

from stages.floor.json_text import mend

DEPTH_LIMIT = 64
EXPANSION_LIMIT = 1_000_000  # values that aliases and merges may stand for in total

Node: TypeAlias = "str | list[Node] | dict[str, Node] | None"
Place = tuple[int, int]  # line and column, both from 1

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_NUMBERS_BEGIN_WITH = frozenset("+-0123456789")  # those that `Fields.number` takes
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Quoted(str):
    """Text that begins as a number does, in quotes, as a block, or with a tag.

    All other text is the same however it was typed, and garbage collections, which
    hold all threads, do not visit a plain `str`.
    """

    __slots__ = ()


_MERGE = Quoted("<<")  # told by identity from a key of that text


class YamlError(Exception):
    """The text is no YAML that we read. Line and column count from 1."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"line {place[0]}, column {place[1]}: {problem}")
        self.line, self.column = place
        self.problem = problem


class Document:
    """A document's root, and where it and each value of its top level begin."""

    def __init__(self, root: Node, place: Place, places: dict[str, Place]) -> None:
        self.root, self.place, self.places = root, place, places


class _Frame:
    """A mapping or a list that is being filled: one of the two is there."""

    __slots__ = ("anchor", "items", "key", "mapping", "merges", "weight")

    def __init__(self, anchor: str | None, *, is_mapping: bool) -> None:
        self.mapping: dict[str, Node] = {}
        self.items: list[Node] | None = None if is_mapping else []
        self.anchor = anchor
        self.key: str | None = None  # of a mapping, if its value comes next
        self.merges: list[dict[str, Node]] | None = None
        self.weight = 1  # how many values it stands for, aliases expanded

    @property
    def node(self) -> Node:
        return self.mapping if self.items is None else self.items


def parse_yaml(data: bytes, check: Callable[[], None] = lambda: None) -> Document:
    """Return the only document of a UTF-8 text; the root of an empty one is None.

    `check` is called at each mapping and list, and may end it.

    :raises YamlError: it is no UTF-8, no YAML, nested too deeply, says a key twice,
        holds a second document, or expands beyond all bounds.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError(_place_of_byte(data, error.start), "this is no UTF-8") from None

    try:
        return _Builder(check).build(text)
    except yaml.reader.ReaderError as error:
        encoded, position = text.encode(), error.position
        if error.encoding == "unicode":  # so the pure-Python reader, and by characters
            position = len(text[:position].encode())
        problem = "a character that YAML does not allow"
        raise YamlError(_place_of_byte(encoded, position), problem) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise YamlError(place, _sentence(error)) from None
    except (ValueError, OverflowError, yaml.YAMLError) as error:
        # The pure-Python scanner lets chr() and int() speak for themselves.
        raise YamlError((1, 1), str(error)) from None


class _Builder:
    """Builds the nodes from the events, without recursion."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.expanded = 0
        self.has_document = False
        self.root: Node = None
        self.place: Place = (1, 1)
        self.places: dict[str, Place] = {}

    def build(self, text: str) -> Document:
        # Not `yaml.parse`: it asks twice for each event, and that is a fourth of all.
        loader = _LOADER(text)
        take: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: self.open_mapping,
            yaml.SequenceStartEvent: self.open_list,
            yaml.MappingEndEvent: self.close,
            yaml.SequenceEndEvent: self.close,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.begin_document,
        }
        try:
            while (event := loader.get_event()) is not None:
                if (taker := take.get(type(event))) is not None:
                    taker(event)
        finally:
            loader.dispose()

        return Document(self.root, self.place, self.places)

    def begin_document(self, event: yaml.Event) -> None:
        if self.has_document:
            raise YamlError(_place(event), "a second document begins here")

        self.has_document = True

    def scalar(self, event: yaml.ScalarEvent) -> None:
        # Most events are these; what they do is written out here for its speed.
        text = event.value
        if not text.isascii():
            text = mend(text)
        is_plain = not event.style and event.implicit[0] and not event.tag
        frame = self.stack[-1] if self.stack else None
        node: Node = text
        if frame is not None and frame.key is None and frame.items is None:
            self.take_key(text, is_plain, event)
        else:
            if not is_plain:
                if text[:1] in _NUMBERS_BEGIN_WITH:
                    node = Quoted(text)
            elif text in _NULLS:
                node = None
            self.add(node, 1, event)
        if event.anchor:
            self.anchors[event.anchor] = (node, 1)

    def open_mapping(self, event: yaml.MappingStartEvent) -> None:
        self.open(event, is_mapping=True)

    def open_list(self, event: yaml.SequenceStartEvent) -> None:
        self.open(event, is_mapping=False)

    def open(self, event: yaml.CollectionStartEvent, *, is_mapping: bool) -> None:
        self.check()
        if self.wants_key():
            raise YamlError(_place(event), "a key must be plain text")
        if len(self.stack) >= DEPTH_LIMIT:
            raise YamlError(
                _place(event), f"nested more than {DEPTH_LIMIT} levels deep"
            )

        if not self.stack:
            self.place = _place(event)
        elif len(self.stack) == 1 and self.stack[0].key is not None:
            self.places[self.stack[0].key] = _place(event)
        self.stack.append(_Frame(event.anchor, is_mapping=is_mapping))

    def close(self, event: yaml.Event) -> None:
        frame = self.stack.pop()
        for merged in frame.merges or ():
            self.spend(len(merged), event)
            for key, node in merged.items():
                frame.mapping.setdefault(key, node)

        # Only now: an alias to what is still open would make it hold itself.
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.node, frame.weight)
        self.add(frame.node, frame.weight, event)

    def alias(self, event: yaml.AliasEvent) -> None:
        found = self.anchors.get(event.anchor or "")
        if found is None:
            problem = f'the alias "{event.anchor}" names nothing that ends before it'
            raise YamlError(_place(event), problem)

        node, weight = found
        if self.wants_key():
            if not isinstance(node, str):
                raise YamlError(_place(event), "a key must be plain text")
            self.take_key(node, False, event)
            return

        self.spend(weight, event)
        self.add(node, weight, event)

    def wants_key(self) -> bool:
        if not self.stack:
            return False

        top = self.stack[-1]
        return top.key is None and top.items is None

    def take_key(self, key: str, is_plain: bool, event: yaml.Event) -> None:
        frame = self.stack[-1]
        if is_plain and key == "<<":
            if frame.merges is not None:
                raise YamlError(_place(event), 'the key "<<" stands twice')
            frame.merges = []
            frame.key = _MERGE
            return
        if key in frame.mapping:
            raise YamlError(_place(event), f'the key "{key}" stands twice')

        frame.mapping[key] = None  # keeps its place in the order of the file
        frame.key = key

    def add(self, node: Node, weight: int, event: yaml.Event) -> None:
        if not self.stack:
            self.root = node
            if not isinstance(node, dict | list):
                self.place = _place(event)
            return

        frame = self.stack[-1]
        frame.weight += weight
        if frame.items is not None:
            frame.items.append(node)
            return

        key, frame.key = frame.key, None
        assert key is not None  # the parser gives keys and values in turn
        if key is _MERGE:
            frame.merges = _mappings(node, event)
        else:
            frame.mapping[key] = node
            if len(self.stack) == 1:
                self.places.setdefault(key, _place(event))

    def spend(self, weight: int, event: yaml.Event) -> None:
        self.expanded += weight
        if self.expanded > EXPANSION_LIMIT:
            problem = f"aliases that stand for more than {EXPANSION_LIMIT} values"
            raise YamlError(_place(event), problem)


def _mappings(node: Node, event: yaml.Event) -> list[dict[str, Node]]:
    """Return what a merge key merges, the first of equal keys first."""
    nodes = node if isinstance(node, list) else [node]
    if not all(isinstance(each, dict) for each in nodes):
        raise YamlError(_place(event), 'only mappings can be merged by "<<"')

    return cast("list[dict[str, Node]]", nodes)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    assert mark is not None  # only events that are made by hand have none

    return mark.line + 1, mark.column + 1


def _place_of_byte(data: bytes, position: int) -> Place:
    line_start = data.rfind(b"\n", 0, position) + 1
    column = len(data[line_start:position].decode("utf-8", "replace")) + 1

    return data.count(b"\n", 0, position) + 1, column


def _sentence(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]

    return ", ".join(parts) or "this is no YAML"
