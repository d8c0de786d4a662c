"""Times: read from legacy text and from files, written as the daemon writes them."""

from __future__ import annotations

__all__ = ("from_epoch_seconds", "from_file_time", "parse_time", "to_stored")

import re
from datetime import UTC, datetime, timedelta

_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-5][0-9])"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: object) -> datetime | None:
    """Return the time in UTC, to the microsecond, or None for another form (L6)."""
    if not isinstance(text, str) or not (found := _RFC_3339.fullmatch(text)):
        return None

    seconds, fraction, offset = found.groups()
    micros = (fraction or "0")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(f"{seconds}.{micros}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):  # a 13th month; the year 0 in UTC
        return None


def from_file_time(nanoseconds: int) -> datetime:
    """Return a file's time; beyond what a datetime holds, the nearest that it does."""
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        bound = datetime.max if nanoseconds > 0 else datetime.min
        return bound.replace(tzinfo=UTC)


def from_epoch_seconds(seconds: float) -> datetime | None:
    """Return the time, or None if it lies beyond the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):  # ValueError: not a number
        return None


def to_stored(time: datetime) -> str:
    """Return the text that the daemon's driver stores for this time (rule D6)."""
    # 2026-06-18 10:26:00.500000+00:00, the fraction only where it is not zero.
    text = time.astimezone(UTC).isoformat(" ")
    seconds, fraction = text[:19], text[19:-6].rstrip("0")

    return f"{seconds}{fraction} +0000 UTC"
