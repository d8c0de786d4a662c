"""An orchestrator's row and the plan for its transcript (rules S6, L3 to L7, T2, T3)."""

from __future__ import annotations

__all__ = (
    "Managed",
    "NewHome",
    "map_activity",
    "map_managed",
    "map_session_row",
    "map_transcript",
    "why_not_importable",
)

import os
import re

import msgspec

from stages.floor.buckets import is_uuid
from stages.floor.text import plain, quote
from stages.floor.times import to_stored
from stages.map.harness import map_harness
from stages.messages import (
    IMPORTABLE_AGENTS,
    Activity,
    Entry,
    Note,
    Orchestrator,
    SessionRow,
    TranscriptPlan,
)
from stages.notes import note

_ACTIVITY_OF_STATE: dict[str, Activity] = {  # rule L4
    "working": "active",
    "needs_input": "waiting_input",
}
_ACTIVITY_OF_STATUS: dict[str, Activity] = {  # rule L3
    "needs_input": "waiting_input",
    "working": "active",
    "starting": "active",
    "detecting": "active",
    "pr_open": "active",
    "ci_failed": "active",
    "review_pending": "active",
    "changes_requested": "active",
    "approved": "active",
    "mergeable": "active",
}
_RESUMES_BY = {"codex": "codexThreadId", "opencode": "opencodeSessionId"}
_UNFIT_FOR_COMMAND_LINE = re.compile(r"^-|[\s\x00-\x1f\x7f-\x9f]")


class NewHome(msgspec.Struct, frozen=True, kw_only=True):
    """Where the new application keeps what it works in."""

    worktrees: str  # the directory of its worktrees
    branches: str  # what the names of its branches begin with


class Managed(msgspec.Struct, frozen=True, kw_only=True):
    """What the new application calls an orchestrator, and where it lets it work."""

    session_id: str
    branch: str
    worktree: str


def why_not_importable(project_id: str, orchestrator: Orchestrator) -> Note | None:
    """Return the note on an orchestrator that is left out, or None (rule S6)."""
    if orchestrator.is_terminal:
        state = (
            orchestrator.state if orchestrator.has_lifecycle else orchestrator.status
        )
        text = f"orchestrator is terminal (state={plain(state or '?')})"
        kind = "terminal"
    elif orchestrator.agent not in IMPORTABLE_AGENTS:
        text = (
            f"orchestrators of the harness {quote(orchestrator.agent)} are not imported"
        )
        kind = "not-importable"
    else:
        return None

    return note(kind, project_id, text, orchestrator.file)


def map_activity(orchestrator: Orchestrator) -> Activity:
    """Return the activity of a live or stopped orchestrator (rules L3, L4, S7)."""
    if orchestrator.is_stopped:
        return "idle"
    if orchestrator.has_lifecycle:
        return _ACTIVITY_OF_STATE.get(orchestrator.state or "", "idle")

    return _ACTIVITY_OF_STATUS.get(orchestrator.status or "", "idle")


def map_session_row(
    entry: Entry, orchestrator: Orchestrator, managed: Managed
) -> tuple[SessionRow, list[Note]]:
    """Return the row of an importable orchestrator, and notes on what it lost.

    Where it lies and which branch it has is the new application's to say: it ends any
    session that lies elsewhere (rule L9).
    """
    notes: list[Note] = []
    created_at = (
        orchestrator.created_at or orchestrator.started_at or orchestrator.modified_at
    )
    activity_last_at = (
        orchestrator.last_transition_at or orchestrator.last_observed_at or created_at
    )
    row = SessionRow(
        id=managed.session_id,
        project_id=entry.id,
        harness=map_harness(orchestrator.agent) or "",
        activity_state=map_activity(orchestrator),
        activity_last_at=to_stored(activity_last_at),
        branch=managed.branch,
        workspace_path=managed.worktree,
        agent_session_id=_map_resume_id(entry.id, orchestrator, notes),
        prompt=orchestrator.prompt,
        created_at=to_stored(created_at),
        updated_at=to_stored(orchestrator.last_transition_at or created_at),
        display_name=orchestrator.display_name,
        first_signal_at=to_stored(activity_last_at),
    )
    _note_homeless(entry.id, orchestrator, notes)

    return row, notes


def map_managed(entry: Entry, home: NewHome) -> Managed:
    """Return the id, the branch and the worktree of a project's orchestrator (L9)."""
    session_id = f"{entry.prefix}-orchestrator"

    return Managed(
        session_id=session_id,
        branch=f"{home.branches}/{session_id}",
        worktree=os.path.join(home.worktrees, entry.id, "orchestrator", session_id),
    )


def map_transcript(
    entry: Entry, orchestrator: Orchestrator, new_worktree: str
) -> TranscriptPlan | None:
    """Return which transcript goes with a session, if its harness has any (T1, T2)."""
    uuid = orchestrator.claude_session_uuid
    if orchestrator.agent != "claude-code" or (uuid and not is_uuid(uuid)):
        return None  # no part of any path; the row's note says so

    return TranscriptPlan(
        uuid=uuid,
        worktrees=orchestrator.worktrees,
        project_path=entry.path,
        new_worktree=new_worktree,
    )


def _map_resume_id(
    project_id: str, orchestrator: Orchestrator, notes: list[Note]
) -> str:
    """Return what the agent resumes by, if a command line can bear it."""
    if orchestrator.agent == "claude-code":
        uuid = orchestrator.claude_session_uuid
        if not uuid or is_uuid(uuid):
            return uuid

        text = f"claudeSessionUuid {quote(uuid)} is no UUID and was left out"
        notes.append(note("resume-id", project_id, text, orchestrator.file))
        return ""

    name = _RESUMES_BY[orchestrator.agent]
    value = (
        orchestrator.codex_thread_id
        if orchestrator.agent == "codex"
        else orchestrator.opencode_session_id
    )
    if not value:
        text = f"the record has no {name}; the orchestrator starts without its history"
        notes.append(note("no-history", project_id, text, orchestrator.file))
        return ""
    if not _UNFIT_FOR_COMMAND_LINE.search(value):
        return value

    text = f"{name} {quote(value)} is unfit for a command line and was left out"
    notes.append(note("resume-id", project_id, text, orchestrator.file))
    return ""


def _note_homeless(
    project_id: str, orchestrator: Orchestrator, notes: list[Note]
) -> None:
    """Note what has no column (rule L7)."""
    if orchestrator.agent == "codex" and orchestrator.codex_model:
        text = f"codexModel {quote(orchestrator.codex_model)} has no place in the new store"
        notes.append(note("codex-model", project_id, text, orchestrator.file))
    if orchestrator.restore_fallback_reason:
        text = "restoreFallbackReason has no place in the new store"
        notes.append(
            note("restore-fallback-reason", project_id, text, orchestrator.file)
        )
