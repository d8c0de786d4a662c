"""Measuring: the peak is the process's own, pairs are fair, stores stay as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.generate_store import StoreShape
from bench.measure import (
    Result,
    Row,
    Run,
    Store,
    floor_command,
    import_command,
    mebibytes,
    pair,
    run,
)

pytestmark = pytest.mark.skipif(
    not hasattr(os, "wait4"), reason="measures by what the system tells of a child"
)
SHAPE = StoreShape(
    projects=10, records=4, transcripts=2, transcript_bytes=5000, sidecars=1
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.make(tmp_path / "store", SHAPE)


def took(seconds: float) -> Run:
    return Run(seconds=seconds, cpu_seconds=seconds, peak_bytes=0)


def read_tree(directory: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in directory.rglob("*")
        if file.is_file()
    }


def test_the_peak_is_that_of_the_process_and_not_of_who_started_it() -> None:
    ballast = b"x" * (200 << 20)
    small = run([sys.executable, "-c", "pass"])
    large = run([sys.executable, "-c", "b'x' * (100 << 20)"])

    assert len(ballast) == 200 << 20
    assert mebibytes(small.peak_bytes) < 60
    assert 100 < mebibytes(large.peak_bytes) < 180


def test_what_fails_is_no_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run([sys.executable, "-c", "raise SystemExit('broken')"])

    assert "broken" in capsys.readouterr().err


def test_pairs_take_turns_in_who_begins_after_a_run_of_each() -> None:
    order: list[str] = []

    def note(who: str) -> Run:
        order.append(who)
        return took(1)

    pair(lambda: note("ours"), lambda: note("other"), pairs=2)

    assert order == ["ours", "other", "ours", "other", "other", "ours"]


def test_the_ratio_is_the_median_of_the_pairs_and_the_first_runs_do_not_count() -> None:
    # In the second pair both were slowed down; the first run of each is to warm up.
    ours = iter([90.0, 2.0, 40.0, 9.0])
    other = iter([1.0, 1.0, 10.0, 3.0])
    found = pair(lambda: took(next(ours)), lambda: took(next(other)), pairs=3)

    assert (found.ratio, found.lowest, found.highest) == (3.0, 2.0, 4.0)
    assert found.fastest_ratio == 2.0
    assert (found.ours.seconds, found.other.seconds) == (9.0, 3.0)


@pytest.mark.parametrize(
    ("row", "is_met", "verdict"),
    [
        pytest.param(Row(what="a", value=2.0, at_most=2), True, "ok", id="at-most"),
        pytest.param(Row(what="a", value=2.1, at_most=2), False, "MISSED", id="above"),
        pytest.param(Row(what="a", value=0.9, at_least=0.9), True, "ok", id="at-least"),
        pytest.param(
            Row(what="a", value=0.8, at_least=0.9), False, "MISSED", id="below"
        ),
        pytest.param(Row(what="a", value=7.0), True, "", id="no-limit"),
    ],
)
def test_a_row_tells_whether_its_target_is_met(
    row: Row, is_met: bool, verdict: str
) -> None:
    found = [word for word in ("ok", "MISSED") if word in str(row).split()]

    assert (row.is_met, "".join(found)) == (is_met, verdict)


def test_a_result_comes_back_from_its_file_as_it_was() -> None:
    paired = pair(lambda: took(2), lambda: took(1), pairs=1)
    result = Result(
        rows=[Row(what="a", value=2.0, at_most=3, paired=paired)], lines=["b"]
    )

    assert msgspec.json.decode(msgspec.json.encode(result), type=Result) == result


def test_the_floor_reads_every_record_and_copies_every_transcript(
    store: Store, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    done = run(
        floor_command("--read", store.root, "--copy", store.buckets, copies, "--flush")
    )

    bodies = [
        body
        for name, body in read_tree(store.root).items()
        if Path(name).parent.name == "sessions"
    ]
    holding = sum(b"orchestrator" in body for body in bodies)
    # The state root also holds a directory that was migrated: the floor reads it too.
    assert len(bodies) >= store.generated.records
    assert int(done.output) == holding
    assert read_tree(copies) == read_tree(store.buckets)


def test_an_import_leaves_no_trace_in_the_store(store: Store) -> None:
    before = read_tree(store.buckets) | read_tree(store.root)
    with store.fresh_places() as place:
        run(import_command(store, place / "data"))
        written = read_tree(store.buckets)

    assert (place / "data" / "ao.db").exists()
    assert len(written) > len(read_tree(store.buckets))
    assert read_tree(store.buckets) | read_tree(store.root) == before
