"""A session file's content becomes an orchestrator's record: JSON or key=value (S3, L5)."""

from __future__ import annotations

__all__ = (
    "decode_key_value",
    "decode_orchestrator",
    "decode_record",
    "find_worktrees",
    "has_role",
    "is_v1_worker",
    "probe_role",
)

import os
import re
from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from stages.decode.lifecycle import (
    find_lifecycle,
    is_terminal,
    is_terminated,
    object_in,
)
from stages.floor.json_text import DECODE_ERRORS, decode_object, is_json_object, mend
from stages.floor.times import parse_time
from stages.messages import Orchestrator

ORCHESTRATOR_ROLE = "orchestrator"

# By rule L5, in the order in which they count.
RESUME_IDS = (
    ("claude-code", "claudeSessionUuid"),
    ("codex", "codexThreadId"),
    ("opencode", "opencodeSessionId"),
)


class _Probe(msgspec.Struct):
    # `object`, not `str`: a role of another type must not cost the record.
    role: object = None


_decode_probe = msgspec.json.Decoder(_Probe).decode
_begins_with_pair = re.compile(rb"(?:#[^\n]*\n)*[A-Za-z][^\n=]*=").match
_ROLE_WORD = ORCHESTRATOR_ROLE.encode()


def probe_role(data: bytes) -> bool | None:
    """Return whether a record has the role; None where only a second look can tell.

    This is what runs once for every file: all other fields are skipped unread.
    """
    try:
        return _decode_probe(data).role == ORCHESTRATOR_ROLE
    except DECODE_ERRORS:
        return None


def is_v1_worker(data: bytes) -> bool:
    """Whether an old record can be told from an orchestrator's at a glance.

    After comments it begins with a pair, so it is neither JSON nor damaged, and the
    role's word is nowhere in it. Nearly all are like that, and need not be taken apart.
    """
    return _begins_with_pair(data) is not None and _ROLE_WORD not in data


def decode_record(data: bytes) -> tuple[dict[str, object] | None, bool]:
    """Return the fields of a record, and whether it is of `key=value` lines (rule S3).

    Each of the two layouts may hold the text of the other. None: it is no record.
    """
    found = decode_object(data)
    if found is not None:
        return found, False

    text = data.decode("utf-8", "replace")
    return (None, False) if is_json_object(text) else (decode_key_value(text), True)


def decode_key_value(text: str) -> dict[str, object] | None:
    """Return the pairs of `key=value` lines, None if there are none; the last key wins."""
    pairs: dict[str, object] = {}
    for line in text.removeprefix("\ufeff").split("\n"):
        key, divider, value = line.partition("=")
        if divider and not line.lstrip().startswith("#"):
            pairs[key.strip()] = value.strip()

    return pairs or None


def has_role(record: dict[str, object]) -> bool:
    """Whether the record says of itself that it is an orchestrator's."""
    return record.get("role") == ORCHESTRATOR_ROLE


def decode_orchestrator(
    record: dict[str, object],
    *,
    stem: str,
    file: str,
    modified_at: datetime,
    is_v1: bool,
    inherited_agent: str,
    v1_directories: Sequence[str] = (),
    stopped_stems: Collection[str] = (),
) -> Orchestrator:
    """Return the record's fields by type; one of a wrong type counts as absent.

    `inherited_agent` is the configured one, for records that name none (rule L5);
    `v1_directories` are the project's of the old layout (rule T1); `stopped_stems` were
    live when the legacy application stopped (rule S7).
    """
    lifecycle = find_lifecycle(record, is_v1=is_v1)
    session = lifecycle.session if lifecycle else {}
    runtime = lifecycle.runtime if lifecycle else {}
    status = _text(record, "status") or None
    resume_ids = {name: _text(record, name).strip() for _, name in RESUME_IDS}
    agent = _text(record, "agent").strip()
    for harness, name in RESUME_IDS:
        agent = agent or (harness if resume_ids[name] else "")

    has_ended = is_terminated(lifecycle, status)
    is_stopped = has_ended and stem in stopped_stems

    return Orchestrator(
        stem=stem,
        file=file,
        agent=agent or inherited_agent,
        display_name=_text(record, "displayName"),
        branch=_text(record, "branch"),
        worktrees=find_worktrees(record, runtime, v1_directories),
        prompt=_text(record, "userPrompt"),
        claude_session_uuid=resume_ids["claudeSessionUuid"],
        codex_thread_id=resume_ids["codexThreadId"],
        opencode_session_id=resume_ids["opencodeSessionId"],
        codex_model=_text(record, "codexModel").strip(),
        restore_fallback_reason=_text(record, "restoreFallbackReason").strip(),
        has_lifecycle=lifecycle is not None,
        state=lifecycle.state if lifecycle else None,
        status=status,
        is_terminal=is_terminal(lifecycle, status) and not is_stopped,
        is_terminated=has_ended,
        is_stopped=is_stopped,
        created_at=parse_time(record.get("createdAt")),
        started_at=parse_time(session.get("startedAt")),
        last_transition_at=parse_time(session.get("lastTransitionAt")),
        last_observed_at=parse_time(runtime.get("lastObservedAt")),
        modified_at=modified_at,
    )


def find_worktrees(
    record: dict[str, object],
    runtime: dict[str, object],
    v1_directories: Sequence[str],
) -> tuple[str, ...]:
    """Return where the session may have run, each place once, the likeliest first (T1).

    Migrations move worktrees and change what the record says, but in `runtimeHandle`;
    one that was rolled back has moved them without changing the record back.
    """
    worktree = _text(record, "worktree")
    places = [worktree]
    for handle in (record.get("runtimeHandle"), runtime.get("handle")):
        data = object_in((object_in(handle) or {}).get("data"))
        places.append(_text(data or {}, "workspacePath"))
    name = os.path.basename(worktree)
    places += [os.path.join(each, "worktrees", name) for each in v1_directories if name]

    return tuple(dict.fromkeys(filter(None, places)))


def _text(record: dict[str, object], name: str) -> str:
    value = record.get(name)

    return mend(value) if isinstance(value, str) else ""
