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
from typing import Literal

import msgspec

from stages.floor.text import plain
from stages.messages import (
    Checked,
    Note,
    OrchestratorOutcome,
    RelocatedProject,
    Severity,
    TranscriptOutcome,
)
from stages.notes import KINDS, note


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
    # In a dry run: what would become of each project, and the room where the transcripts go.
    planned_projects: tuple[PlannedItem, ...] = ()
    free_bytes: int | None = None

    @property
    def has_failures(self) -> bool:
        """Whether something that should have come could not."""
        return any(problem.severity == "failed" for problem in self.problems)

    @property
    def has_room(self) -> bool:
        """Whether the transcripts have room where they go, as far as that is known."""
        return self.free_bytes is None or self.transcript_bytes <= self.free_bytes


class PlannedItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a dry run found that an import would do with one project."""

    id: str
    project: Literal["imported", "skipped", "conflict", "invalid"]
    orchestrator: OrchestratorOutcome
    transcript: TranscriptOutcome | None  # None: it has none
    transcript_bytes: int
    why: tuple[str, ...]  # something of it would be left out


class Verification(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether everything has arrived."""

    projects_checked: int = 0
    projects_invalid: int = 0  # in the registry, and never imported
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
        for invalid in notes:
            self._notes.append(invalid)
            self._count("projects_invalid")
            if self._is_dry_run:
                self._planned.append(
                    PlannedItem(
                        id=invalid.project_id or "",
                        project="invalid",
                        orchestrator="not-considered",
                        transcript=None,
                        transcript_bytes=0,
                        why=(invalid.text,),
                    )
                )

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
                    why=tuple(
                        each.text
                        for each in project.notes
                        if KINDS[each.kind].leaves_out
                    ),
                )
            )

    def report(self, *, free_bytes: int | None = None) -> Report:
        """Return the report, its notes in the order of the projects' ids (rule P6).

        `free_bytes` is the room where the transcripts go, in a dry run.
        """
        need_bytes = self._counts.get("transcript_bytes", 0)
        if free_bytes is not None and need_bytes > free_bytes:
            self._notes.append(_too_little_space(need_bytes, free_bytes))
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

    def verification(self, *, projects_invalid: int) -> Verification:
        """Return the result, in the order of the projects' ids."""
        return Verification(
            projects_checked=self._checked,
            projects_invalid=projects_invalid,
            transcript_bytes=self._bytes,
            faults=tuple(map(to_problem, _in_order(self._faults))),
            changed=tuple(map(to_problem, _in_order(self._changed))),
            seconds=round(time.perf_counter() - self._started, 3),
        )


def to_problem(found: Note) -> Problem:
    """Return the note as programs read it."""
    return Problem(
        project=found.project_id and _encodable(found.project_id),
        kind=found.kind,
        severity=found.severity,
        source=found.source and _encodable(found.source),
        text=found.text,
    )


def _line(found: Note) -> str:
    return (
        found.text
        if found.project_id is None
        else f"{plain(found.project_id)}: {found.text}"
    )


def _too_little_space(need_bytes: int, free_bytes: int) -> Note:
    return note(
        "too-little-space",
        None,
        f"too little space: the transcripts need {need_bytes} bytes, and where they "
        f"go {free_bytes} are free",
    )


def _encodable(text: str) -> str:
    """Return the text, bytes of a file's name that are no UTF-8 as escapes."""
    return text.encode(errors="backslashreplace").decode()


def _in_order(notes: list[Note]) -> list[Note]:
    # Those of the store as a whole come first; a project's stay in their own order.
    return sorted(notes, key=lambda each: each.project_id or "")
