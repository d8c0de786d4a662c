"""A project's row and its configuration, from identity and behaviour (rules B2 to B7)."""

from __future__ import annotations

__all__ = (
    "is_refused_path",
    "map_permissions",
    "map_project_row",
    "note_unset_permissions",
)

import re
from typing import Literal

import msgspec

from stages.floor.text import quote
from stages.floor.times import to_stored
from stages.map.harness import map_harness
from stages.messages import Behaviour, Entry, Note, ProjectRow, Role
from stages.notes import note

PermissionMode = Literal["bypass-permissions", "accept-edits", "default"]

_MODES: dict[str, PermissionMode] = {
    "permissionless": "bypass-permissions",
    "skip": "bypass-permissions",
    "auto-edit": "accept-edits",
    "default": "default",
}
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")
_SEPARATORS = re.compile(r"[/\\]")


class _AgentConfig(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    model: str | None = None
    permissions: PermissionMode | None = None


class _RoleConfig(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    agent: str | None = None
    agent_config: _AgentConfig | None = None


class _ProjectConfig(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True):
    """The JSON of the column `config`; unset members are omitted (rule B2)."""

    default_branch: str | None = None
    session_prefix: str | None = None
    env: dict[str, str] = msgspec.field(default_factory=dict)
    symlinks: tuple[str, ...] = ()
    post_create: tuple[str, ...] = ()
    agent_config: _AgentConfig | None = None
    worker: _RoleConfig | None = None
    orchestrator: _RoleConfig | None = None
    agent_rules: str | None = None
    agent_rules_file: str | None = None
    orchestrator_rules: str | None = None


def map_project_row(entry: Entry) -> tuple[ProjectRow, list[Note]]:
    """Return the row of a project, and notes on what its configuration lost."""
    losses = _Losses(entry.id)
    config = msgspec.json.encode(_map_config(entry, losses)).decode()
    row = ProjectRow(
        id=entry.id,
        path=entry.path,
        repo_origin_url=entry.origin_url,
        display_name="" if entry.display_name == entry.id else entry.display_name,
        registered_at=to_stored(entry.registered_at) if entry.registered_at else None,
        config=None if config == "{}" else config,
    )

    return row, losses.notes


def map_permissions(word: str) -> tuple[PermissionMode, bool]:
    """Return the new mode, and whether it is only the nearest one (rule B3)."""
    mode = _MODES.get(word)

    # Least power wins: a word that we do not know must not grant anything.
    return (mode, False) if mode else ("default", True)


def note_unset_permissions(entry: Entry) -> list[Note]:
    """Return the note on roles that nobody wrote any permissions for (rule B3).

    The legacy application ran them without asking; unset, the new one asks.
    """
    shared = entry.behaviour.shared.permissions
    unset = [
        name
        for name, role in (
            ("worker", entry.behaviour.worker),
            ("orchestrator", entry.behaviour.orchestrator),
        )
        if shared is None and role.permissions is None
    ]
    if not unset:
        return []

    text = (
        f"no permissions are written for {' and '.join(unset)}: the legacy application "
        "ran them without asking, the new one asks"
    )
    return [note("permissions-unset", entry.id, text)]


def is_refused_path(path: str) -> bool:
    """Whether the new application refuses a path inside the project (rule B7)."""
    path = path.strip()  # the legacy application did so as well
    segments = _SEPARATORS.split(path)

    # The last one: the project itself, however that is spelled.
    return (
        bool(_ABSOLUTE.match(path))
        or ".." in segments
        or not any(segment.strip(".") for segment in segments)
    )


class _Losses:
    """Collects the notes of one project."""

    def __init__(self, project_id: str) -> None:
        self._project_id = project_id
        self.notes: list[Note] = []

    def add(self, kind: str, text: str) -> None:
        self.notes.append(note(kind, self._project_id, text))


def _map_config(entry: Entry, losses: _Losses) -> _ProjectConfig:
    behaviour = entry.behaviour
    orchestrator_model = (  # rule B6
        behaviour.orchestrator.orchestrator_model
        or behaviour.orchestrator.model
        or behaviour.shared.orchestrator_model
    )

    return _ProjectConfig(
        default_branch=entry.default_branch,
        session_prefix=entry.session_prefix,
        env=dict(behaviour.env),
        symlinks=_map_symlinks(behaviour, losses),
        post_create=behaviour.post_create,
        agent_config=_map_agent_config(
            behaviour.shared, behaviour.shared.model, "agentConfig", losses
        ),
        worker=_map_role(behaviour.worker, behaviour.worker.model, "worker", losses),
        orchestrator=_map_role(
            behaviour.orchestrator, orchestrator_model, "orchestrator", losses
        ),
        agent_rules=behaviour.agent_rules,
        agent_rules_file=_map_rules_file(behaviour, losses),
        orchestrator_rules=behaviour.orchestrator_rules,
    )


def _map_role(
    role: Role, model: str | None, name: str, losses: _Losses
) -> _RoleConfig | None:
    harness = map_harness(role.agent) if role.agent else None
    if role.agent and not harness:
        text = f"{name} agent {quote(role.agent)} is unknown to the new application"
        losses.add("harness", text)

    config = _map_agent_config(role, model, f"{name}.agentConfig", losses)
    return (
        _RoleConfig(agent=harness, agent_config=config) if harness or config else None
    )


def _map_agent_config(
    role: Role, model: str | None, name: str, losses: _Losses
) -> _AgentConfig | None:
    if role.permissions is None:
        return _AgentConfig(model=model) if model else None

    mode, is_lossy = map_permissions(role.permissions)
    if is_lossy:
        losses.add(
            "permissions",
            f"{name} permission {quote(role.permissions)} mapped lossily to {quote(mode)}",
        )
    return _AgentConfig(model=model, permissions=mode)


def _map_symlinks(behaviour: Behaviour, losses: _Losses) -> tuple[str, ...]:
    for path in behaviour.symlinks:
        if is_refused_path(path):
            text = f"symlink {quote(path)} is refused by the new application"
            losses.add("refused-value", text)

    return tuple(path for path in behaviour.symlinks if not is_refused_path(path))


def _map_rules_file(behaviour: Behaviour, losses: _Losses) -> str | None:
    path = (behaviour.agent_rules_file or "").strip()
    if path and is_refused_path(path):
        text = f"agentRulesFile {quote(path)} is refused by the new application"
        losses.add("refused-value", text)
        return None

    return path or None
