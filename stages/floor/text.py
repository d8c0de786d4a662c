"""Text from the store, made fit for one line that people read."""

from __future__ import annotations

__all__ = ("listing", "plain", "quote", "resembling")

import re
from collections.abc import Iterable, Sequence

LENGTH_SHOWN = 1000  # a path to a transcript fits
NAMES_SHOWN = 20

# Not compiled here: few runs need them, and `re` keeps what it has compiled.
_URL_USER = r"(?<=://)[^/\s\"]*@"  # a password may itself hold an @
# Control characters, line separators, surrogates, and what turns the direction of
# writing around: none of them may shape the line that it is quoted in.
_UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"


def plain(text: str) -> str:
    """Return the text on one line, control characters as escapes, no URL's user."""
    shown = re.sub(_URL_USER, "", text)

    return re.sub(_UNPRINTABLE, lambda found: _escape(found[0]), shown)


def quote(text: str) -> str:
    """Return the text in double quotes, cut, and otherwise as `plain` does."""
    shown = re.sub(
        _URL_USER, "", text
    )  # before it is cut: the cut may fall into a user
    if len(shown) > LENGTH_SHOWN:
        shown = f"{shown[:LENGTH_SHOWN]}…"

    return f'"{plain(shown)}"'


def listing(names: Sequence[str], count: int | None = None) -> str:
    """Return the names quoted, with commas; of many, the first and how many more."""
    total = len(names) if count is None else count
    shown = ", ".join(map(quote, names[:NAMES_SHOWN]))
    more = total - min(len(names), NAMES_SHOWN)

    return f"{shown} and {more} more" if more else shown


def resembling(word: str, known: Iterable[str], most: int = 1) -> tuple[str, ...]:
    """Return the known words that this one most resembles, nearest first."""
    from difflib import get_close_matches  # slow to load, and for mistakes only

    by_lower = {candidate.lower(): candidate for candidate in known}

    return tuple(
        by_lower[found] for found in get_close_matches(word.lower(), by_lower, n=most)
    )


def _escape(character: str) -> str:
    code = ord(character)
    if character in "\t\n\r":
        return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}[character]

    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
