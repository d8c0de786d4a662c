from __future__ import annotations

import pytest

from pipeline.report import Problem
from pipeline.terminal.grouping import ID_WIDTH, Detail, group_lines, short_lines
from pipeline.terminal.rendering import render
from tests.pipeline.terminal.problems import failed, lossy


def shown(*problems: Problem, detail: Detail = 5) -> list[str]:
    return render(group_lines(problems, detail)).splitlines()


def test_a_note_alone_is_shown_as_it_is_with_its_kind_and_what_to_do() -> None:
    assert shown(lossy("app", "no place for scm")) == [
        "  - app: no place for scm [no-home]",
        "    To do: set up what it offers instead",
    ]


def test_a_failure_alone_names_its_file_unless_its_text_does() -> None:
    assert shown(failed("bad", "invalid-project", "no path", "/c.yaml"))[1] == (
        "    Source: /c.yaml"
    )
    assert len(shown(failed("a", "own-file", 'in "/a.yaml"', "/a.yaml"))) == 2


@pytest.mark.parametrize(
    ("count", "whose"),
    [
        pytest.param(2, "2 projects (p0, p1)", id="few"),
        pytest.param(7, "7 projects (p0, p1, p2, p3, p4 and 2 more)", id="many"),
    ],
)
def test_the_same_text_for_several_projects_is_one_entry(
    count: int, whose: str
) -> None:
    problems = [lossy(f"p{index}", "no place for scm") for index in range(count)]

    assert shown(*problems)[0] == f"  - {whose}: no place for scm [no-home]"


def test_one_cause_that_fails_many_is_one_entry() -> None:
    cause = 'Permission denied ("/claude/projects")'
    problems = [
        failed(
            f"p{number:03}",
            "transcript-failed",
            f"transcript {number} could not be copied: {cause}",
            f"/source/{number}",
            about=(cause,),
        )
        for number in range(377)
    ]

    assert shown(*problems) == [
        "  - a transcript was not copied: 377 notes [transcript-failed]",
        f"      {cause}: 377 projects (p000, p001, p002, p003, p004 and 372 more)",
        "    To do: see to the cause and import again; all else stays",
    ]


def test_three_fields_are_three_lines_with_counts_and_not_all_combinations() -> None:
    combinations = [
        ("tracker",),
        ("scm",),
        ("tracker", "scm"),
        ("tracker", "reactions"),
        ("tracker", "scm", "reactions"),
    ]
    problems = [
        lossy(f"p{index}", f"no place for {', '.join(fields)}", about=fields)
        for index, fields in enumerate(combinations)
    ]

    assert shown(*problems)[1:-1] == [
        "      tracker: 4 projects (p0, p2, p3, p4)",
        "      scm: 3 projects (p1, p2, p4)",
        "      reactions: 2 projects (p3, p4)",
    ]


def test_of_many_different_notes_five_are_examples_and_the_rest_is_counted() -> None:
    problems = [
        lossy("app", f"{index}.json is none", "record-damaged") for index in range(40)
    ]

    lines = shown(*problems)
    assert lines[0] == "  - a session record does not parse: 40 notes [record-damaged]"
    assert lines[1:7] == [
        *(f"      app: {index}.json is none" for index in range(5)),
        "      and 35 more (-v shows all)",
    ]
    assert sum("is none" in line for line in shown(*problems, detail="all")) == 40
    assert shown(*problems, detail=0)[0] == (
        "  - a session record does not parse: 1 project (app) [record-damaged]"
    )


def test_kinds_come_in_the_order_in_which_they_should_be_mended() -> None:
    problems = [
        failed("a", "transcript-failed", "not copied", None),
        failed("b", "invalid-project", "no path", None),
        failed(None, "no-registry", "no registry", None),
    ]

    kinds = [line.rpartition(" ")[2] for line in shown(*problems)[::2]]
    assert kinds == ["[no-registry]", "[invalid-project]", "[transcript-failed]"]


def test_an_id_without_end_is_cut() -> None:
    [line] = render(short_lines([lossy("x" * 5000, "text")])).splitlines()

    assert line == f"  - {'x' * (ID_WIDTH - 1)}…: text [no-home]"


def test_short_lines_are_one_for_each_kind() -> None:
    problems = [
        failed("a", "pointer", "a is gone", None),
        failed("b", "pointer", "b is gone", None),
        failed("c", "own-file", "c does not load", None),
    ]

    assert render(short_lines(problems)).splitlines() == [
        "  - a pointer of an old session directory leads to no registry: "
        "2 projects (a, b) [pointer]",
        "  - c: c does not load [own-file]",
    ]
