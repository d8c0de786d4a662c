"""The messages that flow between the stages, from the legacy store to the new one.

What flows is always a project: an entry of the registry, then the entry with its
orchestrator's record, then the rows that are planned, then what became of them.
"""

from __future__ import annotations

__all__ = (
    "Activity",
    "Behaviour",
    "Checked",
    "Entry",
    "IMPORTABLE_AGENTS",
    "LegacyProject",
    "Located",
    "Note",
    "Orchestrator",
    "OrchestratorOutcome",
    "PlannedProject",
    "ProjectOutcome",
    "ProjectRow",
    "RelocatedProject",
    "Role",
    "SessionRow",
    "Severity",
    "TranscriptOutcome",
    "TranscriptPlan",
    "WorktreeRow",
    "WrittenProject",
)

from datetime import datetime
from typing import Literal

import msgspec

# Only orchestrators of these come across; both lines call them so (rule S6).
IMPORTABLE_AGENTS = frozenset({"claude-code", "codex", "opencode"})

Severity = Literal["lossy", "failed"]
Activity = Literal["active", "waiting_input", "idle"]
# Imported: inserted by this run. Present: there already. Conflicting: its path is another's.
ProjectOutcome = Literal["imported", "present", "conflicting"]
OrchestratorOutcome = Literal[
    "imported", "present", "skipped", "absent", "not-considered"
]
TranscriptOutcome = Literal["relocated", "present", "missing", "failed"]


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the import could not carry over, as the report shows it."""

    project_id: str | None  # None: it concerns the store as a whole
    kind: str  # short stable word; scripts and tests match this one
    severity: Severity  # failed: something that should have come did not
    text: str  # one line, for people: what was not carried and why
    source: str | None = None  # the legacy file that it is about
    # What notes of one kind are counted by, where their texts differ: fields, causes.
    about: tuple[str, ...] = ()


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What a project sets for its workers or for its orchestrator, in legacy words."""

    agent: str | None = None  # by rule B5: own, inherited or none
    model: str | None = None
    orchestrator_model: str | None = None
    permissions: str | None = None


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a project, from its own file or inline (rule B1)."""

    env: tuple[tuple[str, str], ...] = ()
    symlinks: tuple[str, ...] = ()
    post_create: tuple[str, ...] = ()
    shared: Role = Role()  # agentConfig; its agent is the project's own
    worker: Role = Role()
    orchestrator: Role = Role()
    agent_rules: str | None = None
    agent_rules_file: str | None = None
    orchestrator_rules: str | None = None
    is_inline: bool = True  # it stands in the entry of the registry itself


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One valid project of the registry, and where its sessions are."""

    id: str
    path: str  # absolute and clean; links in it stay
    origin_url: str
    display_name: str
    registered_at: datetime | None  # None: nothing says when
    default_branch: str | None
    session_prefix: str | None  # what is stored; None where nothing has to be (S1, B7)
    prefix: str  # what the new application calls its sessions by (rule S1)
    legacy_prefixes: tuple[str, ...]  # what the legacy one called them by
    real_path: str  # `path` with its links followed (rule P5)
    rivals: int  # how many entries of this run have that path, this one included
    behaviour: Behaviour
    sessions_directories: tuple[str, ...]  # the current layout's (rule S2)
    v1_directories: tuple[str, ...]  # the old layout's, in order of names
    is_migrating: bool  # a migration was broken off: the old layout comes first
    standalone_file: str
    stopped_stems: frozenset[str]  # live when the legacy application stopped (rule S7)
    includes_ended: bool  # rule S8
    foreign_stems: frozenset[str]  # "{prefix}-orchestrator" of ours: a worker's prefix
    registered_ids: frozenset[str]  # of all projects, shared by all entries
    notes: tuple[Note, ...]  # about the project's row


class Orchestrator(msgspec.Struct, frozen=True, kw_only=True):
    """An orchestrator's session record, its lifecycle decoded (rule L1)."""

    stem: str
    file: str
    agent: str  # by rule L5; empty where nothing names one
    display_name: str
    branch: str
    worktrees: tuple[str, ...]  # where it may have run, the likeliest first (rule T1)
    prompt: str
    claude_session_uuid: str  # the resume ids are trimmed, and empty where absent
    codex_thread_id: str
    opencode_session_id: str
    codex_model: str
    restore_fallback_reason: str
    has_lifecycle: bool
    state: str | None  # session.state of the lifecycle
    status: str | None  # counts where there is no lifecycle
    is_terminal: bool
    is_terminated: bool  # it was stopped rather than done (rule S8)
    is_stopped: bool  # with the whole application, so that it counts as live (rule S7)
    created_at: datetime | None
    started_at: datetime | None
    last_transition_at: datetime | None
    last_observed_at: datetime | None
    modified_at: datetime  # the file's own time


class LegacyProject(msgspec.Struct, frozen=True, kw_only=True):
    """An entry with the orchestrator that was chosen for it (rules S4 to S6)."""

    entry: Entry
    orchestrator: Orchestrator | None  # a terminal one where there is no other
    also_live: tuple[str, ...]  # stems of live ones that were not chosen
    also_live_count: int
    sessions_read: int
    files_skipped: int
    notes: tuple[Note, ...]  # about what could not be read

    @property
    def id(self) -> str:
        return self.entry.id


# The fields of the three rows are the columns that we write, in this order. What is the
# same in all rows of a table is a default (rule D7).
class ProjectRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table `projects`."""

    id: str
    path: str
    repo_origin_url: str
    display_name: str
    registered_at: str | None  # stored form; None: the time of the import
    archived_at: None = None
    config: str | None  # a JSON object
    kind: Literal["single_repo"] = "single_repo"


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table `sessions` (rule L9)."""

    id: str
    project_id: str
    num: Literal[0] = 0
    issue_id: Literal[""] = ""
    kind: Literal["orchestrator"] = "orchestrator"
    harness: str
    activity_state: Activity
    activity_last_at: str
    is_terminated: Literal[0] = 0
    branch: str
    workspace_path: str
    runtime_handle_id: Literal[""] = ""
    agent_session_id: str
    prompt: str
    created_at: str
    updated_at: str
    display_name: str
    first_signal_at: str


class WorktreeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `session_worktrees`: the mark of a session to be resumed (rule L9)."""

    session_id: str
    repo_name: Literal["__root__"] = "__root__"
    branch: str
    base_sha: Literal[""] = ""
    worktree_path: str
    preserved_ref: Literal[""] = ""
    state: Literal["removed"] = "removed"


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """Where a transcript was found: in a bucket of its own, or in any other (rule T3)."""

    state: Literal["found", "moved", "arrived", "ambiguous", "nowhere", "unreadable"]
    bucket: str = ""  # the name of the one to copy from, if it was found or has moved
    detail: str = ""  # for the note: which buckets differ, what could not be read


class TranscriptPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which transcript goes with a session, and the directories it belongs to."""

    uuid: str  # empty: only a session that is there already can name one
    # The record names none that there is: the newest of its bucket, if any (rule T3).
    is_found: bool = False
    worktrees: tuple[
        str, ...
    ]  # where the session may have run; not absolute: no bucket
    project_path: str  # a checkout of the user's, as are the transcripts in its bucket
    new_worktree: str  # where the session will run
    located: Located | None = None  # None: it was not looked for


class PlannedProject(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that a project becomes, and the notes that go with each of them."""

    project: ProjectRow
    real_path: str  # of the project, for comparing (rule P5)
    session: SessionRow | None
    transcript: TranscriptPlan | None
    worktrees: tuple[
        str, ...
    ] = ()  # where the session may have run, the likeliest first
    legacy_branch: str = ""  # what was checked out there
    orchestrator: Literal["planned", "skipped", "absent"]
    project_notes: tuple[Note, ...]  # given if the project's row is inserted
    session_notes: tuple[Note, ...]  # given if the session's row is inserted
    record_notes: tuple[Note, ...]  # given if the orchestrator is considered
    sessions_read: int
    files_skipped: int


# Without `gc`: all whose transcript is sought are kept until the end, and a garbage
# collection, which holds all threads, would visit each. Nothing in them leads back.
class WrittenProject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of a project's rows."""

    id: str
    project: ProjectOutcome
    orchestrator: OrchestratorOutcome
    transcript: TranscriptPlan | None
    notes: tuple[Note, ...]
    sessions_read: int
    files_skipped: int


class RelocatedProject(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a project, its transcript included."""

    id: str
    project: ProjectOutcome
    orchestrator: OrchestratorOutcome
    transcript: TranscriptOutcome | None  # None: it has none
    transcript_bytes: int  # copied, or to be copied
    notes: tuple[Note, ...]
    sessions_read: int
    files_skipped: int


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """How a planned project compares with the new store."""

    id: str
    project: ProjectOutcome  # imported: an import would bring it, so it is missing
    orchestrator: OrchestratorOutcome  # likewise
    faults: tuple[Note, ...]  # missing rows, missing or other transcripts
    changed: tuple[Note, ...]  # rows that are there and differ by now
    not_there: tuple[Note, ...]  # what no import can bring, or what the rules leave out
    worktrees: tuple[Note, ...]  # legacy ones that are still there
    transcript_bytes: int  # compared
    sessions_read: int
