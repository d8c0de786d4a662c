"""The schema of version 10, as one transaction of our own (rules D2, D3, D5, D8)."""

from __future__ import annotations

__all__ = ("CREATE_STATEMENTS", "SCHEMA_VERSION")

SCHEMA_VERSION = 10

_LEDGER = """
CREATE TABLE goose_db_version (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    version_id INTEGER NOT NULL,
    is_applied INTEGER NOT NULL,
    tstamp TIMESTAMP DEFAULT (datetime('now'))
)
"""

_PROJECTS = """
CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    repo_origin_url TEXT NOT NULL DEFAULT '',
    display_name TEXT NOT NULL DEFAULT '',
    registered_at TIMESTAMP NOT NULL,
    archived_at TIMESTAMP,
    config TEXT,
    kind TEXT NOT NULL DEFAULT 'single_repo' CHECK (kind IN ('single_repo', 'workspace'))
)
"""

# Later upgrades rewrite the line of the harnesses as text: to the byte (rule D2).
_SESSIONS = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    num INTEGER NOT NULL,
    issue_id TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL DEFAULT 'worker' CHECK (kind IN ('worker', 'orchestrator')),
    harness TEXT NOT NULL DEFAULT ''
        CHECK (harness IN ('', 'claude-code', 'codex', 'aider', 'opencode', 'grok', 'droid', 'amp', 'agy', 'crush', 'cursor', 'qwen', 'copilot', 'goose', 'auggie', 'continue', 'devin', 'cline', 'kimi', 'kiro', 'kilocode', 'vibe', 'pi', 'autohand')),
    activity_state TEXT NOT NULL DEFAULT 'idle'
        CHECK (activity_state IN ('active', 'idle', 'waiting_input', 'blocked', 'exited')),
    activity_last_at TIMESTAMP NOT NULL,
    is_terminated BOOLEAN NOT NULL DEFAULT FALSE,
    branch TEXT NOT NULL DEFAULT '',
    workspace_path TEXT NOT NULL DEFAULT '',
    runtime_handle_id TEXT NOT NULL DEFAULT '',
    agent_session_id TEXT NOT NULL DEFAULT '',
    prompt TEXT NOT NULL DEFAULT '',
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    display_name TEXT NOT NULL DEFAULT '',
    first_signal_at TIMESTAMP,
    UNIQUE (project_id, num)
)
"""

_PULL_REQUESTS = """
CREATE TABLE pr (
    url TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    number INTEGER NOT NULL DEFAULT 0,
    pr_state TEXT NOT NULL DEFAULT 'open'
        CHECK (pr_state IN ('draft', 'open', 'merged', 'closed')),
    review_decision TEXT NOT NULL DEFAULT 'none'
        CHECK (review_decision IN ('none', 'approved', 'changes_requested',
            'review_required')),
    ci_state TEXT NOT NULL DEFAULT 'unknown'
        CHECK (ci_state IN ('unknown', 'pending', 'passing', 'failing')),
    mergeability TEXT NOT NULL DEFAULT 'unknown'
        CHECK (mergeability IN ('unknown', 'mergeable', 'conflicting', 'blocked',
            'unstable')),
    updated_at TIMESTAMP NOT NULL,
    provider TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '',
    repo TEXT NOT NULL DEFAULT '',
    source_branch TEXT NOT NULL DEFAULT '',
    target_branch TEXT NOT NULL DEFAULT '',
    head_sha TEXT NOT NULL DEFAULT '',
    title TEXT NOT NULL DEFAULT '',
    additions INTEGER NOT NULL DEFAULT 0,
    deletions INTEGER NOT NULL DEFAULT 0,
    changed_files INTEGER NOT NULL DEFAULT 0,
    author TEXT NOT NULL DEFAULT '',
    base_sha TEXT NOT NULL DEFAULT '',
    merge_commit_sha TEXT NOT NULL DEFAULT '',
    is_draft INTEGER NOT NULL DEFAULT 0,
    is_merged INTEGER NOT NULL DEFAULT 0,
    is_closed INTEGER NOT NULL DEFAULT 0,
    provider_state TEXT NOT NULL DEFAULT '',
    provider_mergeable TEXT NOT NULL DEFAULT '',
    provider_merge_state_status TEXT NOT NULL DEFAULT '',
    html_url TEXT NOT NULL DEFAULT '',
    created_at_provider TIMESTAMP,
    updated_at_provider TIMESTAMP,
    merged_at_provider TIMESTAMP,
    closed_at_provider TIMESTAMP,
    metadata_hash TEXT NOT NULL DEFAULT '',
    ci_hash TEXT NOT NULL DEFAULT '',
    review_hash TEXT NOT NULL DEFAULT '',
    observed_at TIMESTAMP,
    ci_observed_at TIMESTAMP,
    review_observed_at TIMESTAMP,
    last_nudge_signature TEXT NOT NULL DEFAULT ''
)
"""

_CHECKS = """
CREATE TABLE pr_checks (
    pr_url TEXT NOT NULL REFERENCES pr (url) ON DELETE CASCADE,
    name TEXT NOT NULL,
    commit_hash TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'unknown'
        CHECK (status IN ('unknown', 'queued', 'in_progress', 'passed', 'failed',
            'skipped', 'cancelled')),
    url TEXT NOT NULL DEFAULT '',
    log_tail TEXT NOT NULL DEFAULT '',
    created_at TIMESTAMP NOT NULL,
    conclusion TEXT NOT NULL DEFAULT '',
    details TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (pr_url, name, commit_hash)
)
"""

_COMMENTS = """
CREATE TABLE pr_comment (
    pr_url TEXT NOT NULL REFERENCES pr (url) ON DELETE CASCADE,
    comment_id TEXT NOT NULL,
    author TEXT NOT NULL DEFAULT '',
    file TEXT NOT NULL DEFAULT '',
    line INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL DEFAULT '',
    resolved INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL,
    thread_id TEXT NOT NULL DEFAULT '',
    url TEXT NOT NULL DEFAULT '',
    is_bot INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pr_url, comment_id)
)
"""

_THREADS = """
CREATE TABLE pr_review_threads (
    pr_url TEXT NOT NULL REFERENCES pr (url) ON DELETE CASCADE,
    thread_id TEXT NOT NULL,
    path TEXT NOT NULL DEFAULT '',
    line INTEGER NOT NULL DEFAULT 0,
    resolved INTEGER NOT NULL DEFAULT 0,
    is_bot INTEGER NOT NULL DEFAULT 0,
    semantic_hash TEXT NOT NULL DEFAULT '',
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (pr_url, thread_id)
)
"""

_CHANGES = """
CREATE TABLE change_log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id TEXT NOT NULL REFERENCES projects (id),
    session_id TEXT REFERENCES sessions (id),
    event_type TEXT NOT NULL
        CHECK (event_type IN ('session_created', 'session_updated', 'pr_created',
            'pr_updated', 'pr_check_recorded', 'pr_session_changed',
            'pr_review_thread_added', 'pr_review_thread_resolved')),
    payload TEXT NOT NULL CHECK (json_valid(payload)),
    created_at TIMESTAMP NOT NULL DEFAULT (datetime('now'))
)
"""

_WORKSPACE_REPOS = """
CREATE TABLE workspace_repos (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    relative_path TEXT NOT NULL,
    repo_origin_url TEXT NOT NULL DEFAULT '',
    registered_at TIMESTAMP NOT NULL,
    PRIMARY KEY (project_id, name),
    UNIQUE (project_id, relative_path)
)
"""

_WORKTREES = """
CREATE TABLE session_worktrees (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    repo_name TEXT NOT NULL,
    branch TEXT NOT NULL,
    base_sha TEXT NOT NULL,
    worktree_path TEXT NOT NULL,
    preserved_ref TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'active'
        CHECK (state IN ('active', 'removed', 'retry_remove', 'unavailable',
            'stray_moved')),
    PRIMARY KEY (session_id, repo_name)
)
"""

_INDEXES = (
    "CREATE INDEX idx_sessions_project ON sessions (project_id)",
    "CREATE INDEX idx_pr_session ON pr (session_id)",
    "CREATE INDEX idx_pr_checks_lookup ON pr_checks (pr_url, name, created_at)",
    "CREATE INDEX idx_pr_review_threads_lookup ON pr_review_threads (pr_url, updated_at)",
    "CREATE INDEX idx_change_log_project ON change_log (project_id, seq)",
    "CREATE INDEX idx_session_worktrees_session ON session_worktrees (session_id)",
)


def _boolean(column: str) -> str:
    """A JSON boolean: SQLite has none of its own, and 0 would arrive as a number."""
    return f"json(CASE WHEN NEW.{column} THEN 'true' ELSE 'false' END)"


def _change(project: str, session: str, event: str, payload: str, time: str) -> str:
    return f"""
    INSERT INTO change_log (project_id, session_id, event_type, payload, created_at)
    VALUES ({project}, {session}, '{event}', json_object({payload}), {time});
"""


def _trigger(name: str, moment: str, condition: str, change: str) -> str:
    when = f"WHEN {condition}\n" if condition else ""

    return f"CREATE TRIGGER {name}\nAFTER {moment}\n{when}BEGIN{change}END"


def _session_change(event: str) -> str:
    payload = (
        "'id', NEW.id, 'activity', NEW.activity_state, "
        f"'isTerminated', {_boolean('is_terminated')}"
    )

    return _change("NEW.project_id", "NEW.id", event, payload, "NEW.updated_at")


def _pull_request_change(event: str, payload: str) -> str:
    project = "(SELECT project_id FROM sessions WHERE id = NEW.session_id)"

    return _change(project, "NEW.session_id", event, payload, "NEW.updated_at")


def _child_change(event: str, payload: str, time: str) -> str:
    """A change of what hangs on a pull request: its session and project come by that."""
    project = (
        "(SELECT sessions.project_id FROM sessions JOIN pr ON pr.session_id = sessions.id"
        " WHERE pr.url = NEW.pr_url)"
    )
    session = "(SELECT session_id FROM pr WHERE url = NEW.pr_url)"

    return _change(project, session, event, payload, time)


_PR_STATE = (
    "'url', NEW.url, 'session', NEW.session_id, 'state', NEW.pr_state, "
    "'ci', NEW.ci_state, 'review', NEW.review_decision, "
    "'mergeability', NEW.mergeability"
)
_CHECK = "'pr', NEW.pr_url, 'name', NEW.name, 'commit', NEW.commit_hash, 'status', NEW.status"
_THREAD = (
    "'pr', NEW.pr_url, 'thread', NEW.thread_id, 'path', NEW.path, 'line', NEW.line, "
    f"'resolved', {_boolean('resolved')}"
)

_TRIGGERS = (
    _trigger(
        "sessions_cdc_insert",
        "INSERT ON sessions",
        "",
        _session_change("session_created"),
    ),
    _trigger(
        "sessions_cdc_update",
        "UPDATE ON sessions",
        "OLD.activity_state <> NEW.activity_state"
        " OR OLD.is_terminated <> NEW.is_terminated"
        " OR (OLD.first_signal_at IS NULL AND NEW.first_signal_at IS NOT NULL)",
        _session_change("session_updated"),
    ),
    _trigger(
        "pr_cdc_insert",
        "INSERT ON pr",
        "",
        _pull_request_change("pr_created", _PR_STATE),
    ),
    _trigger(
        "pr_cdc_update",
        "UPDATE ON pr",
        "OLD.pr_state <> NEW.pr_state OR OLD.ci_state <> NEW.ci_state"
        " OR OLD.review_decision <> NEW.review_decision"
        " OR OLD.mergeability <> NEW.mergeability",
        _pull_request_change("pr_updated", _PR_STATE),
    ),
    _trigger(
        "pr_session_cdc_update",
        "UPDATE ON pr",
        "OLD.session_id <> NEW.session_id",
        _pull_request_change(
            "pr_session_changed",
            "'url', NEW.url, 'fromSession', OLD.session_id, 'toSession', NEW.session_id",
        ),
    ),
    _trigger(
        "pr_checks_cdc_insert",
        "INSERT ON pr_checks",
        "",
        _child_change("pr_check_recorded", _CHECK, "NEW.created_at"),
    ),
    _trigger(
        "pr_checks_cdc_update",
        "UPDATE ON pr_checks",
        "OLD.status <> NEW.status",
        _child_change("pr_check_recorded", _CHECK, "datetime('now')"),
    ),
    _trigger(
        "pr_review_threads_cdc_insert",
        "INSERT ON pr_review_threads",
        "",
        _child_change(
            "pr_review_thread_added",
            f"{_THREAD}, 'isBot', {_boolean('is_bot')}",
            "NEW.updated_at",
        ),
    ),
    _trigger(
        "pr_review_threads_cdc_update",
        "UPDATE ON pr_review_threads",
        "OLD.resolved <> NEW.resolved",
        _child_change("pr_review_thread_resolved", _THREAD, "NEW.updated_at"),
    ),
)

_FILL_LEDGER = tuple(
    f"INSERT INTO goose_db_version (version_id, is_applied) VALUES ({version}, 1)"
    for version in range(SCHEMA_VERSION + 1)
)

CREATE_STATEMENTS = (
    _LEDGER,
    _PROJECTS,
    _SESSIONS,
    _PULL_REQUESTS,
    _CHECKS,
    _COMMENTS,
    _THREADS,
    _CHANGES,
    _WORKSPACE_REPOS,
    _WORKTREES,
    *_INDEXES,
    *_TRIGGERS,
    *_FILL_LEDGER,
)
