"""The report of an import or a verification, built from what flows past."""

from __future__ import annotations

__all__ = (
    "Problem",
    "ProjectClass",
    "ProjectResult",
    "Report",
    "RunStatus",
    "Tally",
    "Verification",
    "VerificationTally",
    "to_problem",
)

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from pipeline.options import Settings
from pipeline.version import VERSION
from stages.floor.text import plain
from stages.messages import (
    Checked,
    Note,
    OrchestratorOutcome,
    ProjectOutcome,
    RelocatedProject,
    Severity,
    TranscriptOutcome,
    WrittenProject,
)
from stages.notes import KINDS, note

# Incomplete: done, but something that should have come could not (exit status 3).
RunStatus = Literal["done", "incomplete", "failed", "interrupted"]
# Pending: a run that failed or was interrupted did not come to it.
ProjectClass = Literal["imported", "present", "conflicting", "invalid", "pending"]


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One note, for programs."""

    project: str | None  # None: it concerns the store as a whole
    kind: str
    severity: Severity
    source: str | None  # the legacy file that it is about
    text: str  # without the project's id
    about: tuple[str, ...] = ()  # what notes of its kind are counted by: fields, causes


class ProjectResult(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False
):
    """What became of one project; in a dry run, what would become of it."""

    id: str
    project: ProjectClass
    orchestrator: OrchestratorOutcome
    # None: it has none. Pending: the run ended before it was copied.
    transcript: TranscriptOutcome | Literal["pending"] | None
    transcript_bytes: int
    why: tuple[str, ...]  # something of it was left out


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an import did; in a dry run, what it would do.

    Every project is in exactly one of `projects_imported`, those that are there already
    (`projects_skipped` without `projects_conflicting`), `projects_conflicting` and
    `projects_invalid`, but for those that a run which did not end well never came to.
    """

    status: RunStatus = "done"
    interrupted: bool = False
    error: str | None = None  # why the run failed
    dry_run: bool = False
    projects_imported: int = 0
    projects_skipped: int = 0  # present and conflicting
    projects_conflicting: int = 0  # of those, the ones whose path is another project's
    projects_invalid: int = 0
    orchestrators_imported: int = 0
    orchestrators_skipped: int = 0  # not inserted: present and left out
    orchestrators_present: int = 0  # of those, the ones that are there already
    orchestrators_absent: int = 0
    transcripts_relocated: int = 0
    transcripts_present: int = 0
    transcripts_missing: int = 0
    transcripts_failed: int = 0
    transcript_bytes: int = 0
    free_bytes: int | None = None  # in a dry run: where the transcripts go
    sessions_read: int = 0
    sessions_left: int = 0  # records that are no imported orchestrator's: they stay
    files_skipped: int = 0
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()  # one for each note
    projects: tuple[ProjectResult, ...] = ()
    version: str = VERSION
    root: str = ""
    data_dir: str = ""
    claude_dir: str = ""
    started_at: datetime | None = None
    seconds: float = 0.0

    @property
    def has_failures(self) -> bool:
        """Whether something that should have come could not."""
        return any(problem.severity == "failed" for problem in self.problems)

    @property
    def has_room(self) -> bool:
        """Whether the transcripts have room where they go, as far as that is known."""
        return self.free_bytes is None or self.transcript_bytes <= self.free_bytes


class Verification(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether everything has arrived.

    Every project is in exactly one of the four classes, and so is every orchestrator
    that an import would consider.
    """

    projects_checked: int = 0  # all but the invalid ones
    projects_present: int = 0
    projects_missing: int = 0
    projects_conflicting: int = 0  # their path is another project's
    projects_invalid: int = 0
    orchestrators_present: int = 0
    orchestrators_missing: int = 0
    orchestrators_skipped: int = 0  # left out by the rules
    orchestrators_absent: int = 0
    transcript_bytes: int = 0  # compared
    sessions_left: int = 0  # records that are no imported orchestrator's: they stay
    faults: tuple[Problem, ...] = ()
    changed: tuple[
        Problem, ...
    ] = ()  # rows that are there and differ; ended ones first
    not_there: tuple[
        Problem, ...
    ] = ()  # what an import could not bring, with the reason
    worktrees: tuple[Problem, ...] = ()  # legacy ones that may hold uncommitted work
    daemon: int | None = (
        None  # the process id of a live daemon, which may write meanwhile
    )
    version: str = VERSION
    root: str = ""
    data_dir: str = ""
    claude_dir: str = ""
    started_at: datetime | None = None
    seconds: float = 0.0

    @property
    def has_failures(self) -> bool:
        """Whether something that should have come could not."""
        return any(problem.severity == "failed" for problem in self.not_there)

    @property
    def has_arrived(self) -> bool:
        """Whether all that the legacy store has is there."""
        return not (self.faults or self.not_there or self.sessions_left)


class Tally:
    """Collects what became of the projects, and adds it up at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started = time.perf_counter()
        self._notes: list[Note] = []  # those of no outcome
        self._invalid: list[Note] = []
        self._pending: set[str] = set()
        self._copying: set[str] = set()
        self._projects: dict[str, RelocatedProject] = {}

    def expect(self, project_ids: Iterable[str]) -> None:
        """Say which projects the run is about, before the first of them comes."""
        self._pending.update(project_ids)

    def add_invalid(self, notes: Iterable[Note]) -> None:
        """Count projects that could not even be planned, by their notes."""
        self._invalid += notes

    def add_notes(self, notes: Iterable[Note]) -> None:
        """Add notes that belong to no outcome."""
        self._notes += notes

    def add_written(self, project: WrittenProject) -> None:
        """Count one project whose rows are committed; its transcript comes later."""
        self._pending.discard(project.id)
        if project.transcript is not None:
            self._copying.add(project.id)
        self._projects[project.id] = RelocatedProject(
            id=project.id,
            project=project.project,
            orchestrator=project.orchestrator,
            transcript=None,
            transcript_bytes=0,
            notes=project.notes,
            sessions_read=project.sessions_read,
            files_skipped=project.files_skipped,
        )

    def add(self, project: RelocatedProject) -> None:
        """Count one project that is done."""
        self._copying.discard(project.id)
        self._projects[project.id] = project

    def fail_copies(self, problem: str) -> None:
        """Say of all that a dry run would copy that it could not be."""
        for project in self._projects.values():
            if project.transcript == "relocated":
                text = f"its transcript could not be copied: {problem}"
                failure = note("transcript-failed", project.id, text, about=(problem,))
                self._projects[project.id] = replace(
                    project, transcript="failed", notes=(*project.notes, failure)
                )

    @property
    def transcript_bytes(self) -> int:
        """The bytes of all transcripts that were copied, or that a dry run would copy."""
        return sum(project.transcript_bytes for project in self._projects.values())

    def report(
        self,
        *,
        free_bytes: int | None = None,
        error: BaseException | None = None,
    ) -> Report:
        """Return the report, notes and projects in the order of their ids (rule P6).

        `free_bytes` is the room where the transcripts go, in a dry run; `error` is what
        ended the run before its time: an `Exception` is a failure, anything else an
        interruption.
        """
        settings = self._settings
        projects = self._projects.values()
        notes = [*self._notes, *self._invalid]
        for project in projects:
            notes += project.notes
        notes = _in_order(notes)

        report = Report(
            status=_status_of(notes, error),
            interrupted=error is not None and not isinstance(error, Exception),
            error=str(error) if isinstance(error, Exception) else None,
            dry_run=settings.is_dry_run,
            notes=tuple(map(_line, notes)),
            problems=tuple(map(to_problem, notes)),
            projects=tuple(sorted(self._results(), key=lambda result: result.id)),
            transcript_bytes=self.transcript_bytes,
            free_bytes=free_bytes,
            projects_invalid=len(self._invalid),
            root=_encodable(str(settings.places.root)),
            data_dir=_encodable(str(settings.data_dir)),
            claude_dir=_encodable(str(settings.buckets)),
            started_at=settings.now,
            seconds=round(time.perf_counter() - self._started, 3),
        )
        return replace(report, **_counts(projects))

    def _results(self) -> Iterable[ProjectResult]:
        for invalid in self._invalid:
            yield _without_rows(invalid.project_id or "", "invalid", (invalid.text,))
        for project_id in self._pending:
            yield _without_rows(project_id, "pending", ())
        for project in self._projects.values():
            yield ProjectResult(
                id=project.id,
                project=project.project,
                orchestrator=project.orchestrator,
                transcript="pending"
                if project.id in self._copying
                else project.transcript,
                transcript_bytes=project.transcript_bytes,
                why=tuple(
                    each.text for each in project.notes if KINDS[each.kind].leaves_out
                ),
            )


class VerificationTally:
    """Adds up how the projects compare."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started = time.perf_counter()
        self._bytes = self._sessions_read = 0
        self._projects: Counter[ProjectOutcome] = Counter()
        self._orchestrators: Counter[OrchestratorOutcome] = Counter()
        self._faults: list[Note] = []
        self._changed: list[Note] = []
        self._not_there: list[Note] = []
        self._worktrees: list[Note] = []

    def add(self, checked: Checked) -> None:
        """Add one project."""
        self._projects[checked.project] += 1
        self._orchestrators[checked.orchestrator] += 1
        self._bytes += checked.transcript_bytes
        self._sessions_read += checked.sessions_read
        self._faults += checked.faults
        self._changed += checked.changed
        self._not_there += checked.not_there
        self._worktrees += checked.worktrees

    def verification(
        self, *, invalid: Sequence[Note], notes: Iterable[Note], daemon: int | None
    ) -> Verification:
        """Return the result, in the order of the projects' ids, ended sessions first.

        `invalid` is about the projects that could not be planned, `notes` about the
        store; `daemon` is the process id of a live one.
        """
        settings = self._settings
        projects, orchestrators = self._projects, self._orchestrators
        left_out = [
            each
            for each in notes
            if each.severity == "failed" or KINDS[each.kind].leaves_out
        ]
        changed = sorted(
            _in_order(self._changed), key=lambda each: each.kind != "session-ended"
        )

        return Verification(
            projects_checked=projects.total(),
            projects_present=projects["present"],
            projects_missing=projects["imported"],
            projects_conflicting=projects["conflicting"],
            projects_invalid=len(invalid),
            orchestrators_present=orchestrators["present"],
            orchestrators_missing=orchestrators["imported"],
            orchestrators_skipped=orchestrators["skipped"],
            orchestrators_absent=orchestrators["absent"],
            transcript_bytes=self._bytes,
            sessions_left=_left_behind(self._sessions_read, orchestrators),
            faults=tuple(map(to_problem, _in_order(self._faults))),
            changed=tuple(map(to_problem, changed)),
            not_there=tuple(
                map(to_problem, _in_order([*left_out, *invalid, *self._not_there]))
            ),
            worktrees=tuple(map(to_problem, _in_order(self._worktrees))),
            daemon=daemon,
            root=_encodable(str(settings.places.root)),
            data_dir=_encodable(str(settings.data_dir)),
            claude_dir=_encodable(str(settings.buckets)),
            started_at=settings.now,
            seconds=round(time.perf_counter() - self._started, 3),
        )


def _left_behind(
    sessions_read: int, orchestrators: Mapping[OrchestratorOutcome, int]
) -> int:
    """Return how many records are no orchestrator's that came, now or earlier."""
    came = orchestrators["imported"] + orchestrators["present"]

    return max(sessions_read - came, 0)


def _counts(projects: Collection[RelocatedProject]) -> dict[str, int]:
    """Return the numbers of the report, by its fields."""
    rows = Counter(project.project for project in projects)
    orchestrators = Counter(project.orchestrator for project in projects)
    transcripts = Counter(project.transcript for project in projects)
    sessions_read = sum(project.sessions_read for project in projects)

    return {
        "projects_imported": rows["imported"],
        "projects_skipped": rows["present"] + rows["conflicting"],
        "projects_conflicting": rows["conflicting"],
        "orchestrators_imported": orchestrators["imported"],
        "orchestrators_skipped": orchestrators["present"] + orchestrators["skipped"],
        "orchestrators_present": orchestrators["present"],
        "orchestrators_absent": orchestrators["absent"],
        "transcripts_relocated": transcripts["relocated"],
        "transcripts_present": transcripts["present"],
        "transcripts_missing": transcripts["missing"],
        "transcripts_failed": transcripts["failed"],
        "sessions_read": sessions_read,
        "sessions_left": _left_behind(sessions_read, orchestrators),
        "files_skipped": sum(project.files_skipped for project in projects),
    }


def _status_of(notes: Iterable[Note], error: BaseException | None) -> RunStatus:
    if error is not None:
        return "failed" if isinstance(error, Exception) else "interrupted"

    has_failures = any(each.severity == "failed" for each in notes)
    return "incomplete" if has_failures else "done"


def _without_rows(
    project_id: str, project: ProjectClass, why: tuple[str, ...]
) -> ProjectResult:
    return ProjectResult(
        id=_encodable(project_id),
        project=project,
        orchestrator="not-considered",
        transcript=None,
        transcript_bytes=0,
        why=why,
    )


def to_problem(found: Note) -> Problem:
    """Return the note as programs read it."""
    return Problem(
        project=found.project_id and _encodable(found.project_id),
        kind=found.kind,
        severity=found.severity,
        source=found.source and _encodable(found.source),
        text=found.text,
        about=found.about,
    )


def _line(found: Note) -> str:
    return (
        found.text
        if found.project_id is None
        else f"{plain(found.project_id)}: {found.text}"
    )


def _encodable(text: str) -> str:
    """Return the text, bytes of a file's name that are no UTF-8 as escapes."""
    return text.encode(errors="backslashreplace").decode()


def _in_order(notes: list[Note]) -> list[Note]:
    # Those of the store as a whole come first; a project's stay in their own order.
    return sorted(notes, key=lambda each: each.project_id or "")
