"""What YAML 1.2 allows and the parser does not: translated for it, and back (rule C6).

The parser knows YAML 1.1. It breaks lines at U+2028, refuses DEL and the halves of an
emoji that JSON escapes, and stumbles over tabs. So it is given another text, which has
private characters in their place, each in its line and column.
"""

from __future__ import annotations

__all__ = ("Translation", "line_of", "place_of_byte")

import codecs
import re
from collections.abc import Callable, Iterator

from stages.discover.yaml_problems import YamlError
from stages.discover.yaml_tabs import settle_tabs

# The parser asks for one piece after the other, and lets other threads on meanwhile.
PIECE_BYTES = 16_384
ESCAPE_LENGTH = 10  # the longest one, which no piece may cut in two: \\UXXXXXXXX

_TAB, _BACKSLASH = "\t", "\\"
_ODD = "".join(map(chr, range(0x7F, 0xA0))) + "\u2028\u2029\ufeff\ufffe\uffff"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ANY_ODD = re.compile(f"[{_ODD}]")
_HALF = "(?:u|U0000)[dD][89a-fA-F][0-9a-fA-F]{2}"
# An escape of half an emoji; two backslashes before it are one that is text.
_HALF_ESCAPE = re.compile(rf"(?<!\\)((?:\\\\)*+)\\(?={_HALF})")
_LINE_BREAK = re.compile(rb"\r\n?|\n")


class Translation:
    """A text as the parser can read it, piece by piece; `check` is called at each."""

    def __init__(self, data: bytes, check: Callable[[], None]) -> None:
        private = _free_characters(data)
        odd = _ODD + _TAB + _BACKSLASH
        self._any_private = re.compile(f"[{private}]")
        self._private = dict(zip(odd, private, strict=False))
        self._used = {_TAB, _BACKSLASH}
        self._backslash = private[odd.index(_BACKSLASH)]
        self._half = re.compile(f"{self._backslash}(?:u|U0000)([0-9a-fA-F]{{4}})")

        self._rest = self._pieces(data, check)
        if b"\t" in data:
            self._rest = settle_tabs(self._rest, private[odd.index(_TAB)], check)

    def read(self, size: int = 0) -> str:
        """Return the next piece, of whatever size; nothing at the end.

        :raises YamlError: it holds what no YAML text may hold.
        """
        return next(filter(None, self._rest), "")

    def restore(self, text: str, *, is_double_quoted: bool) -> str:
        """Return a scalar's text as it stands in the file."""
        if self._any_private.search(text) is None:
            return text
        if is_double_quoted and self._backslash in text:
            halves = self._half.sub(lambda found: chr(int(found[1], 16)), text)
            units = halves.encode("utf-16-le", "surrogatepass")
            text = units.decode("utf-16-le", "replace")

        for character in self._used:
            text = text.replace(self._private[character], character)

        return text

    def _pieces(self, data: bytes, check: Callable[[], None]) -> Iterator[str]:
        start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
        while start < len(data):
            check()
            piece = data[start : _end_of_piece(data, start)]
            try:
                text = piece.decode()
            except UnicodeDecodeError as error:
                place = place_of_byte(data, start + error.start)
                raise YamlError(place, "this is no UTF-8") from None
            if found := _CONTROL.search(text):
                position = start + len(text[: found.start()].encode())
                place = place_of_byte(data, position)
                raise YamlError(place, "a control character, which YAML does not allow")

            for character in set(_ANY_ODD.findall(text)):
                text = text.replace(character, self._private[character])
                self._used.add(character)
            if _BACKSLASH in text:
                text = _HALF_ESCAPE.sub(rf"\1{self._backslash}", text)
            yield text
            start += len(piece)


def _end_of_piece(data: bytes, start: int) -> int:
    """Return where a piece ends: behind a line, if it can be, and in no character."""
    end = start + PIECE_BYTES
    if end >= len(data):
        return len(data)
    if line_end := data.rfind(b"\n", start, end) + 1:
        return line_end

    while end < len(data):
        backslash = data.rfind(b"\\", end - ESCAPE_LENGTH, end)
        if backslash >= 0:
            end = backslash + ESCAPE_LENGTH + 1
        elif data[end] & 0xC0 == 0x80:  # within a character
            end += 1
        else:
            break

    return end


def place_of_byte(data: bytes, position: int) -> tuple[int, int]:
    """Return the line and the column, both from 1, of a byte."""
    line, start = 1, 0
    for found in _LINE_BREAK.finditer(data, 0, position):
        line, start = line + 1, found.end()
    before = data[start:position].removeprefix(codecs.BOM_UTF8)

    return line, len(before.decode("utf-8", "replace")) + 1


def line_of(data: bytes, number: int) -> str:
    """Return a line of the text, counted from 1; nothing where it has fewer."""
    start = 0
    for _ in range(number - 1):
        found = _LINE_BREAK.search(data, start)
        if found is None:
            return ""
        start = found.end()
    end = _LINE_BREAK.search(data, start)
    line = data[start : end.start() if end else len(data)]

    return line.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")


def _free_characters(data: bytes) -> str:
    """Return 64 private characters that the text lacks.

    :raises YamlError: it has some of each such block.
    """
    for first in (*range(0xE000, 0xF8C0, 64), *range(0xF0000, 0xFFFC0, 64)):
        # All 64 of a block have the same bytes but for the last one. Most texts have not
        # even the first of them, and that is found out ten times as fast.
        beginning = chr(first).encode()[:-1]
        if beginning[:1] not in data or beginning not in data:
            return "".join(map(chr, range(first, first + 64)))

    raise YamlError((1, 1), "the text uses all of the private characters of Unicode")
