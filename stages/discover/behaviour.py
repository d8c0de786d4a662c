"""What a project sets, in legacy words: fields, agents of the roles, unknown names."""

from __future__ import annotations

__all__ = (
    "BEHAVIOUR_FIELDS",
    "Defaults",
    "IDENTITY_FIELDS",
    "ROLES",
    "WRITTEN_EVERYWHERE",
    "read_behaviour",
    "read_defaults",
    "unknown_fields",
)

from collections.abc import Iterator

import msgspec

from stages.discover.fields import Fields, is_scalar, list_unknown
from stages.discover.yaml_text import Node
from stages.messages import Behaviour, Note, Role
from stages.notes import note

# What behaviour is made of; the rest of an entry is identity (rules C2, C3).
BEHAVIOUR_FIELDS = frozenset(
    [
        "agent",
        "runtime",
        "workspace",
        "env",
        "symlinks",
        "postCreate",
        "agentConfig",
        "worker",
        "orchestrator",
        "agentRules",
        "agentRulesFile",
        "orchestratorRules",
        "tracker",
        "scm",
        "reactions",
        "decomposer",
        "orchestratorSessionStrategy",
        "opencodeIssueSessionStrategy",
    ]
)
IDENTITY_FIELDS = frozenset(
    [
        "name",
        "path",
        "repo",
        "defaultBranch",
        "sessionPrefix",
        "enabled",
        "originUrl",
        "projectId",
        "source",
        "registeredAt",
        "displayName",
        "storageKey",
    ]
)
# What the legacy application writes for itself.
_BOOKKEEPING = frozenset({"$schema", "_shadowSyncedAt"})
_FIELDS = BEHAVIOUR_FIELDS | IDENTITY_FIELDS | _BOOKKEEPING
_HOMELESS_FIELDS = (  # rule B8
    "tracker",
    "scm",
    "runtime",
    "workspace",
    "reactions",
    "decomposer",
    "orchestratorSessionStrategy",
    "opencodeIssueSessionStrategy",
)
_RULES_FIELDS = ("agentRules", "agentRulesFile", "orchestratorRules")

_AGENT_CONFIG = frozenset({"model", "permissions", "orchestratorModel", "subagent"})
_ROLE = frozenset({"agent", "agentConfig"})
ROLES = ("worker", "orchestrator")
# What the legacy application used where nobody chose, in all its versions (rule B5).
DEFAULT_AGENT = "claude-code"
# What its own commands write into every file: no setting of anybody's (rule B8).
WRITTEN_EVERYWHERE: dict[str, Node] = {
    "runtime": "tmux",
    "workspace": "worktree",
    "notifiers": ["composio", "desktop"],  # among the defaults
}
# Fields that are blocks, and what is known inside. Of `repo`, which is one as well, all
# but the origin is dropped without a note, so nothing in it is unknown.
_BLOCKS = {"agentConfig": _AGENT_CONFIG, "worker": _ROLE, "orchestrator": _ROLE}


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """The agents that every project inherits (rule C4)."""

    agent: str | None = None
    worker_agent: str | None = None
    orchestrator_agent: str | None = None


def read_defaults(node: Node) -> Defaults:
    """Return the inherited agents; what has the wrong type gives none."""
    fields = Fields(node if isinstance(node, dict) else {})

    return Defaults(
        agent=fields.trimmed("agent"),
        worker_agent=fields.block("worker").trimmed("agent"),
        orchestrator_agent=fields.block("orchestrator").trimmed("agent"),
    )


def read_behaviour(
    mapping: dict[str, Node],
    defaults: Defaults,
    *,
    is_inline: bool,
    project_id: str,
    source: str,
) -> tuple[Behaviour, list[Note]]:
    """Return the behaviour that a mapping sets, and notes on what it left out.

    `is_inline`: it is the entry of the registry, not the project's own file, which
    turns the order around in which a role's agent is looked for (rule B5).
    """
    fields = Fields(mapping)
    project_agent = fields.trimmed("agent")
    roles = {}
    for role, inherited in (
        ("worker", defaults.worker_agent),
        ("orchestrator", defaults.orchestrator_agent),
    ):
        block = fields.block(role)
        middle = (project_agent, inherited) if is_inline else (inherited, project_agent)
        agent = block.trimmed("agent") or middle[0] or middle[1] or defaults.agent
        roles[role] = _read_role(agent or DEFAULT_AGENT, block)

    behaviour = Behaviour(
        env=fields.text_map("env"),
        symlinks=fields.texts("symlinks"),
        post_create=fields.texts("postCreate"),
        shared=_read_role(project_agent, fields),
        worker=roles["worker"],
        orchestrator=roles["orchestrator"],
        agent_rules=_rules(mapping, "agentRules"),
        agent_rules_file=_rules(mapping, "agentRulesFile"),
        orchestrator_rules=_rules(mapping, "orchestratorRules"),
        is_inline=is_inline,
    )
    notes = fields.notes(project_id, source)
    if homeless := _homeless(mapping):
        notes.append(
            note(
                "no-home",
                project_id,
                f"the new application has no place for {', '.join(homeless)}",
                source,
            )
        )

    return behaviour, notes


def unknown_fields(
    mapping: dict[str, Node], *, project_id: str, source: str, where: str
) -> list[Note]:
    """Return the one note on fields that nobody knows, if there are any (rule P3)."""
    names = list_unknown(_unknown(mapping))
    if not names:
        return []

    text = f"unknown fields of {where} were left out: {names}"
    return [note("unknown-field", project_id, text, source)]


def _unknown(mapping: dict[str, Node]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the unknown fields, those of the blocks too, with what is known there."""
    blocks: list[tuple[str, Node, frozenset[str]]] = [("", mapping, _FIELDS)]
    blocks += [
        (f"{name}.", mapping.get(name), known) for name, known in _BLOCKS.items()
    ]
    for role in ROLES:
        block = mapping.get(role)
        config = block.get("agentConfig") if isinstance(block, dict) else None
        blocks.append((f"{role}.agentConfig.", config, _AGENT_CONFIG))
    for prefix, block, known in blocks:
        if isinstance(block, dict) and not known.issuperset(block):
            yield from ((prefix + key, known) for key in block if key not in known)


def _read_role(agent: str | None, fields: Fields) -> Role:
    config = fields.block("agentConfig")

    return Role(
        agent=agent,
        model=config.trimmed("model"),
        orchestrator_model=config.trimmed("orchestratorModel"),
        permissions=config.filled("permissions"),
    )


def _rules(mapping: dict[str, Node], name: str) -> str | None:
    node = mapping.get(name)

    return str(node) if isinstance(node, str) and node.strip() else None


def _homeless(mapping: dict[str, Node]) -> list[str]:
    found = [
        name
        for name in _HOMELESS_FIELDS
        if mapping.get(name) is not None
        and mapping[name] != WRITTEN_EVERYWHERE.get(name)
    ]
    found += [
        f"{prefix}agentConfig.subagent"
        for prefix, block in (
            ("", mapping),
            *((f"{r}.", mapping.get(r)) for r in ROLES),
        )
        if isinstance(block, dict) and _has_subagent(block.get("agentConfig"))
    ]
    found += [
        f"{name} that is no text"
        for name in _RULES_FIELDS
        if mapping.get(name) is not None and not is_scalar(mapping[name])
    ]

    return found


def _has_subagent(config: Node) -> bool:
    return isinstance(config, dict) and config.get("subagent") is not None
