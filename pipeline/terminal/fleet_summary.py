"""What people read of a fleet: how far it is, and one line for each store at the end."""

from __future__ import annotations

__all__ = ("FleetTally", "format_fleet", "format_progress")

import math
import time
from collections.abc import Callable, Mapping

import msgspec

from pipeline.fleet.store import Outcome, StoreResult
from pipeline.terminal.rendering import Line, format_bytes
from pipeline.terminal.statuses import (
    STATUS_FAILED,
    STATUS_INCOMPLETE,
    STATUS_WRONG_USE,
)
from stages.floor.text import plain

LABEL_WIDTH = 16
# What is to be seen first stands last, next to where the next command is typed.
TITLES: dict[Outcome, str] = {
    "nothing": "Without a legacy store",
    "done": "Imported",
    "interrupted": "Interrupted",
    "incomplete": "Incomplete",
    "refused": "Refused",
    "failed": "Failed",
}
PLANNED: dict[Outcome, str] = {"done": "Ready", "incomplete": "Ready in part"}
# The worst one counts: what failed before what was not tried, and that before what came
# in part. An interruption is not a store's, so it is not here.
STATUSES: dict[Outcome, int] = {
    "failed": STATUS_FAILED,
    "refused": STATUS_WRONG_USE,
    "incomplete": STATUS_INCOMPLETE,
}


class FleetTally:
    """What became of the stores so far."""

    def __init__(
        self, total: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total = total
        self.results: list[StoreResult] = []
        self._clock = clock
        self._started = clock()

    def add(self, result: StoreResult) -> None:
        """Add one store, without its report: thousands of these would not fit."""
        self.results.append(msgspec.structs.replace(result, report=b""))

    def count(self, outcome: Outcome) -> int:
        return sum(result.outcome == outcome for result in self.results)

    @property
    def status(self) -> int:
        """The exit status: of the stores' own, the worst."""
        found = [outcome for outcome in STATUSES if self.count(outcome)]

        return STATUSES[found[0]] if found else 0

    @property
    def seconds(self) -> float:
        return self._clock() - self._started


def format_progress(tally: FleetTally, *, at_work: int) -> str:
    """Return how far the fleet is, on one line."""
    ended = len(tally.results)
    parts = [f"{ended} of {tally.total} stores"]
    parts += [
        f"{count} {TITLES[outcome].lower()}"
        for outcome in STATUSES
        if (count := tally.count(outcome))
    ]
    parts.append(f"{at_work} at work")
    if ended:
        left_seconds = tally.seconds / ended * (tally.total - ended)
        parts.append(f"about {math.ceil(left_seconds / 60)} min left")

    return ", ".join(parts)


def format_fleet(tally: FleetTally, *, is_dry_run: bool) -> list[Line]:
    """Return one line for each store, by outcome, and how many there are of each."""
    titles = {**TITLES, **(PLANNED if is_dry_run else {})}
    lines: list[Line] = []
    for outcome, title in titles.items():
        group = [result for result in tally.results if result.outcome == outcome]
        if group:
            lines.append(Line(f"{title}:", "title"))
            lines += map(_line, sorted(group, key=lambda result: result.home))
            lines.append(Line(""))

    return [*lines, *_totals(tally, titles)]


def _line(result: StoreResult) -> Line:
    parts = [result.error] if result.error else []
    if result.outcome in ("done", "incomplete"):
        parts.append(_contents(result))
    if result.left_out:
        parts.append(f"{result.left_out} left out, the first: {result.worst}")
    if result.attempts > 1:
        parts.append(f"{result.attempts} attempts")
    text = f": {'; '.join(parts)}" if parts else ""

    return Line(f"  - {plain(result.home)}{text}", hang=4)


def _contents(result: StoreResult) -> str:
    present = (
        f" ({result.projects_present} already present)"
        if result.projects_present
        else ""
    )

    return (
        f"projects {result.projects}{present}, orchestrators {result.orchestrators}, "
        f"transcripts {result.transcripts} ({format_bytes(result.transcript_bytes)})"
    )


def _totals(tally: FleetTally, titles: Mapping[Outcome, str]) -> list[Line]:
    counts = [
        f"{count} {title.lower()}"
        for outcome, title in titles.items()
        if (count := tally.count(outcome))
    ]
    begun = len(tally.results)
    if begun < tally.total:
        counts.append(f"{tally.total - begun} not begun")
    size_bytes = sum(result.transcript_bytes for result in tally.results)

    return [
        Line(f"{label:<{LABEL_WIDTH}}{text}", hang=LABEL_WIDTH)
        for label, text in (
            ("Stores:", ", ".join(counts) or "none"),
            ("Projects:", str(sum(each.projects for each in tally.results))),
            ("Transcripts:", format_bytes(size_bytes)),
            ("Took:", f"{tally.seconds:.1f} s"),
        )
    ]
