"""Notes as people read them: one entry for each kind, in the order of what to do."""

from __future__ import annotations

__all__ = ("DETAILS", "Detail", "group_lines", "many", "short_lines", "shorten")

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from pipeline.report import Problem
from pipeline.terminal.rendering import Line
from stages.floor.text import plain
from stages.notes import KINDS

# How many examples of each kind are shown; "all" shows each note by itself.
Detail = Literal["all", 5, 3, 1, 0]
DETAILS: tuple[Detail, ...] = (5, 3, 1, 0)

PROJECTS_NAMED = 5
ID_WIDTH = 32  # characters of a project's id, which may have any number

_HANG = 4
_DEEP_HANG = 8


def group_lines(problems: Iterable[Problem], detail: Detail) -> list[Line]:
    """Return an entry for each kind: what happened, how often, examples, what to do."""
    lines: list[Line] = []
    for kind, group in _by_kind(problems):
        if detail == "all" or len(group) == 1:
            for problem in group:
                lines += _single(problem)
        elif len({problem.text for problem in group}) == 1:
            text = f"  - {_whose(group)}{group[0].text} [{kind}]"
            lines += [Line(text, hang=_HANG), *_source(group)]
        else:
            lines += _several(kind, group, detail)
        if to_do := _to_do(kind):
            lines.append(Line(f"    To do: {to_do}", hang=_HANG + 7))

    return lines


def short_lines(problems: Iterable[Problem]) -> list[Line]:
    """Return one line for each kind."""
    lines = []
    for kind, group in _by_kind(problems):
        if len({problem.text for problem in group}) == 1:
            text = f"  - {_whose(group)}{group[0].text} [{kind}]"
        else:
            text = f"  - {_says(kind)}: {_how_many(group)} [{kind}]"
        lines.append(Line(text, hang=_HANG))

    return lines


def many(count: int, word: str) -> str:
    """Return a count with its word, in the plural unless there is one."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def shorten(project_id: str) -> str:
    """Return a project's id on one line, cut to a length that people can read."""
    shown = plain(project_id)

    return shown if len(shown) <= ID_WIDTH else f"{shown[: ID_WIDTH - 1]}…"


def _by_kind(problems: Iterable[Problem]) -> list[tuple[str, list[Problem]]]:
    """Return the notes of each kind, in the order of the table of kinds."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.kind, []).append(problem)
    order = {kind: rank for rank, kind in enumerate(KINDS)}

    return sorted(groups.items(), key=lambda item: order.get(item[0], len(order)))


def _single(problem: Problem) -> list[Line]:
    whose = "" if problem.project is None else f"{shorten(problem.project)}: "
    text = f"  - {whose}{problem.text} [{problem.kind}]"

    return [Line(text, hang=_HANG), *_source([problem])]


def _several(kind: str, group: Sequence[Problem], detail: int) -> list[Line]:
    """Return the head of notes that differ, and of them causes or examples."""
    head = f"  - {_says(kind)}: {_how_many(group)} [{kind}]"
    if not detail:
        return [Line(head, hang=_HANG)]

    counts = Counter(item for problem in group for item in problem.about)
    if counts:
        shown = [
            f"{plain(item)}: {_how_many([p for p in group if item in p.about])}"
            for item, _ in counts.most_common(detail)
        ]
        more = len(counts) - detail
    else:
        shown = [
            problem.text
            if problem.project is None
            else f"{shorten(problem.project)}: {problem.text}"
            for problem in group[:detail]
        ]
        more = len(group) - detail

    return [
        Line(f"  - {_says(kind)}: {many(len(group), 'note')} [{kind}]", hang=_HANG),
        *(Line(f"      {text}", hang=_DEEP_HANG) for text in shown),
        *([Line(f"      and {more:,} more (-v shows all)")] if more > 0 else []),
    ]


def _source(group: Sequence[Problem]) -> list[Line]:
    """Return the file of a failure, where its text does not name it."""
    sources = {problem.source for problem in group}
    source = sources.pop() if len(sources) == 1 else None
    if group[0].severity == "lossy" or source is None:
        return []
    if plain(source) in group[0].text:
        return []

    return [Line(f"    Source: {plain(source)}", hang=_HANG + 8)]


def _whose(group: Sequence[Problem]) -> str:
    if len({problem.project for problem in group}) == 1:
        project = group[0].project
        return "" if project is None else f"{shorten(project)}: "

    return f"{_how_many(group)}: "


def _how_many(group: Sequence[Problem]) -> str:
    """Return how many projects the notes are about, with the ids of the first."""
    ids = list(dict.fromkeys(p.project for p in group if p.project is not None))
    if not ids:
        return many(len(group), "note")

    named = ", ".join(map(shorten, ids[:PROJECTS_NAMED]))
    more = len(ids) - PROJECTS_NAMED
    return f"{many(len(ids), 'project')} ({named}{f' and {more:,} more' if more > 0 else ''})"


def _says(kind: str) -> str:
    return KINDS[kind].says if kind in KINDS else kind


def _to_do(kind: str) -> str:
    return KINDS[kind].to_do if kind in KINDS else ""
