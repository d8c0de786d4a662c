from __future__ import annotations

from textwrap import dedent

import pytest
import yaml
from hypothesis import given

from stages.discover.yaml_text import (
    DEPTH_LIMIT,
    EXPANSION_LIMIT,
    Node,
    Quoted,
    YamlError,
    parse_yaml,
)
from tests.strategies import any_nodes


def parse(text: str) -> Node:
    return parse_yaml(dedent(text).encode()).root


@pytest.mark.parametrize(
    ("text", "root"),
    [
        pytest.param("", None, id="C6-empty"),
        pytest.param("# only a comment\n", None, id="C6-comment"),
        pytest.param("---\n...\n", None, id="C6-empty-document"),
        pytest.param("\ufeffa: b", {"a": "b"}, id="C6-byte-order-mark"),
        pytest.param("123: x\non: y", {"123": "x", "on": "y"}, id="C1-keys-as-typed"),
        *(
            pytest.param(f"a: {word}", {"a": word}, id=f"C5-{word}")
            for word in ("yes", "010", "1.10", "0x1F", "2024-01-01", "1_000", "1:30")
        ),
        *(
            pytest.param(f"a: {word}", {"a": None}, id=f"C5-null-{word or 'nothing'}")
            for word in ("~", "null", "Null", "NULL", "")
        ),
        pytest.param("a: nULL", {"a": "nULL"}, id="C5-no-null"),
        pytest.param("a: 'null'", {"a": "null"}, id="C5-null-in-quotes-is-text"),
        pytest.param("a: !!str", {"a": ""}, id="C5-tagged-nothing-is-text"),
        pytest.param('"a": |\n  x\n  y\n', {"a": "x\ny\n"}, id="C5-block"),
        pytest.param("a: [1, {b: c}]", {"a": ["1", {"b": "c"}]}, id="C5-flow"),
        pytest.param("a: &x 1\nb: *x", {"a": "1", "b": "1"}, id="C5-alias"),
        pytest.param("&k a: 1\nb: *k", {"a": "1", "b": "a"}, id="C5-alias-of-a-key"),
        pytest.param("a: &k b\n*k : 2", {"a": "b", "b": "2"}, id="C5-alias-as-key"),
        pytest.param(
            "d: &d {x: 1, y: 2}\ne: {<<: *d, y: 3}",
            {"d": {"x": "1", "y": "2"}, "e": {"y": "3", "x": "1"}},
            id="C5-merge-own-keys-win",
        ),
        pytest.param(
            "a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc: {<<: [*a, *b]}",
            {
                "a": {"x": "1"},
                "b": {"x": "2", "y": "3"},
                "c": {"x": "1", "y": "3"},
            },
            id="C5-merge-the-first-wins",
        ),
        pytest.param('"<<": 1', {"<<": "1"}, id="C5-quoted-merge-is-a-key"),
    ],
)
def test_scalars_are_the_text_that_was_typed(text: str, root: Node) -> None:
    assert parse(text) == root


@pytest.mark.parametrize(
    ("text", "is_quoted"),
    [
        ("a: 1", False),
        ("a: '1'", True),
        ('a: "+1"', True),
        ("a: '-1e3'", True),
        ("a: !!str 1", True),
        ("a: |-\n  1", True),
    ],
)
def test_number_in_quotes_is_told_from_a_plain_one(text: str, is_quoted: bool) -> None:
    root = parse(text)

    assert isinstance(root, dict)
    assert isinstance(root["a"], Quoted) is is_quoted


@pytest.mark.parametrize(
    ("data", "place", "problem"),
    [
        pytest.param(b"a: b\nc: \xff", (2, 4), "this is no UTF-8", id="C6-no-UTF-8"),
        pytest.param(
            "é: \x00".encode(), (1, 4), "character that YAML does not", id="C6-NUL"
        ),
        pytest.param(b"a: 1\nb: 2\na: 3", (3, 1), 'the key "a" stands', id="C6-twice"),
        pytest.param(b"a: {b: 1, b: 2}", (1, 11), "stands twice", id="C6-twice-inside"),
        pytest.param(b"a: 1\n---\nb: 2", (2, 1), "a second document", id="C6-second"),
        pytest.param(b"a: [1\n", (2, 1), "", id="C6-open-list"),
        pytest.param(b"a: 1\n b: 2", (2, 3), "mapping values", id="C6-indentation"),
        pytest.param(b"\ta: 1", (1, 1), "", id="C6-tab"),
        pytest.param(b"a: *x", (1, 4), 'the alias "x" names', id="C6-unknown-alias"),
        pytest.param(b"a: &x [*x]", (1, 8), 'the alias "x"', id="C6-holds-itself"),
        pytest.param(b"? [a]\n: b", (1, 3), "a key must be", id="C6-list-as-key"),
        pytest.param(b"a: {<<: 1}", (1, 9), "only mappings", id="C6-merge-of-text"),
        pytest.param(
            b"a: &a {}\nb: {<<: *a, <<: *a}",
            (2, 13),
            "stands twice",
            id="C6-merge-twice",
        ),
    ],
)
def test_broken_text_is_an_error_with_its_place(
    data: bytes, place: tuple[int, int], problem: str
) -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(data)

    assert (caught.value.line, caught.value.column) == place
    assert problem in caught.value.problem
    assert str(caught.value).startswith(f"line {place[0]}, column {place[1]}: ")


@pytest.mark.parametrize(
    ("data", "column"),
    [
        pytest.param(b"[" * 50_000, DEPTH_LIMIT + 1, id="C6-lists"),
        pytest.param(b"a: " + b"{a: " * 50_000, DEPTH_LIMIT * 4, id="C6-mappings"),
    ],
)
def test_deep_nesting_is_refused_by_the_parser_or_by_us(
    data: bytes, column: int
) -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(data)

    assert caught.value.line == 1
    # The parser reads ahead; its newer versions have a limit of their own, further on.
    is_ours = caught.value.column == column and "levels deep" in caught.value.problem
    assert is_ours or "depth" in caught.value.problem


def bomb(levels: int, merge: bool) -> bytes:
    lines = ["a0: &a0 {x: 1, y: 2}" if merge else "a0: &a0 [x, x]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{aliases}]")

    return "\n".join(lines).encode()


@pytest.mark.parametrize("merge", [False, True], ids=["aliases", "mappings"])
def test_alias_bomb_is_refused_before_it_is_expanded(merge: bool) -> None:
    assert parse_yaml(bomb(5, merge)).root is not None
    with pytest.raises(YamlError, match=f"more than {EXPANSION_LIMIT} values"):
        parse_yaml(bomb(40, merge))


def test_merges_that_multiply_are_refused() -> None:
    keys = ", ".join(f"k{number}: 1" for number in range(2000))
    lines = [f"base: &base {{{keys}}}"]
    lines += [f"e{number}: {{<<: *base}}" for number in range(1000)]

    with pytest.raises(YamlError, match="aliases that stand for more"):
        parse_yaml("\n".join(lines).encode())


def test_place_of_the_root_and_of_its_values_is_known() -> None:
    document = parse_yaml(b"# first\nname: x\nprojects:\n  - a\nmore: {a: 1}\n")

    assert document.place == (2, 1)
    assert document.places == {"name": (2, 7), "projects": (4, 3), "more": (5, 7)}


@given(any_nodes)
def test_what_yaml_writes_is_read_back(node: Node) -> None:
    text = yaml.dump(node, Dumper=_TextDumper, allow_unicode=True)

    assert parse_yaml(text.encode()).root == node


class _TextDumper(yaml.SafeDumper):
    """Writes text that was quoted as text."""


_TextDumper.add_representer(Quoted, yaml.SafeDumper.represent_str)
