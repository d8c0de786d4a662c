"""Text from the store, made fit for one line that people read."""

from __future__ import annotations

__all__ = ("Names", "brief", "listing", "plain", "quote", "resembling")

import re
from bisect import insort
from collections.abc import Callable, Iterable, Sequence

LENGTH_SHOWN = 1000  # a path to a transcript fits
NAME_SHOWN = 80
NAMES_SHOWN = 20
# Longer words are no misspelled names, and more names than these take too long.
WORD_COMPARED = 64
NAMES_COMPARED = 500
BEGINNING = 3  # of a name that is mistyped is right more often than not

# Not compiled here: few runs need them, and `re` keeps what it has compiled.
_WORD = r"[^\s\"]+"
_SLASH = r"(?i:([/\\]|%2f|%5c))"
_SCHEME = r"(?i:[a-z][a-z0-9+.-]+(?::|%3a))"
_AT = r"(?i:@|%40)"
_COLON = r"(?i::|%3a)"
# Control characters, line separators, surrogates, and what turns the direction of
# writing around: none of them may shape the line that it is quoted in.
_UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"


def plain(text: str) -> str:
    """Return the text on one line, control characters as escapes, no URL's user."""
    return re.sub(_UNPRINTABLE, lambda found: _escape(found[0]), _without_users(text))


def quote(text: str) -> str:
    """Return the text in double quotes, cut, and otherwise as `plain` does."""
    shown = _without_users(text)  # before it is cut: the cut may fall into a user
    if len(shown) > LENGTH_SHOWN:
        shown = f"{shown[:LENGTH_SHOWN]}…"

    return f'"{plain(shown)}"'


def brief(name: str) -> str:
    """Return a name without quotes, cut, and otherwise as `plain` does."""
    shown = _without_users(name)
    if len(shown) > NAME_SHOWN:
        shown = f"{shown[:NAME_SHOWN]}…"

    return plain(shown)


def listing(
    names: Sequence[str],
    count: int | None = None,
    show: Callable[[str], str] = quote,
) -> str:
    """Return the names quoted, with commas; of many, the first and how many more."""
    total = len(names) if count is None else count
    shown = ", ".join(map(show, names[:NAMES_SHOWN]))
    more = total - min(len(names), NAMES_SHOWN)

    return f"{shown} and {more} more" if more else shown


class Names:
    """Names for one note, however many there are: the first in order, and their count."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        insort(self.first, name)
        del self.first[NAMES_SHOWN:]

    def __str__(self) -> str:
        return listing(self.first, self.count)


def resembling(word: str, known: Iterable[str], most: int = 1) -> tuple[str, ...]:
    """Return the known words that this one most resembles, nearest first.

    Of very many it looks at those of much the same length, first at those that begin
    alike; at a word that is long enough to be a text it does not look at all.
    """
    from difflib import get_close_matches  # slow to load, and for mistakes only

    word = word.lower()
    if len(word) > WORD_COMPARED:
        return ()

    near = [each for each in known if abs(len(each) - len(word)) <= len(word)]
    if len(near) > NAMES_COMPARED:
        beginning = word[:BEGINNING]
        near.sort(key=lambda each: not each.lower().startswith(beginning))
    by_lower = {each.lower(): each for each in near[:NAMES_COMPARED]}

    return tuple(by_lower[found] for found in get_close_matches(word, by_lower, n=most))


def _without_users(text: str) -> str:
    """Return the text without the user part of any URL, however that is spelled."""
    if not _has_at(text):
        return text

    return re.sub(_WORD, lambda found: _without_user(found[0]), text)


def _has_at(text: str) -> bool:
    return "@" in text or "%40" in text


def _without_user(word: str) -> str:
    if not _has_at(word):
        return word

    parts = re.split(_SLASH, word)  # between two of them stands the slash
    before = ""
    for index in range(0, len(parts), 2):
        part = parts[index]
        parts[index] = _host_alone(part, behind_scheme=before)
        before = part or before

    return "".join(parts)


def _host_alone(part: str, behind_scheme: str) -> str:
    """Return what stands between two slashes without the user in it.

    `behind_scheme` is what stands before; a user follows a scheme, has a password, or a
    path follows its host.
    """
    *user, host = re.split(_AT, part)  # a password may itself hold an @
    is_user = (
        re.search(f"{_SCHEME}$", behind_scheme)
        or re.search(_COLON, "@".join(user))
        or re.search(_COLON, host)
    )

    return host if user and is_user else part


def _escape(character: str) -> str:
    code = ord(character)
    if character in "\t\n\r":
        return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}[character]

    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
