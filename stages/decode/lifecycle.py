"""The lifecycle of a record, in all its encodings, and whether it has ended (L1, L2, L3)."""

from __future__ import annotations

__all__ = (
    "Lifecycle",
    "find_lifecycle",
    "is_terminal",
    "is_terminated",
    "object_in",
)

import msgspec

from stages.floor.json_text import decode_object, mend
from stages.floor.times import parse_time

TERMINAL_STATES = frozenset({"done", "terminated"})
TERMINAL_STATUSES = frozenset({"killed", "terminated", "cleanup", "errored", "done"})
# Records without a lifecycle were marked so when the application stopped.
TERMINATED_STATUSES = frozenset({"killed", "terminated"})

Object = dict[str, object]


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True):
    """The two blocks of a lifecycle that matter; an absent one is empty."""

    session: Object
    runtime: Object

    @property
    def state(self) -> str | None:
        state = self.session.get("state")
        return mend(state) if isinstance(state, str) else None


def find_lifecycle(record: Object, *, is_v1: bool) -> Lifecycle | None:
    """Return the lifecycle of a record, or None if it predates lifecycles (rule L1)."""
    found = object_in(record.get("lifecycle"))
    if found is None and (is_v1 or _is_version_2(record.get("stateVersion"))):
        found = object_in(record.get("statePayload"))
    if found is None:
        return None

    return Lifecycle(
        session=object_in(found.get("session")) or {},
        runtime=object_in(found.get("runtime")) or {},
    )


def is_terminal(lifecycle: Lifecycle | None, status: str | None) -> bool:
    """Whether the session has ended (rules L2, L3)."""
    if lifecycle is None:
        return status in TERMINAL_STATUSES

    return lifecycle.state in TERMINAL_STATES or _has_ended(lifecycle.session)


def is_terminated(lifecycle: Lifecycle | None, status: str | None) -> bool:
    """Whether it was stopped rather than done, so that it can be resumed (S7, S8)."""
    if lifecycle is None:
        return status in TERMINATED_STATUSES

    return lifecycle.state == "terminated"


def _has_ended(session: Object) -> bool:
    """Whether the time of its end still holds; a restored session keeps an old one."""
    ended = session.get("terminatedAt")
    if ended is None:
        return False

    ended_at = parse_time(ended)
    moved_at = parse_time(session.get("lastTransitionAt"))
    return ended_at is None or moved_at is None or ended_at >= moved_at


def object_in(value: object) -> Object | None:
    """Return an object, or the one that a string holds: encoded twice."""
    if isinstance(value, str):
        return decode_object(value)

    return value if isinstance(value, dict) else None


def _is_version_2(version: object) -> bool:
    return version == "2" or (version == 2 and not isinstance(version, bool))
