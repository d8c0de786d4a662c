"""The report of an import or a verification, built from what flows past."""

from __future__ import annotations

__all__ = (
    "Problem",
    "Report",
    "Tally",
    "Verification",
    "VerificationTally",
    "to_problem",
)

import time
from collections.abc import Iterable

import msgspec

from stages.messages import Checked, Note, RelocatedProject, Severity
from stages.text import plain


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One note, for programs."""

    project: str | None
    kind: str
    severity: Severity
    source: str | None
    text: str  # without the project's id


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an import did; in a dry run, what it would do."""

    dry_run: bool = False
    projects_imported: int = 0
    projects_skipped: int = 0
    projects_invalid: int = 0
    orchestrators_imported: int = 0
    orchestrators_skipped: int = 0
    orchestrators_absent: int = 0
    transcripts_relocated: int = 0
    transcripts_present: int = 0
    transcripts_missing: int = 0
    transcripts_failed: int = 0
    transcript_bytes: int = 0
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0
    sessions_read: int = 0
    files_skipped: int = 0
    # In a dry run: what would be imported, and the room where the transcripts go.
    planned_projects: tuple[PlannedItem, ...] = ()
    free_bytes: int | None = None

    @property
    def has_failures(self) -> bool:
        """Whether something that should have come could not."""
        return any(problem.severity == "failed" for problem in self.problems)


class PlannedItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a dry run found that an import would do with one project."""

    id: str
    project: str
    orchestrator: str
    transcript: str | None
    transcript_bytes: int


class Verification(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether everything has arrived."""

    projects_checked: int = 0
    transcript_bytes: int = 0
    faults: tuple[Problem, ...] = ()
    changed: tuple[Problem, ...] = ()
    seconds: float = 0.0


class Tally:
    """Adds up what became of the projects."""

    def __init__(self, *, is_dry_run: bool) -> None:
        self._is_dry_run = is_dry_run
        self._started = time.perf_counter()
        self._counts: dict[str, int] = {}
        self._notes: list[Note] = []
        self._planned: list[PlannedItem] = []

    def add_invalid(self, notes: Iterable[Note]) -> None:
        """Count projects that could not even be planned, by their notes."""
        before = len(self._notes)
        self._notes += notes
        self._count("projects_invalid", len(self._notes) - before)

    def add_notes(self, notes: Iterable[Note]) -> None:
        """Add notes that belong to no outcome."""
        self._notes += notes

    def add(self, project: RelocatedProject) -> None:
        """Count one project."""
        outcome = "imported" if project.project == "imported" else "skipped"
        self._count(f"projects_{outcome}")
        if project.orchestrator != "not-considered":
            self._count(f"orchestrators_{project.orchestrator}")
        if project.transcript is not None:
            self._count(f"transcripts_{project.transcript}")
        self._count("transcript_bytes", project.transcript_bytes)
        self._count("sessions_read", project.sessions_read)
        self._count("files_skipped", project.files_skipped)
        self._notes += project.notes
        if self._is_dry_run:
            self._planned.append(
                PlannedItem(
                    id=project.id,
                    project=project.project,
                    orchestrator=project.orchestrator,
                    transcript=project.transcript,
                    transcript_bytes=project.transcript_bytes,
                )
            )

    def report(self, *, free_bytes: int | None = None) -> Report:
        """Return the report, its notes in the order of the projects' ids (rule P6)."""
        notes = _in_order(self._notes)

        return Report(
            dry_run=self._is_dry_run,
            notes=tuple(map(_line, notes)),
            problems=tuple(map(to_problem, notes)),
            seconds=round(time.perf_counter() - self._started, 3),
            planned_projects=tuple(sorted(self._planned, key=lambda item: item.id)),
            free_bytes=free_bytes,
            **self._counts,
        )

    def _count(self, name: str, by: int = 1) -> None:
        self._counts[name] = self._counts.get(name, 0) + by


class VerificationTally:
    """Adds up how the projects compare."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._checked = 0
        self._bytes = 0
        self._faults: list[Note] = []
        self._changed: list[Note] = []

    def add(self, checked: Checked) -> None:
        """Add one project."""
        self._checked += 1
        self._bytes += checked.transcript_bytes
        self._faults += checked.faults
        self._changed += checked.changed

    def verification(self) -> Verification:
        """Return the result, in the order of the projects' ids."""
        return Verification(
            projects_checked=self._checked,
            transcript_bytes=self._bytes,
            faults=tuple(map(to_problem, _in_order(self._faults))),
            changed=tuple(map(to_problem, _in_order(self._changed))),
            seconds=round(time.perf_counter() - self._started, 3),
        )


def to_problem(note: Note) -> Problem:
    """Return the note as programs read it."""
    return Problem(
        project=note.project_id,
        kind=note.kind,
        severity=note.severity,
        source=note.source,
        text=note.text,
    )


def _line(note: Note) -> str:
    return (
        note.text
        if note.project_id is None
        else f"{plain(note.project_id)}: {note.text}"
    )


def _in_order(notes: list[Note]) -> list[Note]:
    # Those of the store as a whole come first; a project's stay in their own order.
    return sorted(notes, key=lambda note: note.project_id or "")
