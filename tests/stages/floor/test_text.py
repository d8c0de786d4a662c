from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.floor.text import (
    LENGTH_SHOWN,
    NAME_SHOWN,
    NAMES_COMPARED,
    NAMES_SHOWN,
    WORD_COMPARED,
    brief,
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
        ("ssh://me@x:pw@host/x", '"ssh://host/x"'),
        ("HTTPS://me:pw@host", '"HTTPS://host"'),
        ("/config/https:/me:pw@host/x", '"/config/https:/host/x"'),
        ("https:me:pw@host/x", '"host/x"'),
        ("me:pw@host", '"host"'),
        ("git@host:x.git", '"host:x.git"'),
        ("https%3A%2F%2Fme%3apw%40host%2fx", '"https%3A%2F%2Fhost%2fx"'),
        ("https:\\\\me@host\\x", '"https:\\\\host\\x"'),
        ('{"u":"ssh://me@host","v":1}', '"{"u":"ssh://host","v":1}"'),
        ("clone https://me@host/x here", '"clone https://host/x here"'),
        ("https://host/@x", '"https://host/@x"'),
        ("/home/me/app@2/x", '"/home/me/app@2/x"'),
        ("mail me@host, please", '"mail me@host, please"'),
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


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("env.A\n", "env.A\\n"),
        ("x" * NAME_SHOWN, "x" * NAME_SHOWN),
        ("x" * (NAME_SHOWN + 1), "x" * NAME_SHOWN + "…"),
        ("ssh://me@host", "ssh://host"),
    ],
)
def test_names_are_shown_bare_and_cut(name: str, shown: str) -> None:
    assert brief(name) == shown


def test_a_word_that_is_a_text_resembles_nothing() -> None:
    word = "x" * WORD_COMPARED

    assert resembling(word, [word]) == (word,)
    assert resembling(word + "x", [word]) == ()


def test_of_very_many_names_those_that_begin_alike_are_compared() -> None:
    known = [f"other-{number:05}" for number in range(10 * NAMES_COMPARED)]

    assert resembling("projct-00001", [*known, "project-00001"]) == ("project-00001",)


@given(st.text(alphabet="ab@:/%40 ", max_size=40))
def test_hiding_users_leaves_nothing_to_hide(text: str) -> None:
    assert plain(plain(text)) == plain(text)
