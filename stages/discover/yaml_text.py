"""YAML as text: every scalar as it was typed, every trap an error with its place (C5, C6).

A YAML loader turns `yes` and `010` into something else, recurses through whatever
nesting it finds, and takes the last of two equal keys. Here the parser gives events
alone and an iterative builder makes of them mappings, lists and text.
"""

from __future__ import annotations

__all__ = ("Bounds", "Document", "Node", "Quoted", "YamlError", "parse_yaml")

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast

import msgspec
import yaml

from stages.discover.yaml_dialect import Translation, line_of
from stages.discover.yaml_problems import Place, YamlError, place_of, problem_of
from stages.floor.text import quote

DEPTH_LIMIT = 64
PLACES_KEPT = 1000  # of keys of the top level; they are for errors, which few can need
NODE_SIZE = 16  # what a value counts besides its text, where an alias repeats it

Node: TypeAlias = "str | list[Node] | dict[str, Node] | None"

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_NUMBERS_BEGIN_WITH = frozenset("+-0123456789")  # those that `Fields.number` takes
# Blanks to the eye alone: a key that begins with one was meant to be indented.
_FALSE_BLANKS = frozenset("\xa0\u1680\u180e\u202f\u205f\u3000\ufeff") | frozenset(
    map(chr, range(0x2000, 0x2010))
)


class Quoted(str):
    """Text that begins as a number does, in quotes, as a block, or with a tag.

    All other text is the same however it was typed, and garbage collections, which
    hold all threads, do not visit a plain `str`.
    """

    __slots__ = ()


_QUOTES = frozenset("\"'")
_MERGE = Quoted("<<")  # told by identity from a key of that text


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much one document may hold, whatever its size in bytes."""

    # A value takes some 200 bytes of memory, and may be written with two characters.
    nodes: int
    # Characters that aliases may repeat. Each repetition is written anew into the
    # database, so a small document could fill the disk.
    repeated: int


class Document:
    """A document's root, and where it and the first keys of its top level begin."""

    def __init__(self, root: Node, place: Place, places: dict[str, Place]) -> None:
        self.root, self.place, self._places = root, place, places

    def place_of(self, key: str) -> Place:
        """Return the place of a key of the top level, or else the document's."""
        return self._places.get(key, self.place)


class _Frame:
    """A mapping or a list that is being filled: one of the two is there."""

    __slots__ = ("anchor", "items", "key", "mapping", "merges", "opening", "size")

    def __init__(
        self, anchor: str | None, opening: Place | None, *, is_mapping: bool
    ) -> None:
        self.mapping: dict[str, Node] = {}
        self.items: list[Node] | None = None if is_mapping else []
        self.anchor = anchor
        self.opening = opening  # of one in brackets
        self.key: str | None = None  # of a mapping, if its value comes next
        self.merges: list[dict[str, Node]] | None = None
        self.size = NODE_SIZE  # with all that is in it, aliases expanded

    @property
    def node(self) -> Node:
        return self.mapping if self.items is None else self.items


REGISTRY_BOUNDS = Bounds(nodes=500_000, repeated=32 * 1024 * 1024)


def parse_yaml(
    data: bytes,
    check: Callable[[], None] = lambda: None,
    bounds: Bounds = REGISTRY_BOUNDS,
) -> Document:
    """Return the only document of a UTF-8 text; the root of an empty one is None.

    `check` is called for each piece of the text, and may end it.

    :raises YamlError: it is no UTF-8, no YAML, nested too deeply, says a key twice,
        holds a second document, or goes beyond its bounds.
    """
    return _Builder(data, check, bounds).build()


class _Builder:
    """Builds the nodes from the events, without recursion."""

    def __init__(self, data: bytes, check: Callable[[], None], bounds: Bounds) -> None:
        self.data = data
        self.bounds = bounds
        self.translation = Translation(data, check)
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.nodes = 0
        self.repeated = 0
        self.quoted: tuple[Place, int] | None = None
        self.has_document = False
        self.root: Node = None
        self.place: Place = (1, 1)
        self.places: dict[str, Place] = {}

    def build(self) -> Document:
        # Not `yaml.parse`: it asks twice for each event, and that is a fourth of all.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self.translation)
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
        except yaml.MarkedYAMLError as error:
            opening = self.stack[-1].opening if self.stack else None
            lines = partial(line_of, self.data)
            raise problem_of(error, lines, self.quoted, opening) from None
        except (ValueError, OverflowError, yaml.YAMLError):
            # The pure-Python scanner lets chr() and int() speak for themselves.
            problem = "this escape does not name a character"
            raise YamlError(place_of(loader.get_mark()), problem) from None
        finally:
            loader.dispose()

        return Document(self.root, self.place, self.places)

    def begin_document(self, event: yaml.Event) -> None:
        if self.has_document:
            raise YamlError(place_of(event.start_mark), "a second document begins here")

        self.has_document = True

    def scalar(self, event: yaml.ScalarEvent) -> None:
        # Most events are these; what they do is written out here for its speed.
        text = event.value
        if not text.isascii():
            text = self.translation.restore(text, is_double_quoted=event.style == '"')
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
            self.add(node, NODE_SIZE + len(text), event)
        if event.anchor:
            self.anchors[event.anchor] = (node, NODE_SIZE + len(text))
        if event.style in _QUOTES:
            begins, ends = place_of(event.start_mark), place_of(event.end_mark)
            if ends[0] > begins[0]:
                self.quoted = begins, ends[0]

    def open_mapping(self, event: yaml.MappingStartEvent) -> None:
        self.open(event, is_mapping=True)

    def open_list(self, event: yaml.SequenceStartEvent) -> None:
        self.open(event, is_mapping=False)

    def open(self, event: yaml.CollectionStartEvent, *, is_mapping: bool) -> None:
        if self.wants_key():
            raise YamlError(place_of(event.start_mark), "a key must be plain text")
        if len(self.stack) >= DEPTH_LIMIT:
            raise YamlError(
                place_of(event.start_mark),
                f"nested more than {DEPTH_LIMIT} levels deep",
            )

        if not self.stack:
            self.place = place_of(event.start_mark)
        opening = place_of(event.start_mark) if event.flow_style else None
        self.stack.append(_Frame(event.anchor, opening, is_mapping=is_mapping))

    def close(self, event: yaml.Event) -> None:
        frame = self.stack.pop()
        for merged in frame.merges or ():
            self.count(len(merged), event)
            for key, node in merged.items():
                frame.mapping.setdefault(key, node)

        # Only now: an alias to what is still open would make it hold itself.
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.node, frame.size)
        self.add(frame.node, frame.size, event)

    def alias(self, event: yaml.AliasEvent) -> None:
        found = self.anchors.get(event.anchor or "")
        if found is None:
            problem = f"the alias {quote(event.anchor or '')} names nothing that ends before it"
            raise YamlError(place_of(event.start_mark), problem)

        node, size = found
        self.repeat(size, event)
        if self.wants_key():
            if not isinstance(node, str):
                raise YamlError(place_of(event.start_mark), "a key must be plain text")
            self.take_key(node, False, event)
            return

        self.add(node, size, event)

    def wants_key(self) -> bool:
        if not self.stack:
            return False

        top = self.stack[-1]
        return top.key is None and top.items is None

    def take_key(self, key: str, is_plain: bool, event: yaml.Event) -> None:
        frame = self.stack[-1]
        if is_plain and key == "<<":
            if frame.merges is not None:
                raise YamlError(place_of(event.start_mark), 'the key "<<" stands twice')
            frame.merges = []
            frame.key = _MERGE
            return
        if key in frame.mapping:
            raise YamlError(
                place_of(event.start_mark), f"the key {quote(key)} stands twice"
            )
        if key[:1] in _FALSE_BLANKS:
            problem = f"a key begins with the blank U+{ord(key[0]):04X}"
            raise YamlError(
                place_of(event.start_mark), f"{problem}, which does not indent"
            )
        if len(self.stack) == 1 and len(self.places) < PLACES_KEPT:
            self.places[key] = place_of(event.start_mark)

        frame.mapping[key] = None  # keeps its place in the order of the file
        frame.key = key
        frame.size += len(key)

    def add(self, node: Node, size: int, event: yaml.Event) -> None:
        self.nodes += 1
        if self.nodes > self.bounds.nodes:
            self.count(0, event)
        if not self.stack:
            self.root = node
            if not isinstance(node, dict | list):
                self.place = place_of(event.start_mark)
            return

        frame = self.stack[-1]
        frame.size += size
        if frame.items is not None:
            frame.items.append(node)
            return

        key, frame.key = frame.key, None
        assert key is not None  # the parser gives keys and values in turn
        if key is _MERGE:
            frame.merges = _mappings(node, event)
        else:
            frame.mapping[key] = node

    def count(self, more: int, event: yaml.Event) -> None:
        self.nodes += more
        if self.nodes > self.bounds.nodes:
            problem = (
                f"this goes beyond the {self.bounds.nodes} values that it may have"
            )
            raise YamlError(place_of(event.start_mark), problem)

    def repeat(self, size: int, event: yaml.Event) -> None:
        self.repeated += size
        if self.repeated > self.bounds.repeated:
            most = self.bounds.repeated
            problem = f"aliases repeat more than the {most} characters that they may"
            raise YamlError(place_of(event.start_mark), problem)


def _mappings(node: Node, event: yaml.Event) -> list[dict[str, Node]]:
    """Return what a merge key merges, the first of equal keys first."""
    nodes = node if isinstance(node, list) else [node]
    if not all(isinstance(each, dict) for each in nodes):
        raise YamlError(
            place_of(event.start_mark), 'only mappings can be merged by "<<"'
        )

    return cast("list[dict[str, Node]]", nodes)
