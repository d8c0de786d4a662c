"""A small, realistic legacy store, imported for those who have none at hand."""

from __future__ import annotations

__all__ = ("run_demo", "write_demo_store")

import json
import os
import shlex
import tempfile
from pathlib import Path

from msgspec.structs import replace

from pipeline.importing import run_import_with
from pipeline.options import ImportOptions, resolve
from pipeline.progress import Meter
from pipeline.terminal.rendering import Line
from pipeline.terminal.summary import PROGRAM, counted, summarize_report
from stages.floor.buckets import slug_of
from stages.floor.workers import Workers

UUID = "5f0c2a9e-7b1d-4c3e-9a66-2d1f8e4b7c10"

_CONFIG = """\
defaults:
  agent: claude-code
projects:
  shop_4f1c09ab27:
    projectId: shop_4f1c09ab27
    path: {home}/code/shop
    repo: {{owner: acme, name: shop, platform: github,
           originUrl: https://github.com/acme/shop}}
    defaultBranch: develop
    registeredAt: 1770000000
    displayName: Web shop
    sessionPrefix: shop
  docs:
    name: Documentation
    path: {home}/code/docs
    repo: acme/docs
    agentConfig: {{permissions: suggest}}
    tracker: {{plugin: linear}}
  old-site:
    path: {home}/code/old-site
    agentConfig: {{permissions: skip}}
    worker: {{agent: my-plugin}}
"""
_OWN_FILE = """\
agent: claude-code
env: {NODE_ENV: development}
symlinks: [.env]
postCreate: [npm ci]
agentConfig: {model: opus, permissions: auto-edit}
"""
_KEY_VALUE = """\
role=orchestrator
agent=codex
createdAt=2026-01-11T09:00:00Z
branch=orchestrator/old-site
codexThreadId=thr_019ab
status=working
"""


async def run_demo(program: str = PROGRAM) -> list[Line]:
    """Write the store, import it, and return the summary and where to look.

    `program` is how the user calls us.
    """
    async with Workers(1, "ao-import-demo") as workers:
        directory = await workers.submit(write_demo_store)
    root = directory / "home" / ".agent-orchestrator"
    data_dir = directory / "data"
    buckets = directory / "home" / ".claude" / "projects"
    settings = resolve(
        ImportOptions(root=root, data_dir=data_dir, claude_dir=buckets), os.environ
    )
    # A daemon may run: it is not the demo's database that it owns.
    settings = replace(settings, run_file=directory / "running.json")
    report = await run_import_with(settings, on_progress=None, meter=Meter())
    options = shlex.join(
        ["--from", str(root), "--data-dir", str(data_dir), "--claude-dir", str(buckets)]
    )

    return [
        *summarize_report(report, next_command=f"{program} verify {options}"),
        Line(""),
        counted("Legacy store:", str(root)),
        counted("Database:", str(data_dir / "ao.db")),
        counted("Transcripts:", str(buckets)),
        Line(""),
        counted("Delete after:", str(directory)),
    ]


def write_demo_store() -> Path:
    """Write the store into a new temporary directory, and return that."""
    directory = Path(tempfile.mkdtemp(prefix="ao-import-demo-")).resolve()
    home = directory / "home"
    root = home / ".agent-orchestrator"
    worktree = home / "worktrees" / "shop-orchestrator"
    worktree.mkdir(parents=True)
    bucket = home / ".claude" / "projects" / slug_of(str(worktree))
    files = {
        root / "config.yaml": _CONFIG.format(home=home),
        home / "code" / "shop" / "agent-orchestrator.yaml": _OWN_FILE,
        root
        / "0a1b2c3d4e5f-old-site"
        / "sessions"
        / "old-site-orchestrator": _KEY_VALUE,
        bucket / f"{UUID}.jsonl": '{"type":"user","message":"Ship the cart."}\n' * 500,
        bucket / UUID / "subagents" / "agent-a1.jsonl": '{"type":"user"}\n',
    }
    sessions = root / "projects" / "shop_4f1c09ab27" / "sessions"
    files[sessions / "shop-orchestrator.json"] = _record(
        "working", role="orchestrator", worktree=str(worktree), claudeSessionUuid=UUID
    )
    for number in range(1, 6):
        files[sessions / f"shop-{number}.json"] = _record(
            "done", branch=f"feat/{number}"
        )
    docs = root / "projects" / "docs" / "sessions" / "docs-orchestrator.json"
    files[docs] = _record("terminated", role="orchestrator")
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")

    return directory


def _record(state: str, **fields: str) -> str:
    session = {"state": state, "lastTransitionAt": "2026-03-02T11:30:00.250Z"}
    record = {
        "agent": "claude-code",
        "createdAt": "2026-03-01T10:00:00Z",
        **fields,
        # The legacy application wrote the lifecycle as JSON inside a JSON string.
        "lifecycle": json.dumps({"version": 2, "session": session}),
    }

    return json.dumps(record, indent=2)
