"""What hypothesis makes: legacy text, times, configurations and records of any shape."""

from __future__ import annotations

__all__ = (
    "any_json",
    "any_nodes",
    "entries",
    "ids",
    "json_texts",
    "moments",
    "orchestrators",
    "records",
    "rfc_3339_texts",
    "texts",
)

import json
from datetime import UTC, datetime

from hypothesis import strategies as st

from stages.discover.yaml_text import Node, Quoted
from stages.messages import Behaviour, Entry, Orchestrator, Role
from tests.support import ENTRY, NOW, ORCHESTRATOR, OTHER_UUID, UUID

# What decode and discover let through: everything but halves of a character.
texts = st.text(
    st.characters(exclude_categories=["Cs"]), max_size=40
) | st.sampled_from(
    ["", " ", "\0", "a\nb", "\u202e", "'; DROP TABLE sessions; --", "𝕏" * 9, "-x", "é"]
)
# What JSON can spell: those too.
json_texts = texts | st.text(max_size=20) | st.sampled_from(["\ud800", "x\udfff"])
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}", fullmatch=True).filter(
    lambda text: ".." not in text
)
moments = st.datetimes(
    min_value=datetime(1, 1, 2),
    max_value=datetime(9999, 12, 30),
    timezones=st.just(UTC),
)


@st.composite
def rfc_3339_texts(draw: st.DrawFn) -> str:
    """A time as it may stand in a record: mostly of the right form (rule L6)."""
    moment = draw(moments)
    fraction = draw(
        st.sampled_from(["", ".5", ".250", ".123456789", ".0000000001", "."])
    )
    offset = draw(st.sampled_from(["Z", "+02:00", "-11:30", "z", "", "+0200"]))
    divider = draw(st.sampled_from("TT t"))

    return f"{moment:%Y-%m-%d}{divider}{moment:%H:%M:%S}{fraction}{offset}"


any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | json_texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(json_texts, inner, max_size=3)
    ),
    max_leaves=6,
)
any_nodes: st.SearchStrategy[Node] = st.recursive(
    st.none() | texts | texts.map(Quoted),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=6,
)

_states = st.sampled_from(
    ["working", "needs_input", "idle", "stuck", "done", "terminated", "", "new"]
)
_times = rfc_3339_texts() | any_json
_sessions = st.fixed_dictionaries(
    {},
    optional={
        "state": _states | any_json,
        "startedAt": _times,
        "terminatedAt": st.none() | _times,
        "lastTransitionAt": _times,
    },
)
_lifecycles = st.fixed_dictionaries(
    {},
    optional={
        "session": _sessions | any_json,
        "runtime": st.fixed_dictionaries({"lastObservedAt": _times}) | any_json,
    },
)
# The same once more as text, and text that only looks like it.
_encoded = _lifecycles.map(json.dumps) | json_texts.map(
    lambda text: f'{{"session": {{"state": "{text}"}}}}'
)
_agents = st.sampled_from(
    ["claude-code", "codex", "opencode", "aider", "kimicode", "x"]
)
_uuids = st.sampled_from([UUID, OTHER_UUID, f" {UUID} ", "../../etc", "-p", ""])

records = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("orchestrator") | any_json,
        "project": st.just("app") | any_json,
        "agent": _agents | any_json,
        "lifecycle": _lifecycles | _encoded | any_json,
        "statePayload": _lifecycles | _encoded | any_json,
        "stateVersion": st.sampled_from(["2", 2, 2.0, True, "1"]) | any_json,
        "status": _states | any_json,
        "worktree": st.just("/wt/app") | any_json,
        "branch": any_json,
        "displayName": any_json,
        "userPrompt": any_json,
        "createdAt": _times,
        "claudeSessionUuid": _uuids | any_json,
        "codexThreadId": _uuids | any_json,
        "opencodeSessionId": _uuids | any_json,
        "codexModel": any_json,
        "restoreFallbackReason": any_json,
    },
)
"""Session records: every field right, wrong or absent."""

_maybe_text = st.none() | texts
_roles = st.builds(
    Role,
    agent=st.none() | _agents | texts,
    model=_maybe_text,
    orchestrator_model=_maybe_text,
    permissions=st.none() | st.sampled_from(["skip", "suggest", "default"]) | texts,
)
_behaviours = st.builds(
    Behaviour,
    env=st.dictionaries(texts, texts, max_size=3).map(lambda env: tuple(env.items())),
    symlinks=st.lists(texts, max_size=3).map(tuple),
    post_create=st.lists(texts, max_size=3).map(tuple),
    shared=_roles,
    worker=_roles,
    orchestrator=_roles,
    agent_rules=_maybe_text,
    agent_rules_file=_maybe_text,
    orchestrator_rules=_maybe_text,
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """An entry as discover gives it."""
    project_id = draw(ids)
    session_prefix = draw(st.none() | texts.filter(bool))

    return Entry(
        id=project_id,
        path="/" + draw(texts.filter(lambda text: "\0" not in text)),
        origin_url=draw(texts),
        display_name=draw(texts | st.just(project_id)),
        registered_at=draw(st.none() | moments),
        default_branch=draw(st.none() | st.just("main") | texts),
        session_prefix=session_prefix,
        prefix=session_prefix or project_id[:12],
        legacy_prefixes=(draw(texts),),
        real_path=ENTRY.real_path,
        rivals=1,
        behaviour=draw(_behaviours),
        sessions_directories=ENTRY.sessions_directories,
        v1_directories=(),
        is_migrating=False,
        standalone_file=ENTRY.standalone_file,
        stopped_stems=frozenset(),
        includes_ended=False,
        foreign_stems=frozenset(),
        registered_ids=frozenset({project_id}),
        notes=(),
    )


_moments_or_none = st.none() | moments
orchestrators: st.SearchStrategy[Orchestrator] = st.builds(
    Orchestrator,
    stem=texts,
    file=st.just(ORCHESTRATOR.file),
    agent=_agents | texts,
    display_name=texts,
    branch=texts,
    worktrees=st.lists(texts | st.just("/wt/app"), max_size=2).map(tuple),
    prompt=texts,
    claude_session_uuid=(_uuids | texts).map(str.strip),
    codex_thread_id=(_uuids | texts).map(str.strip),
    opencode_session_id=(_uuids | texts).map(str.strip),
    codex_model=texts,
    restore_fallback_reason=texts,
    has_lifecycle=st.booleans(),
    state=st.none() | _states | texts,
    status=st.none() | _states | texts,
    is_terminal=st.booleans(),
    created_at=_moments_or_none,
    started_at=_moments_or_none,
    last_transition_at=_moments_or_none,
    last_observed_at=_moments_or_none,
    modified_at=moments | st.just(NOW),
)
