"""Tabs, settled for a parser that takes them for blanks in some places only (rule C6).

Where they separate they become spaces; within plain text they become another character,
for the parser's reader to turn back; in quotes and in block scalars they stay. One that
indents stays as well: that is the error which the parser finds.
"""

from __future__ import annotations

__all__ = ("settle_tabs",)

import re
from collections.abc import Callable, Iterable, Iterator

_LINES = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_MARKER = re.compile(r"(?:---|\.\.\.)(?=[ \t]|$)")
_LARGEST_INDICATOR = 9

_REST_OF_QUOTED = {
    '"': re.compile(r'(?:[^"\\]|\\.?)*+(")?'),
    "'": re.compile(r"(?:[^']|'')*+(')?"),
}


def _tokens(breaks: str, header: str) -> re.Pattern[str]:
    """Return the pattern of one token; `breaks` end plain text, as blanks do."""
    plain = rf"(?:[^ \t:{breaks}]|:(?![ \t{breaks}]|$))++"

    return re.compile(
        rf"""(?P<blanks>[ \t]+)
        | (?P<comment>(?<![^ \t])\#.*)
        | (?P<quote>["'])
        | (?P<header>{header})
        | (?P<indicator>[-?:](?=[ \t{breaks}]|$))
        | (?P<opening>[\[{{])
        | (?P<closing>[\]}}])
        | (?P<property>[&!*][^ \t{breaks}]*)
        | (?P<plain>{plain}(?:[ \t]++(?!\#){plain})*+)
        | (?P<other>.)
        """,
        re.VERBOSE,
    )


_BLOCK_TOKENS = _tokens(
    "", r"[|>](?:[-+]?[1-9]?|[1-9][-+])(?=[ \t]*$|[ \t]+\#)"
)  # no blank before it: a header begins a token
_FLOW_TOKENS = _tokens(r",\[\]{}", r"(?!)")


def settle_tabs(
    pieces: Iterable[str], tab: str, check: Callable[[], None]
) -> Iterator[str]:
    """Yield the text again, with `tab` for tabs within plain text."""
    settler = _Settler(tab, check)
    rest: list[str] = []  # of a line that goes on in the next piece
    for piece in pieces:
        end = piece.rfind("\n") + 1
        if end:
            lines = _LINES.findall("".join((*rest, piece[:end])))
            yield "".join(map(settler.settle, lines))
            rest = []
        rest.append(piece[end:])
    yield "".join(map(settler.settle, _LINES.findall("".join(rest))))
    yield settler.release()


class _Block:
    """A block scalar, whose lines are text from its indentation on."""

    __slots__ = ("cut", "indentation", "parent")

    def __init__(self, parent: int, indicator: int) -> None:
        self.parent = parent
        # None: its first line that is not blank says it.
        self.indentation = max(parent, 0) + indicator if indicator else None
        self.cut = (
            0  # spaces that its lines lose, so that an indicator can name the rest
        )


class _Settler:
    """Knows from line to line what a tab would be part of."""

    def __init__(self, tab: str, check: Callable[[], None]) -> None:
        self.tab, self.check = tab, check
        self.parent = -1  # column of the key or the dash that a value belongs to
        self.depth = 0  # of brackets
        self.quote = ""  # the quote that is open
        self.is_plain_open = False  # plain text may go on in the next line
        self.block: _Block | None = None
        # From the header of a block scalar on, until its indentation is known.
        self.held: list[str] = []

    def settle(self, line: str) -> str:
        self.check()
        text = line.rstrip("\r\n")
        if self.block is not None:
            settled = self.settle_in_block(self.block, line, text)
            if settled is not None:
                return settled
            self.block = None

        done = self.release()
        settled = self.settle_outside(text) + line[len(text) :]
        if self.held:
            self.held.append(settled)
            return done

        return done + settled

    def release(self) -> str:
        held, self.held = "".join(self.held), []

        return held

    def settle_in_block(self, block: _Block, line: str, text: str) -> str | None:
        """Return a line of the block scalar, or None if it has ended."""
        spaces = _count_spaces(text)
        if not text.strip(" \t"):
            # Short of the indentation a tab is none of the text.
            if "\t" in text and (
                block.indentation is None or spaces < block.indentation
            ):
                line = line[len(text) :]
            elif block.cut:
                line = text[block.cut :] + line[len(text) :]
            if block.indentation is None:
                self.held.append(line)
                return ""
            return line

        if block.indentation is None:
            if spaces <= block.parent:
                return None
            block.indentation = spaces
            if text[spaces] == "\t":
                self.name_indentation(block, spaces)
        elif spaces < block.indentation:
            return None

        return self.release() + line[block.cut :]

    def name_indentation(self, block: _Block, spaces: int) -> None:
        """Write into the header what the parser cannot find out for itself."""
        wanted = spaces - max(block.parent, 0)
        indicator = min(wanted, _LARGEST_INDICATOR)
        if indicator:
            block.cut = wanted - indicator
            self.held.insert(2, str(indicator))  # behind the header

    def settle_outside(self, text: str) -> str:
        if not text.strip(" \t"):
            return "" if "\t" in text else text

        at, start = self.settle_start(text)
        settled = [start]
        node: int | None = None  # where the node began that may turn out to be a key
        last = "plain" if self.is_plain_open else ""
        while at < len(text):
            self.check()
            found = (_FLOW_TOKENS if self.depth else _BLOCK_TOKENS).match(text, at)
            assert found is not None  # any one character is a token, if need be
            kind, token = found.lastgroup or "", found[0]
            if kind == "blanks":
                token = " " * len(token)
            elif kind in ("quote", "plain", "property"):
                node = at if node is None else node
                if kind == "quote":
                    token += self.rest_of_quoted(text, token, at + 1)
            elif kind == "indicator":
                if not self.depth:
                    self.parent = at if token != ":" or node is None else node
                node = None
            elif kind == "opening":
                self.depth += 1
            elif kind == "closing":
                self.depth = max(0, self.depth - 1)
            elif kind == "header":
                indicator = int(token.strip("|>+-") or 0)
                self.block = _Block(self.parent, indicator)
                if not indicator:
                    self.held += "".join(settled), token
                    settled, token = [], ""
            at = at + len(found[0]) if kind != "quote" else at + len(token)
            settled.append(token.replace("\t", self.tab) if kind == "plain" else token)
            last = kind if kind != "blanks" else last
        self.is_plain_open = not self.depth and last == "plain"

        return "".join(settled)

    def settle_start(self, text: str) -> tuple[int, str]:
        """Return how much of a line is done with what goes on from the one before."""
        is_open, self.is_plain_open = self.is_plain_open, False
        if self.quote:
            rest = self.rest_of_quoted(text, self.quote, 0)
            return len(rest), rest
        if marker := _MARKER.match(text):
            self.parent = -1
            return marker.end(), marker[0]

        blanks = text[: len(text) - len(text.lstrip(" \t"))]
        is_comment = text.startswith("#", len(blanks))
        is_plain = is_open and not is_comment and _count_spaces(text) > self.parent
        if "\t" in blanks and not (self.depth or is_comment or is_plain):
            return len(blanks), blanks  # it indents, which the parser refuses
        start = " " * len(blanks)
        if not is_plain:
            return len(blanks), start

        self.is_plain_open = True
        # The token that a line of plain text begins with is plain, whatever it looks like.
        end = len(blanks) + 1
        return end, start + text[len(blanks) : end]

    def rest_of_quoted(self, text: str, quote: str, start: int) -> str:
        found = _REST_OF_QUOTED[quote].match(text, start)
        assert found is not None  # it matches nothing, too
        self.quote = "" if found[1] else quote

        return found[0]


def _count_spaces(text: str) -> int:
    return len(text) - len(text.lstrip(" "))
