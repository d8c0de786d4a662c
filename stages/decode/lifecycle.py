"""The lifecycle of a record, in all its encodings, and whether it has ended (L1, L2, L3)."""

from __future__ import annotations

__all__ = ("Lifecycle", "find_lifecycle", "is_terminal", "object_in")

import msgspec

from stages.floor.json_text import decode_object, mend

TERMINAL_STATES = frozenset({"done", "terminated"})
TERMINAL_STATUSES = frozenset({"killed", "terminated", "cleanup", "errored", "done"})

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

    ended_at = lifecycle.session.get("terminatedAt")
    return lifecycle.state in TERMINAL_STATES or ended_at is not None


def object_in(value: object) -> Object | None:
    """Return an object, or the one that a string holds: encoded twice."""
    if isinstance(value, str):
        return decode_object(value)

    return value if isinstance(value, dict) else None


def _is_version_2(version: object) -> bool:
    return version == "2" or (version == 2 and not isinstance(version, bool))
