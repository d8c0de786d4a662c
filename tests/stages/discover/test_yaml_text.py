from __future__ import annotations

from textwrap import dedent

import pytest
import yaml
from hypothesis import given

from stages.discover.yaml_text import (
    DEPTH_LIMIT,
    REGISTRY_BOUNDS,
    Bounds,
    Node,
    Quoted,
    YamlError,
    parse_yaml,
)
from tests.strategies import any_nodes


def parse(text: str) -> Node:
    return parse_yaml(dedent(text).encode()).root


@pytest.fixture(params=["libyaml", "pure-Python"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two makes of the parser reads: not every PyYAML has libyaml."""
    if request.param == "pure-Python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    elif not yaml.__with_libyaml__:
        pytest.skip("this PyYAML comes without libyaml")

    return str(request.param)


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


EMOJI_HALVES = r"\ud83d\ude80"


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "root"),
    [
        pytest.param(
            "p:\n  a: |\n      \tmake\n      \t\tlint\n  b: 1",
            {"p": {"a": "\tmake\n\t\tlint\n", "b": "1"}},
            id="block-begins-with-a-tab",
        ),
        pytest.param(
            f"p:\n  a: |- # c\n{' ' * 20}\tmake\n{' ' * 21}x\n  b: 1",
            {"p": {"a": "\tmake\n x", "b": "1"}},
            id="block-deeper-than-an-indicator-can-say",
        ),
        pytest.param(
            "a: >\n  \tx\n  \ty\n  b\n  c\n",
            {"a": "\tx\n\ty\nb c\n"},
            id="folded-block-begins-with-a-tab",
        ),
        pytest.param(
            "a: |\r\n  \tb\r\n\t\r\nc:\t1\r\n",
            {"a": "\tb\n", "c": "1"},
            id="block-with-carriage-returns",
        ),
        pytest.param(
            "- a: |\n     \tx\n  b:\ty\n- |\n  \tz\n",
            [{"a": "\tx\n", "b": "y"}, "\tz\n"],
            id="blocks-in-lists",
        ),
        pytest.param(
            "k: &k\n  |\n    \tt\nb: |\nc: |\n  \tx",
            {"k": "\tt\n", "b": "", "c": "\tx"},
            id="block-with-its-header-in-a-line-of-its-own",
        ),
        pytest.param(
            "?\ta\n:\t|\n  \tb\n", {"a": "\tb\n"}, id="block-of-an-explicit-key"
        ),
        pytest.param(
            "a: |+\n\t\n  \n  \tx\n\t\n  \t\nb: 1",
            {"a": "\n\n\tx\n\n\t\n", "b": "1"},
            id="tabs-on-blank-lines-of-a-block",
        ),
        pytest.param(
            "r: |\n  -\tx\n  # y\tz\n  \"q\n   \t'p\nb:\t1",
            {"r": "-\tx\n# y\tz\n\"q\n \t'p\n", "b": "1"},
            id="what-looks-like-syntax-in-a-block",
        ),
        pytest.param(
            'a:\t1\t# c\n\t\n \t# c\nb:\t\n  -\tx\n  -\t"y\tz"\n  - p\tq\t\n',
            {"a": "1", "b": ["x", "y\tz", "p\tq"]},
            id="tabs-that-separate",
        ),
        pytest.param(
            '{\n\t"a":\t{"b": "/x\ty",\n\t\tc:\t[1,\t2\t]}\n}\n',
            {"a": {"b": "/x\ty", "c": ["1", "2"]}},
            id="tabs-in-JSON",
        ),
        pytest.param(
            "a: x\n  \"y\n  'twas\n   \t| z\n  '\nb:\t1\n",
            {"a": "x \"y 'twas | z '", "b": "1"},
            id="tabs-in-plain-text-of-several-lines",
        ),
        pytest.param(
            "a: \"x\n\t-\ty\\\n  \tz\"\nb: 'it''s\n \t-\tq'\nc:\t1",
            {"a": "x -\tyz", "b": "it's -\tq", "c": "1"},
            id="tabs-in-quotes-of-several-lines",
        ),
        pytest.param(
            "---\na: http://x:80/#y\tz #c\n...\n",
            {"a": "http://x:80/#y\tz"},
            id="tab-behind-what-is-no-comment",
        ),
        pytest.param(
            "a: |\n  b\u2028c\x85d\u2029\n  e\nf: x\u2028y\ng: 'x\x85y'\nh: \"\u2029\"",
            {
                "a": "b\u2028c\x85d\u2029\ne\n",
                "f": "x\u2028y",
                "g": "x\x85y",
                "h": "\u2029",
            },
            id="line-separators-are-characters",
        ),
        pytest.param(
            "a: \"\x91\x7f\"\nb: \x9f x\x7f\nc: '\x80'\nd: x\ufeffy\uffff",
            {"a": "\x91\x7f", "b": "\x9f x\x7f", "c": "\x80", "d": "x\ufeffy\uffff"},
            id="DEL-and-C1",
        ),
        pytest.param(
            "\ue000: \x7f\ue07f", {"\ue000": "\x7f\ue07f"}, id="private-characters-stay"
        ),
        pytest.param(
            f'{{"{EMOJI_HALVES}": "go {EMOJI_HALVES}", "b": "\\ud83d!", '
            f'"c": "\\{EMOJI_HALVES[:6]}", "d": "\\\\{EMOJI_HALVES}"}}',
            {"🚀": "go 🚀", "b": "\ufffd!", "c": "\\ud83d", "d": "\\🚀"},
            id="halves-of-an-emoji",
        ),
        pytest.param(
            f"a: {EMOJI_HALVES}\nb: '{EMOJI_HALVES}'\nc: |\n  {EMOJI_HALVES}",
            {"a": EMOJI_HALVES, "b": EMOJI_HALVES, "c": EMOJI_HALVES},
            id="backslashes-outside-double-quotes",
        ),
    ],
)
def test_what_yaml_1_2_writes_is_text_as_it_was_typed(text: str, root: Node) -> None:
    """Rule C6."""
    assert parse_yaml(text.encode()).root == root


@pytest.mark.usefixtures("loader")
def test_a_text_of_any_length_is_read_piece_by_piece() -> None:
    long = "\u2028 \t é" * 40_000
    text = f"a: |\n  {long}x\n" + "b: [" + "'x',\t\n" * 9 + "]\n" * 1 + "#\n" * 90_000

    root = parse_yaml(text.encode()).root

    assert root == {"a": f"{long}x\n", "b": ["x"] * 9}


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        pytest.param("é: \x00", (1, 4), "a control character", id="NUL"),
        pytest.param("a: 1\nb: 2\na: 3", (3, 1), 'the key "a" stands', id="twice"),
        pytest.param("a: {b: 1, b: 2}", (1, 11), "stands twice", id="twice-inside"),
        pytest.param("a: 1\n---\nb: 2", (2, 1), "a second document", id="second"),
        pytest.param("a: [1\nb: 2", (1, 4), "bracket that opens here", id="bracket"),
        pytest.param("a: {b: [1", (1, 8), "bracket that opens here", id="innermost"),
        pytest.param('{"a": 1 "b": 2}', (1, 12), 'a "," is missing', id="comma"),
        pytest.param('a: "b\nc: d', (1, 4), "quote that opens here", id="quote"),
        pytest.param(
            'a: 1\nb: "c\nd: "e"', (2, 4), "only in line 3", id="quote-closed-by-next"
        ),
        pytest.param(
            "{'a': 'b\n, 'c': 1}", (1, 7), "only in line 2", id="quote-in-brackets"
        ),
        pytest.param("a:\n\tb: 1", (2, 1), "with a tab", id="tab"),
        pytest.param("\ta: 1", (1, 1), "with a tab", id="tab-at-once"),
        pytest.param("a:\n  b: 1\n \tc: 1", (3, 2), "with a tab", id="tab-in-between"),
        pytest.param("a: b\n\tc: d", (2, 1), "with a tab", id="tab-behind-text"),
        pytest.param("a: 1\n b: 2", (2, 3), "belongs to no key", id="indentation"),
        pytest.param("a: 1\nb\n", (2, 1), 'has no ":"', id="no-colon"),
        pytest.param("a: @b", (1, 4), "needs quotes", id="cannot-begin"),
        pytest.param("a: ]", (1, 4), "a value is missing", id="no-value"),
        pytest.param("- a\nb: 1", (2, 1), 'a "-" should stand', id="no-dash"),
        pytest.param("a:\n  b: 1\n c: 1", (3, 2), "a key should", id="no-key"),
        pytest.param("a: |x\n  y", (1, 5), "does not belong behind", id="header"),
        pytest.param("a: *", (1, 5), "letters and digits", id="no-name"),
        pytest.param("a: !b!c d", (1, 4), "this is no tag", id="tag"),
        pytest.param("%YAML 3.0\n---\na", (1, 1), "this directive", id="directive"),
        pytest.param("{a: b}}", (1, 7), "belongs to nothing", id="behind-the-end"),
        pytest.param('a: "\\u12"', (1, 7), "does not name", id="short-escape"),
        pytest.param("a: *x", (1, 4), 'the alias "x" names', id="unknown-alias"),
        pytest.param("a: &x [*x]", (1, 8), 'the alias "x"', id="holds-itself"),
        pytest.param("? [a]\n: b", (1, 3), "a key must be", id="list-as-key"),
        pytest.param("a: {<<: 1}", (1, 9), "only mappings", id="merge-of-text"),
        pytest.param(
            "a: &a {}\nb: {<<: *a, <<: *a}", (2, 13), "twice", id="merge-twice"
        ),
        pytest.param(
            "a:\n\xa0\xa0b: 1", (2, 1), "the blank U+00A0", id="no-break-space"
        ),
        pytest.param("a: |\n  \tb\nc: ]", (3, 4), "", id="behind-a-translated-block"),
        pytest.param("a: \u2028\nc: \u2028 ]: x", (2, 7), "", id="behind-a-separator"),
    ],
)
def test_broken_text_is_an_error_in_plain_words_where_it_begins(
    text: str, place: tuple[int, int], problem: str
) -> None:
    """Rule C6."""
    with pytest.raises(YamlError) as caught:
        parse_yaml(text.encode())

    assert (caught.value.line, caught.value.column) == place
    assert problem in caught.value.problem
    assert str(caught.value).startswith(f"line {place[0]}, column {place[1]}: ")


@pytest.mark.parametrize(
    ("data", "place"),
    [
        pytest.param(b"a: b\nc: \xff", (2, 4), id="at-once"),
        pytest.param(b"\xef\xbb\xbf\xc3\xa9: \xff", (1, 4), id="behind-a-mark"),
        pytest.param(b"- b\r\n" * 90_000 + b"\xff", (90_001, 1), id="far-away"),
    ],
)
def test_no_utf_8_is_an_error_with_its_place(
    data: bytes, place: tuple[int, int]
) -> None:
    with pytest.raises(YamlError, match="this is no UTF-8") as caught:
        parse_yaml(data)

    assert (caught.value.line, caught.value.column) == place


def test_a_key_that_an_error_names_is_cut() -> None:
    key = "k" * 1_000_000
    with pytest.raises(YamlError) as caught:
        parse_yaml(f"? {key}\n: 1\n? {key}\n: 2\n".encode())

    assert len(caught.value.problem) < 1100


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
    assert is_ours or "nested too deeply" in caught.value.problem


def bomb(levels: int, merge: bool) -> bytes:
    lines = ["a0: &a0 {x: 1, y: 2}" if merge else "a0: &a0 [x, x]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{aliases}]")

    return "\n".join(lines).encode()


@pytest.mark.parametrize("merge", [False, True], ids=["aliases", "mappings"])
def test_alias_bomb_is_refused_before_it_is_expanded(merge: bool) -> None:
    assert parse_yaml(bomb(5, merge)).root is not None
    with pytest.raises(YamlError, match="aliases repeat more than"):
        parse_yaml(bomb(40, merge))


def test_what_aliases_repeat_counts_by_its_length() -> None:
    text = f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 32)}]".encode()

    assert parse_yaml(text).root is not None
    with pytest.raises(YamlError, match="aliases repeat more than") as caught:
        parse_yaml(text.replace(b"]", b", *a, *a]"))
    assert caught.value.line == 2


def test_merges_that_multiply_are_refused() -> None:
    keys = ", ".join(f"k{number}: 1" for number in range(2000))
    lines = [f"base: &base {{{keys}}}"]
    lines += [f"e{number}: {{<<: *base}}" for number in range(1000)]

    with pytest.raises(YamlError, match="it may have"):
        parse_yaml("\n".join(lines).encode())


@pytest.mark.parametrize(
    "text",
    ["[1, 2, 3]", "{a: 1, b: 2, c: 3}", "[[], [], {}]", "[&a 1, *a, *a]"],
)
def test_more_values_than_a_document_may_have_are_refused(text: str) -> None:
    bounds = Bounds(nodes=4, repeated=100)

    assert parse_yaml(text.encode(), bounds=bounds).root is not None
    with pytest.raises(YamlError, match="the 3 values that it may have"):
        parse_yaml(text.encode(), bounds=Bounds(nodes=3, repeated=100))


def test_a_registry_of_ten_thousand_projects_is_within_the_bounds() -> None:
    assert REGISTRY_BOUNDS.nodes > 10_000 * 30


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("k: " + "x" * 1_000_000, id="one-text"),
        pytest.param("#\n" * 500_000, id="comments"),
        pytest.param("\t\n" * 500_000, id="blank-lines"),
        pytest.param("[" + "x," * 500_000 + "]", id="texts"),
    ],
)
def test_long_reading_asks_again_and_again_whether_to_go_on(text: str) -> None:
    asked = 0

    def stop_at_the_fifth() -> None:
        nonlocal asked
        asked += 1
        if asked == 5:
            raise KeyboardInterrupt

    lines = text.replace(",", ",\n")
    with pytest.raises(KeyboardInterrupt):
        parse_yaml(lines.encode(), stop_at_the_fifth)


def test_place_of_the_root_and_of_its_keys_is_known() -> None:
    document = parse_yaml(b"# first\nname: x\nprojects:\n  - a\nmore: {a: 1}\n")

    assert document.place == (2, 1)
    assert [document.place_of(key) for key in ("name", "projects", "more", "a")] == [
        (2, 1),
        (3, 1),
        (5, 1),
        (2, 1),
    ]


@given(any_nodes)
def test_what_yaml_writes_is_read_back(node: Node) -> None:
    text = yaml.dump(node, Dumper=_TextDumper, allow_unicode=True)

    assert parse_yaml(text.encode()).root == node


class _TextDumper(yaml.SafeDumper):
    """Writes text that was quoted as text."""


_TextDumper.add_representer(Quoted, yaml.SafeDumper.represent_str)
