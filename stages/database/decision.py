"""What is inserted and what is left as it is: pure, given what the database has."""

from __future__ import annotations

__all__ = ("Decider",)

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from stages.database.lookup import ExistingSession, Lookup
from stages.floor.buckets import is_uuid
from stages.floor.text import quote
from stages.messages import (
    Note,
    OrchestratorOutcome,
    PlannedProject,
    ProjectOutcome,
    ProjectRow,
    SessionRow,
    TranscriptPlan,
    WorktreeRow,
    WrittenProject,
)
from stages.notes import note


class Decider:
    """Decides project by project; what the run itself claimed counts as there.

    After `decide`, `projects`, `sessions` and `worktrees` are the rows to insert for that
    batch. The claims are kept for the whole run, so that a dry run sees the same conflicts.
    """

    def __init__(self, owners: Mapping[str, str]) -> None:
        """Take the unarchived projects of the database, by resolved path (rule P5)."""
        self.projects: list[ProjectRow] = []
        self.sessions: list[SessionRow] = []
        self.worktrees: list[WorktreeRow] = []
        self._id_by_path = dict(owners)
        self._project_by_session: dict[str, str] = {}

    def decide(
        self, batch: Iterable[PlannedProject], lookup: Lookup
    ) -> list[WrittenProject]:
        """Return what becomes of each planned project (rules P4, P5, L8, L9)."""
        self.projects, self.sessions, self.worktrees = [], [], []

        return [self._decide_project(planned, lookup) for planned in batch]

    def _decide_project(
        self, planned: PlannedProject, lookup: Lookup
    ) -> WrittenProject:
        row = planned.project
        outcome: ProjectOutcome = "present"
        notes: list[Note] = []
        if row.id not in lookup.project_ids:
            owner = self._id_by_path.setdefault(planned.real_path, row.id)
            if owner != row.id:
                return self._conflict(planned, owner)

            outcome = "imported"
            self.projects.append(row)
            notes += planned.project_notes
        notes += planned.record_notes

        orchestrator: OrchestratorOutcome
        transcript = planned.transcript
        if planned.session is None:
            orchestrator = "absent" if planned.orchestrator == "absent" else "skipped"
        elif (existing := self._existing(planned.session.id, lookup)) is not None:
            if existing.project_id == row.id:
                orchestrator = "present"
                transcript = transcript and _of_existing(transcript, existing)
            else:
                orchestrator, transcript = "skipped", None
                notes.append(_session_taken(planned.session, existing))
        elif row.id in lookup.numbered:
            orchestrator, transcript = "skipped", None
            notes.append(_number_taken(planned.session))
        elif (live := lookup.live.get(row.id)) is not None:
            orchestrator, transcript = "skipped", None
            notes.append(_already_live(planned.session, live))
        else:
            orchestrator = "imported"
            self._project_by_session[planned.session.id] = row.id
            self.sessions.append(planned.session)
            if planned.session.agent_session_id:
                self.worktrees.append(_mark_of(planned.session))
            notes += planned.session_notes

        return WrittenProject(
            id=row.id,
            project=outcome,
            orchestrator=orchestrator,
            transcript=transcript,
            notes=tuple(notes),
            sessions_read=planned.sessions_read,
            files_skipped=planned.files_skipped,
        )

    def _existing(self, session_id: str, lookup: Lookup) -> ExistingSession | None:
        found = lookup.sessions.get(session_id)
        claimed_by = self._project_by_session.get(session_id)
        if found is None and claimed_by is not None:
            found = ExistingSession(
                project_id=claimed_by, harness="", agent_session_id=""
            )

        return found

    def _conflict(self, planned: PlannedProject, owner: str) -> WrittenProject:
        text = (
            f"not imported: its path {quote(planned.project.path)} is that of the "
            f"project {quote(owner)}"
        )

        return WrittenProject(
            id=planned.project.id,
            project="conflicting",
            orchestrator="not-considered",
            transcript=None,
            notes=(note("path-taken", planned.project.id, text),),
            sessions_read=planned.sessions_read,
            files_skipped=planned.files_skipped,
        )


def _of_existing(
    plan: TranscriptPlan, existing: ExistingSession
) -> TranscriptPlan | None:
    """Return the plan for a session that was there: its own id decides (rule T3)."""
    if not plan.is_found:
        return plan
    if existing.harness != "claude-code" or not is_uuid(existing.agent_session_id):
        return None

    if existing.agent_session_id == plan.uuid:
        return plan

    return replace(plan, uuid=existing.agent_session_id, located=None)


def _mark_of(session: SessionRow) -> WorktreeRow:
    """Return the daemon's own mark of a session that it is to resume (rule L9)."""
    return WorktreeRow(
        session_id=session.id,
        branch=session.branch,
        worktree_path=session.workspace_path,
    )


def _already_live(session: SessionRow, live: str) -> Note:
    text = (
        f"orchestrator {quote(session.id)} not imported: the project already has a live "
        f"one, {quote(live)}, and both would work in one directory"
    )

    return note("live-orchestrator", session.project_id, text)


def _session_taken(session: SessionRow, existing: ExistingSession) -> Note:
    text = (
        f"orchestrator not imported: the session {quote(session.id)} belongs to the "
        f"project {quote(existing.project_id)}; give one of them another sessionPrefix"
    )

    return note("session-taken", session.project_id, text)


def _number_taken(session: SessionRow) -> Note:
    text = (
        f"orchestrator {quote(session.id)} not imported: the project already has "
        "a session with the number 0"
    )

    return note("number-taken", session.project_id, text)
