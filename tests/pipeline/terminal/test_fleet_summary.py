"""What people read of a fleet, and the status that it ends with."""

from __future__ import annotations

from itertools import count

import pytest

from pipeline.fleet.store import Outcome, StoreResult
from pipeline.terminal.fleet_summary import FleetTally, format_fleet, format_progress
from pipeline.terminal.rendering import render

RESULTS = (
    StoreResult(
        home="/home/kim",
        outcome="failed",
        error="the disk is full",
        attempts=1,
    ),
    StoreResult(
        home="/home/eve",
        outcome="incomplete",
        projects=2,
        transcript_bytes=2048,
        transcripts=1,
        left_out=3,
        worst="app: no path",
    ),
    StoreResult(home="/home/dan", outcome="refused", error="locked", attempts=4),
    StoreResult(home="/home/bob", outcome="nothing"),
    StoreResult(
        home="/home/ada", outcome="done", projects_present=3, orchestrators=1
    ),
    StoreResult(home="/home/a\x1b[2J", outcome="done"),
)  # fmt: skip


def tally(*results: StoreResult, total: int | None = None) -> FleetTally:
    """Return a tally whose clock goes on by ten seconds each time it is read."""
    ticks = count(0, 10)
    found = FleetTally(
        len(results) if total is None else total, clock=lambda: next(ticks)
    )
    for result in results:
        found.add(result)

    return found


def test_each_store_has_one_line_in_the_group_of_its_outcome() -> None:
    assert render(format_fleet(tally(*RESULTS), is_dry_run=False)) == (
        "Without a legacy store:\n"
        "  - /home/bob\n"
        "\n"
        "Imported:\n"
        "  - /home/a\\x1b[2J: projects 0, orchestrators 0, transcripts 0 (0 bytes)\n"
        "  - /home/ada: projects 0 (3 already present), orchestrators 1, transcripts 0 "
        "(0 bytes)\n"
        "\n"
        "Incomplete:\n"
        "  - /home/eve: projects 2, orchestrators 0, transcripts 1 (2.0 KiB); 3 left out, "
        "the first: app: no path\n"
        "\n"
        "Refused:\n"
        "  - /home/dan: locked; 4 attempts\n"
        "\n"
        "Failed:\n"
        "  - /home/kim: the disk is full\n"
        "\n"
        "Stores:         1 without a legacy store, 2 imported, 1 incomplete, 1 refused, "
        "1 failed\n"
        "Projects:       2\n"
        "Transcripts:    2.0 KiB\n"
        "Took:           10.0 s"
    )


def test_a_dry_run_does_not_say_that_something_was_imported() -> None:
    shown = render(format_fleet(tally(*RESULTS), is_dry_run=True))

    assert "Imported" not in shown
    assert "Ready:\n  - /home/a" in shown
    assert "Ready in part:\n  - /home/eve: " in shown


def test_stores_that_nobody_came_to_are_counted() -> None:
    shown = render(format_fleet(tally(RESULTS[0], total=5), is_dry_run=False))

    assert "Stores:         1 failed, 4 not begun\n" in shown


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param(["done", "nothing"], 0, id="all-done"),
        pytest.param(["done", "incomplete"], 3, id="incomplete-before-done"),
        pytest.param(["incomplete", "refused"], 2, id="refused-before-incomplete"),
        pytest.param(["refused", "failed", "incomplete"], 1, id="failed-before-all"),
    ],
)
def test_the_worst_store_decides_the_status(
    outcomes: list[Outcome], status: int
) -> None:
    results = [StoreResult(home="/h", outcome=outcome) for outcome in outcomes]

    assert tally(*results).status == status


def test_progress_says_how_far_the_fleet_is() -> None:
    found = tally(*RESULTS, total=300)

    assert format_progress(found, at_work=8) == (
        "6 of 300 stores, 1 failed, 1 refused, 1 incomplete, 8 at work, "
        "about 9 min left"
    )


def test_before_the_first_store_nobody_knows_what_is_left() -> None:
    assert format_progress(tally(total=2), at_work=2) == "0 of 2 stores, 2 at work"
