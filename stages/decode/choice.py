"""Which of several orchestrators is the one: chosen one by one, nothing kept (S4, S5)."""

from __future__ import annotations

__all__ = ("Choice", "Names")

from msgspec.structs import replace

from stages.floor.text import NAMES_SHOWN
from stages.messages import IMPORTABLE_AGENTS, Entry, Orchestrator

_NAMES_KEPT = 4 * NAMES_SHOWN

_Order = tuple[bool, bool, float, str, str]


class Names:
    """What an orchestrator's session file of this project can be called (rule S4)."""

    def __init__(self, entry: Entry) -> None:
        self.canonical = frozenset(
            f"{prefix}-orchestrator" for prefix in entry.legacy_prefixes
        )
        self._foreign = entry.foreign_stems

    def is_canonical(self, stem: str) -> bool:
        return stem in self.canonical

    def is_orchestrator(self, stem: str) -> bool:
        """Whether the name alone makes it an orchestrator's."""
        if "-orchestrator" not in stem:
            return False
        if stem in self.canonical:
            return True
        name, _, number = stem.rpartition("-")
        is_numbered = number.isascii() and number.isdigit()
        return is_numbered and name in self.canonical and name not in self._foreign


class Choice:
    """The best of the candidates so far; of the others, only a few names are kept."""

    def __init__(self, names: Names, *, includes_ended: bool) -> None:
        self._names, self._includes_ended = names, includes_ended
        self._live: tuple[_Order, Orchestrator] | None = None
        self._terminal: tuple[_Order, Orchestrator] | None = None
        self._ended: tuple[_Order, Orchestrator] | None = None  # asked for (rule S8)
        self._stems: list[str] = []
        self.live_count = 0

    def consider(self, candidate: Orchestrator) -> None:
        """Weigh one orchestrator's record against the best before it (rule S5)."""
        order = self._order(candidate)
        if candidate.is_terminal:
            if self._terminal is None or order < self._terminal[0]:
                self._terminal = (order, candidate)
            if self._can_be_resumed(candidate) and (
                self._ended is None or order < self._ended[0]
            ):
                self._ended = (order, candidate)
            return

        self.live_count += 1
        self._stems.append(candidate.stem)
        if len(self._stems) > _NAMES_KEPT:
            self._stems = sorted(self._stems)[: _NAMES_KEPT // 2]
        if self._live is None or order < self._live[0]:
            self._live = (order, candidate)

    @property
    def best(self) -> Orchestrator | None:
        """The one to import, or a terminal one where there is no other."""
        if self._live is None and self._ended is not None:
            return replace(self._ended[1], is_terminal=False, is_stopped=True)

        chosen = self._live or self._terminal
        return chosen[1] if chosen else None

    @property
    def also_live(self) -> tuple[str, ...]:
        """The stems of live ones that were not chosen, the first of them by name."""
        stems = sorted(self._stems)
        if self._live and self._live[1].stem in stems:
            stems.remove(self._live[1].stem)

        return tuple(stems[:NAMES_SHOWN])

    def _can_be_resumed(self, candidate: Orchestrator) -> bool:
        return (
            self._includes_ended
            and candidate.is_terminated
            and self._names.is_canonical(candidate.stem)
        )

    def _order(self, candidate: Orchestrator) -> _Order:
        latest_at = (
            candidate.last_transition_at
            or candidate.created_at
            or candidate.modified_at
        )

        return (
            candidate.agent not in IMPORTABLE_AGENTS,
            not self._names.is_canonical(candidate.stem),
            -latest_at.timestamp(),
            candidate.stem,
            candidate.file,
        )
