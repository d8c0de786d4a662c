"""The guard: it fails at one and a half times the recorded ratio, not before."""

from __future__ import annotations

import msgspec
import pytest

from bench.bench_guard import RECORD, Record, judge


@pytest.mark.parametrize(
    ("ratio", "is_slower"),
    [
        pytest.param(1.0, False, id="faster"),
        pytest.param(2.9, False, id="within"),
        pytest.param(3.0, True, id="at-the-limit"),
        pytest.param(5.0, True, id="beyond"),
    ],
)
def test_the_limit_is_one_and_a_half_times_the_record(
    ratio: float, is_slower: bool
) -> None:
    line, found = judge(ratio, 2.0)

    assert found == is_slower
    assert line.count("\n") == 0
    assert f"{ratio:.2f}" in line


def test_a_ratio_is_recorded() -> None:
    assert msgspec.json.decode(RECORD.read_bytes(), type=Record).ratio > 0
