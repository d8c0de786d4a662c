"""What a project sets, in legacy words: fields, agents of the roles, unknown names."""

from __future__ import annotations

__all__ = (
    "BEHAVIOUR_FIELDS",
    "Defaults",
    "IDENTITY_FIELDS",
    "read_behaviour",
    "read_defaults",
    "unknown_fields",
)

import msgspec

from stages.discover.fields import Fields, is_scalar
from stages.discover.yaml_text import Node
from stages.floor.text import plain, quote, resembling
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
_FIELDS = BEHAVIOUR_FIELDS | IDENTITY_FIELDS
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

_AGENT_CONFIG = frozenset({"model", "permissions", "orchestratorModel"})
_ROLE = frozenset({"agent", "agentConfig"})
_ROLES = ("worker", "orchestrator")
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
        roles[role] = _read_role(agent, block)

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
    found = _unknown(mapping, "", _FIELDS)
    for name, known in _BLOCKS.items():
        found += _unknown(mapping.get(name), f"{name}.", known)
    for role in _ROLES:
        block = mapping.get(role)
        config = block.get("agentConfig") if isinstance(block, dict) else None
        found += _unknown(config, f"{role}.agentConfig.", _AGENT_CONFIG)
    if not found:
        return []

    return [
        note(
            "unknown-field",
            project_id,
            f"unknown fields of {where} were left out: {', '.join(found)}",
            source,
        )
    ]


def _unknown(node: Node, prefix: str, known: frozenset[str]) -> list[str]:
    if not isinstance(node, dict) or known.issuperset(node):
        return []

    return [_with_resembling(prefix, key, known) for key in node if key not in known]


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
    found = [name for name in _HOMELESS_FIELDS if mapping.get(name) is not None]
    found += [
        f"{name} that is no text"
        for name in _RULES_FIELDS
        if mapping.get(name) is not None and not is_scalar(mapping[name])
    ]

    return found


def _with_resembling(prefix: str, key: str, known: frozenset[str]) -> str:
    nearest = resembling(key, sorted(known))
    name = plain(prefix + (key if len(key) <= 80 else quote(key)))

    return f"{name} ({nearest[0]}?)" if nearest else name
