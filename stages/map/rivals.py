"""Entries of one path: the one with a live orchestrator comes before the others (P5)."""

from __future__ import annotations

__all__ = ("Rivals",)

from collections import defaultdict

from msgspec.structs import replace

from stages.messages import PlannedProject

# Of more live orchestrators in one directory, those that come later are not even
# compared: nobody has so many, and what is kept until all are there must stay small.
LIVE_KEPT = 16


class Rivals:
    """Keeps projects of one path back until all of them are there, and orders them.

    Whatever is inserted first of them takes the path; the others are left out then.
    """

    def __init__(self) -> None:
        self._kept: dict[str, list[PlannedProject]] = defaultdict(list)

    def add(self, planned: PlannedProject, count: int) -> list[PlannedProject]:
        """Return what can go on now; `count` is how many projects have that path."""
        if count <= 1:
            return [planned]

        kept = self._kept[planned.real_path]
        kept.append(_without_session(planned) if _live(kept) >= LIVE_KEPT else planned)
        if len(kept) < count:
            return []

        del self._kept[planned.real_path]
        return sorted(kept, key=lambda each: (each.session is None, each.project.id))


def _live(kept: list[PlannedProject]) -> int:
    return sum(each.session is not None for each in kept[: 2 * LIVE_KEPT])


def _without_session(planned: PlannedProject) -> PlannedProject:
    return replace(
        planned,
        session=None,
        transcript=None,
        session_notes=(),
        orchestrator="skipped" if planned.session else planned.orchestrator,
    )
