"""Legacy agents become the harnesses that the new store knows (rule B4)."""

from __future__ import annotations

__all__ = ("HARNESSES", "map_harness")

HARNESSES = frozenset(
    [
        "claude-code",
        "codex",
        "aider",
        "opencode",
        "grok",
        "droid",
        "amp",
        "agy",
        "crush",
        "cursor",
        "qwen",
        "copilot",
        "goose",
        "auggie",
        "continue",
        "devin",
        "cline",
        "kimi",
        "kiro",
        "kilocode",
        "vibe",
        "pi",
        "autohand",
    ]
)
_RENAMED = {"kimicode": "kimi"}


def map_harness(agent: str) -> str | None:
    """Return the harness of an agent, or None if the new store knows none."""
    harness = _RENAMED.get(agent, agent)

    return harness if harness in HARNESSES else None
