from __future__ import annotations

import pytest

from stages.discover.fields import Fields, list_unknown
from stages.discover.yaml_text import Node


@pytest.mark.parametrize(
    ("node", "kept", "left_out"),
    [
        pytest.param(["a", {}, "b"], ("a", "b"), ["x.l[1]"], id="one"),
        pytest.param([[], {}, [], "a"], ("a",), ["x.l[0], x.l[1], x.l[2]"], id="a-few"),
        pytest.param(
            [[]] * 100_000, (), ["x.l[0], x.l[1], x.l[2] and 99997 more"], id="many"
        ),
        pytest.param("a", (), ["x.l"], id="the-whole-field"),
    ],
)
def test_wrong_elements_of_a_list_are_one_text_with_their_number(
    node: Node, kept: tuple[str, ...], left_out: list[str]
) -> None:
    """Rule P2."""
    fields = Fields({"l": node}, "x.")

    assert fields.texts("l") == kept
    assert fields.all_wrong() == left_out


def test_wrong_values_of_a_map_are_one_text_with_their_number() -> None:
    """Rule P2."""
    wrong: dict[str, Node] = {"K" * 5000: []}
    fields = Fields({"env": {"A": "b", **wrong, "B": {}, "C": [], "D": []}})

    assert fields.text_map("env") == (("A", "b"),)
    [names] = fields.all_wrong()
    assert names.startswith("env.KKK")
    assert names.endswith("…, env.B, env.C and 1 more")


def test_fields_of_a_wrong_type_are_a_note_each() -> None:
    fields = Fields({"a": [], "b": {"c": [], "d": ["x", []]}})
    fields.text("a")
    fields.block("b").text("c")
    fields.block("b").texts("d")

    notes = fields.notes("app", "/f")
    assert [(note.project_id, note.kind, note.text) for note in notes] == [
        ("app", "wrong-type", f"left out for a wrong type: {name}")
        for name in ("a", "b.c", "b.d[1]")
    ]


def test_unknown_names_are_shown_with_the_last_part_that_they_resemble() -> None:
    """Rule P3."""
    known = frozenset({"agent", "agentConfig"})

    assert (
        list_unknown([("worker.agnt", known), ("xyzzy", known)])
        == "worker.agnt (agent?), xyzzy"
    )
    assert list_unknown([]) == ""
    assert list_unknown([("x", known)] * 1000).endswith("x and 980 more")
