"""Which of several orchestrators is the one: chosen one by one, nothing kept (S4, S5)."""

from __future__ import annotations

__all__ = ("Choice", "Names")

import unicodedata

from stages.floor.text import NAMES_SHOWN
from stages.messages import IMPORTABLE_AGENTS, Entry, Orchestrator

_NAMES_KEPT = 4 * NAMES_SHOWN

_Order = tuple[bool, bool, float, str, str]


class Names:
    """What an orchestrator's session file of this project can be called (rule S4)."""

    def __init__(self, entry: Entry) -> None:
        prefixes = {p for p in (entry.prefix, entry.legacy_prefix) if p}
        self.canonical = frozenset(
            f"{unicodedata.normalize('NFC', prefix)}-orchestrator"
            for prefix in prefixes
        )
        self._foreign = entry.foreign_stems

    def is_canonical(self, stem: str) -> bool:
        return _nfc(stem) in self.canonical

    def is_orchestrator(self, stem: str) -> bool:
        """Whether the name alone makes it an orchestrator's."""
        if "-orchestrator" not in stem:
            return False

        stem = _nfc(stem)
        if stem in self.canonical:
            return True
        name, _, number = stem.rpartition("-")
        is_numbered = number.isascii() and number.isdigit()
        return is_numbered and name in self.canonical and name not in self._foreign


class Choice:
    """The best of the candidates so far; of the others, only a few names are kept."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._live: tuple[_Order, Orchestrator] | None = None
        self._terminal: tuple[_Order, Orchestrator] | None = None
        self._stems: list[str] = []
        self.live_count = 0

    def consider(self, candidate: Orchestrator) -> None:
        """Weigh one orchestrator's record against the best before it (rule S5)."""
        order = self._order(candidate)
        if candidate.is_terminal:
            if self._terminal is None or order < self._terminal[0]:
                self._terminal = (order, candidate)
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
        chosen = self._live or self._terminal

        return chosen[1] if chosen else None

    @property
    def also_live(self) -> tuple[str, ...]:
        """The stems of live ones that were not chosen, the first of them by name."""
        stems = sorted(self._stems)
        if self._live and self._live[1].stem in stems:
            stems.remove(self._live[1].stem)

        return tuple(stems[:NAMES_SHOWN])

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


def _nfc(name: str) -> str:
    # File systems may give names back decomposed.
    return name if name.isascii() else unicodedata.normalize("NFC", name)
