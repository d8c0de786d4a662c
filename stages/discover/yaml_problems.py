"""What is wrong with a text that is no YAML: where it begins, and in plain words (C6)."""

from __future__ import annotations

__all__ = ("Place", "YamlError", "place_of", "problem_of")

import re
from collections.abc import Callable
from typing import Literal, Protocol

import yaml

Place = tuple[int, int]  # line and column, both from 1


class _Mark(Protocol):
    """Where something begins, in the words of either make of the parser; from 0."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


class YamlError(Exception):
    """The text is no YAML that we read. Line and column count from 1."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"line {place[0]}, column {place[1]}: {problem}")
        self.line, self.column = place
        self.problem = problem


_ALIGNED = "see that the line is indented as its neighbours are"
# What the parser says, of which the first that is found counts; which of its two marks is
# meant; and what is said instead. It has two makes, which word much the same differently.
_SENTENCES: tuple[tuple[str, Literal["context", "problem"], str], ...] = (
    (
        "quoted scalar.*(end of stream|document)",
        "context",
        "the quote that opens here is not closed",
    ),
    (
        "unknown escape",
        "problem",
        "in double quotes a backslash begins an escape, and this is none",
    ),
    (
        "hexa?decimal|Unicode character",
        "problem",
        "this escape does not name a character",
    ),
    ("expected ':'", "context", 'this key has no ":" behind it'),
    (
        "mapping values",
        "problem",
        f'this ":" belongs to no key; {_ALIGNED}, and put text that holds ": " in quotes',
    ),
    ("sequence entries", "problem", f'this "-" begins no list; {_ALIGNED}'),
    ("mapping keys", "problem", f'this "?" begins no key; {_ALIGNED}'),
    ("block scalar", "problem", 'this does not belong behind "|" or ">"'),
    (
        "scanning an? (anchor|alias)",
        "problem",
        'the name behind "&" or "*" must be letters and digits; text that begins so '
        "needs quotes",
    ),
    ("tag|handle", "problem", 'this is no tag; text that begins with "!" needs quotes'),
    ("directive|incompatible", "problem", "this directive is unknown"),
    ("document start", "problem", f"this belongs to nothing; {_ALIGNED}"),
    ("flow (sequence|mapping)", "problem", 'a "," is missing before this'),
    ("block mapping", "problem", f"a key should stand here; {_ALIGNED}"),
    ("block (collection|sequence)", "problem", f'a "-" should stand here; {_ALIGNED}'),
    ("node content", "problem", "a value is missing here"),
    (
        "cannot start any token",
        "problem",
        "text cannot begin with this character; it needs quotes",
    ),
    ("depth", "problem", "nested too deeply"),
)


def problem_of(
    error: yaml.MarkedYAMLError,
    line_of: Callable[[int], str],
    quoted: tuple[Place, int] | None,
    opening: Place | None,
) -> YamlError:
    """Return the error that says what the parser's means.

    `line_of` returns a line of the text, counted from 1. `quoted` is the last text in
    quotes that took several lines: where it begins, and the line that it ends in.
    `opening` is the bracket that is open.
    """
    said = f"{error.context}: {error.problem}"
    at = place_of(error.problem_mark or error.context_mark)
    begins = place_of(error.context_mark) if error.context_mark else at
    line = line_of(at[0])

    is_unclosed = re.search("quoted scalar.*(end of stream|document)", said) is not None
    seen = begins if is_unclosed else at
    if quoted and quoted[1] == seen[0]:
        problem = (
            "the quote that opens here is closed only in line {}, before other text"
        )
        return YamlError(quoted[0], problem.format(quoted[1]))

    blanks = line[: len(line) - len(line.lstrip())]
    if "\t" in blanks and not (opening or is_unclosed):
        place = at[0], blanks.index("\t") + 1
        return YamlError(place, "this line is indented with a tab; YAML wants spaces")

    # A key in a line of its own, or nothing more at all, follows a bracket never closed.
    if opening and not is_unclosed:
        found = line[at[1] - 1 : at[1]]
        if not found or (found == ":" and at[0] > opening[0]):
            problem = "the bracket that opens here is not closed before line {}"
            return YamlError(opening, problem.format(at[0]))

    for pattern, which, sentence in _SENTENCES:
        if re.search(pattern, said):
            return YamlError(begins if which == "context" else at, sentence)

    return YamlError(at, "this is no YAML")


def place_of(mark: _Mark | None) -> Place:
    """Return the place of a mark; where there is none, the text's beginning."""
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
