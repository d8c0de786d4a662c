from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from stages.floor.times import from_epoch_seconds, from_file_time, parse_time, to_stored
from tests.strategies import any_json, moments, rfc_3339_texts

LIMIT = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        pytest.param(
            "2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC), id="L6-whole"
        ),
        pytest.param(
            "2026-03-01T10:00:00.250Z",
            datetime(2026, 3, 1, 10, 0, 0, 250000, tzinfo=UTC),
            id="L6-fraction",
        ),
        pytest.param(
            "2026-03-01T10:00:00.123456789Z",
            datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC),
            id="L6-past-the-sixth-cut",
        ),
        pytest.param(
            "2026-03-01T10:00:00.999999999Z",
            datetime(2026, 3, 1, 10, 0, 0, 999999, tzinfo=UTC),
            id="L6-cut-is-not-rounded",
        ),
        pytest.param("2026-03-01T10:00:00.1234567890Z", None, id="L6-ten-digits"),
        pytest.param(
            "2026-03-01T01:30:00+02:00",
            datetime(2026, 2, 28, 23, 30, tzinfo=UTC),
            id="L6-offset",
        ),
        pytest.param("2026-03-01t10:00:00Z", None, id="L6-small-t"),
        pytest.param("2026-03-01T10:00:00z", None, id="L6-small-z"),
        pytest.param("2026-03-01 10:00:00Z", None, id="L6-blank-for-t"),
        pytest.param("2026-03-01T10:00:00", None, id="L6-no-offset"),
        pytest.param("2026-03-01T10:00:00+0200", None, id="L6-offset-without-colon"),
        pytest.param("2026-03-01T10:00:00.Z", None, id="L6-empty-fraction"),
        pytest.param("2026-03-01T10:00:00,5Z", None, id="L6-comma"),
        pytest.param("2026-03-01T10:00Z", None, id="L6-no-seconds"),
        pytest.param("2026-03-01", None, id="L6-date"),
        pytest.param(" 2026-03-01T10:00:00Z", None, id="L6-blank-before"),
        pytest.param("2026-03-01T10:00:00Z\n", None, id="L6-line-end-behind"),
        pytest.param("２０２６-03-01T10:00:00Z", None, id="L6-other-digits"),
        pytest.param("2026-13-01T10:00:00Z", None, id="L6-no-such-month"),
        pytest.param("2026-02-30T10:00:00Z", None, id="L6-no-such-day"),
        pytest.param("2026-06-30T23:59:60Z", None, id="L6-leap-second"),
        pytest.param("0001-01-01T00:00:00+01:00", None, id="L6-year-0-in-UTC"),
        pytest.param("9999-12-31T23:59:59-01:00", None, id="L6-year-10000-in-UTC"),
        pytest.param(1772359200, None, id="L6-number"),
        pytest.param(None, None, id="L6-absent"),
    ],
)
def test_time_counts_in_one_form_only(text: object, time: datetime | None) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize(
    ("time", "stored"),
    [
        pytest.param(
            datetime(2026, 6, 18, 10, 26, tzinfo=UTC),
            "2026-06-18 10:26:00 +0000 UTC",
            id="D6-whole",
        ),
        pytest.param(
            datetime(2026, 6, 18, 10, 26, 0, 500000, tzinfo=UTC),
            "2026-06-18 10:26:00.5 +0000 UTC",
            id="D6-no-trailing-zeros",
        ),
        pytest.param(
            datetime(2026, 6, 18, 10, 26, 0, 1, tzinfo=UTC),
            "2026-06-18 10:26:00.000001 +0000 UTC",
            id="D6-microsecond",
        ),
        pytest.param(
            datetime(2026, 6, 18, 1, tzinfo=timezone(timedelta(hours=2))),
            "2026-06-17 23:00:00 +0000 UTC",
            id="D6-UTC",
        ),
        pytest.param(
            datetime(33, 1, 2, tzinfo=UTC), "0033-01-02 00:00:00 +0000 UTC", id="D6-old"
        ),
    ],
)
def test_time_is_stored_as_the_daemon_writes_it(time: datetime, stored: str) -> None:
    assert to_stored(time) == stored


@pytest.mark.parametrize(
    ("nanoseconds", "time"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_500_000_999, datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        (2**80, LIMIT),
        (-(2**80), datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_file_time_is_cut_to_microseconds_and_bounded(
    nanoseconds: int, time: datetime
) -> None:
    assert from_file_time(nanoseconds) == time


@pytest.mark.parametrize(
    ("seconds", "time"),
    [
        (1772359200, datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (0.5, datetime(1970, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        (1e300, None),
        (float("inf"), None),
        (float("nan"), None),
        (-1e12, None),
    ],
)
def test_epoch_seconds_beyond_the_years_1_to_9999_are_no_time(
    seconds: float, time: datetime | None
) -> None:
    assert from_epoch_seconds(seconds) == time


@given(moments)
def test_stored_times_survive_the_database_and_keep_their_order(
    moment: datetime,
) -> None:
    stored = to_stored(moment)
    database = sqlite3.connect(":memory:")
    read = database.execute("SELECT ?, datetime(substr(?, 1, 19))", (stored, stored))
    text, seconds = read.fetchone()
    database.close()
    whole, _, fraction = text.removesuffix(" +0000 UTC").partition(".")

    assert text == stored
    assert seconds == whole
    assert datetime.fromisoformat(f"{whole}.{fraction:0<6}+00:00") == moment


@given(rfc_3339_texts() | any_json)
def test_any_text_is_a_time_in_UTC_or_none(text: object) -> None:
    time = parse_time(text)

    assert time is None or time.utcoffset() == timedelta(0)
