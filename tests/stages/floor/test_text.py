from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.floor.text import (
    LENGTH_SHOWN,
    NAMES_SHOWN,
    listing,
    plain,
    quote,
    resembling,
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x00\x1b[31m\x7f\x9b", "\\x00\\x1b[31m\\x7f\\x9b"),
        ("\u2028\u202e\ufeff", "\\u2028\\u202e\\ufeff"),
        ("half \udcff", "half \\udcff"),
        ("Ünïcödé 🚀", "Ünïcödé 🚀"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, line: str) -> None:
    assert plain(text) == line


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ("a b", '"a b"'),
        ("a\nb", '"a\\nb"'),
        ("https://me:pw@host/x.git", '"https://host/x.git"'),
        ("ssh://token@host/x", '"ssh://host/x"'),
        ("git@host:x.git", '"git@host:x.git"'),
        ("https://host/@x", '"https://host/@x"'),
        ("x" * (LENGTH_SHOWN + 1), f'"{"x" * LENGTH_SHOWN}…"'),
    ],
)
def test_quoted_values_are_cut_and_hold_no_secret(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@pytest.mark.parametrize(
    ("names", "count", "text"),
    [
        ([], None, ""),
        (["a"], None, '"a"'),
        (["a", "b\n"], None, '"a", "b\\n"'),
        (["a"], 3, '"a" and 2 more'),
        (
            [str(number) for number in range(NAMES_SHOWN + 5)],
            None,
            ", ".join(f'"{number}"' for number in range(NAMES_SHOWN)) + " and 5 more",
        ),
    ],
)
def test_long_lists_are_cut_and_say_by_how_much(
    names: list[str], count: int | None, text: str
) -> None:
    assert listing(names, count) == text


@pytest.mark.parametrize(
    ("word", "known", "nearest"),
    [
        pytest.param("sesionPrefix", ["sessionPrefix"], ("sessionPrefix",), id="P3"),
        pytest.param("AGENT", ["agent", "agents"], ("agent",), id="P3-case"),
        pytest.param("xyz", ["agent"], (), id="P3-nothing-like-it"),
    ],
)
def test_misspelled_words_find_what_they_resemble(
    word: str, known: list[str], nearest: tuple[str, ...]
) -> None:
    assert resembling(word, known) == nearest


@given(st.text(max_size=300))
def test_quoted_text_is_one_line_that_can_be_written(text: str) -> None:
    line = quote(text)

    assert line.splitlines() == [line]
    assert line.encode("utf-8").decode("utf-8") == line
