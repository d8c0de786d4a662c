"""Small builders: legacy stores on disk, messages with defaults, one stage run by itself."""

from __future__ import annotations

__all__ = (
    "ENTRY",
    "NOW",
    "OLD",
    "ORCHESTRATOR",
    "OTHER_UUID",
    "UUID",
    "Store",
    "go_on",
    "lifecycle",
    "never",
    "run_stage",
    "snapshot",
)

import json
import math
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from anyio import create_memory_object_stream, fail_after

import stages.discover
from pipeline.importing import run_import_with
from pipeline.options import Settings
from pipeline.progress import Meter
from pipeline.report import Report, Verification
from pipeline.verifying import verify_with
from stages.discover import Places, Registry
from stages.floor.buckets import slug_of
from stages.floor.workers import Workers
from stages.map import NewHome
from stages.messages import Behaviour, Entry, Orchestrator

# A stage that hangs fails its test; on a busy machine a second is soon gone.
STAGE_SECONDS = 20

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
OLD = datetime(2026, 3, 1, 10, tzinfo=UTC)
UUID = "0b9c3f1e-2222-4444-8888-abcdefabcdef"
OTHER_UUID = "1c9c3f1e-3333-4444-8888-ABCDEFABCDEF"

ENTRY = Entry(
    id="app",
    path="/repos/app",
    origin_url="",
    display_name="",
    registered_at=None,
    default_branch=None,
    session_prefix=None,
    prefix="app",
    legacy_prefixes=("app",),
    real_path="/repos/app",
    rivals=1,
    behaviour=Behaviour(),
    sessions_directories=("/root/projects/app/sessions",),
    v1_directories=(),
    is_migrating=False,
    standalone_file="/root/projects/app/orchestrator.json",
    stopped_stems=frozenset(),
    includes_ended=False,
    foreign_stems=frozenset(),
    registered_ids=frozenset({"app"}),
    notes=(),
)
ORCHESTRATOR = Orchestrator(
    stem="app-orchestrator",
    file="/root/projects/app/sessions/app-orchestrator.json",
    agent="claude-code",
    display_name="",
    branch="",
    worktrees=("/wt/app",),
    prompt="",
    claude_session_uuid="",
    codex_thread_id="",
    opencode_session_id="",
    codex_model="",
    restore_fallback_reason="",
    has_lifecycle=True,
    state="working",
    status=None,
    is_terminal=False,
    is_terminated=False,
    is_stopped=False,
    created_at=None,
    started_at=None,
    last_transition_at=None,
    last_observed_at=None,
    modified_at=OLD,
)

HOME = NewHome(worktrees="/data/worktrees", branches="ao")


def never() -> None:
    """The `check` of a run that is not ending."""


async def go_on() -> None:
    """The `check` of a run that may write."""


def lifecycle(state: str = "working", **session: object) -> dict[str, object]:
    """Return a lifecycle as the legacy application writes it."""
    return {"version": 2, "session": {"state": state, **session}, "runtime": {}}


async def run_stage(
    run: Callable[..., Awaitable[None]],
    items: Iterable[object] | None,
    **settings: object,
) -> list[Any]:
    """Feed one stage, under a deadline, and return what it sent.

    `items` is None for a stage that receives nothing. A stage that ends without closing
    what it sends to runs into the deadline.
    """
    send, outcome = create_memory_object_stream[object](math.inf)
    streams: list[object] = [send]
    if items is not None:
        feed, receive = create_memory_object_stream[object](math.inf)
        for item in items:
            feed.send_nowait(item)
        feed.close()
        streams.insert(0, receive)
    with outcome, fail_after(STAGE_SECONDS):
        await run(*streams, **settings)
        return [item async for item in outcome]


def snapshot(directory: Path) -> dict[str, tuple[object, ...]]:
    """Return all that a run that only reads may not change, by relative path."""
    found: dict[str, tuple[object, ...]] = {}
    for place in sorted(directory.rglob("*")):
        info = place.lstat()
        content: object = None
        if place.is_symlink():
            content = os.readlink(place)
        elif place.is_file():
            content = place.read_bytes()
        name = place.relative_to(directory).as_posix()
        found[name] = (info.st_mode, info.st_mtime_ns, content)

    return found


class Store:
    """A home directory with a legacy store in it; the new store goes there too."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / ".agent-orchestrator"
        self.config = self.root / "config.yaml"
        self.data_dir = home / ".ao" / "data"
        self.database = self.data_dir / "ao.db"
        self.buckets = home / ".claude" / "projects"
        self.root.mkdir(parents=True)

    def write(self, path: str | Path, content: object) -> Path:
        """Write text or bytes as they are and anything else as JSON, below the home."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            file.write_text(text, encoding="utf-8", newline="")

        return file

    def configure(self, projects: object = None, **top_level: object) -> None:
        """Write the configuration; JSON is YAML, with all text in quotes."""
        config = {"projects": projects, **top_level}
        self.write(self.config, json.dumps(config, ensure_ascii=False))

    def project(self, project_id: str = "app", **fields: object) -> None:
        """Register one project alone."""
        path = str(self.home / "repos" / project_id)
        self.configure({project_id: {"path": path, **fields}})

    def record(
        self, project_id: str = "app", stem: str = "app-orchestrator", **fields: object
    ) -> Path:
        """Write an orchestrator's record of the current layout."""
        directory = self.root / "projects" / project_id / "sessions"
        record = {"role": "orchestrator", "agent": "claude-code", **fields}

        return self.write(directory / f"{stem}.json", record)

    def v1_record(self, directory: str, stem: str, **fields: str) -> Path:
        """Write a record of the old layout."""
        lines = "".join(f"{key}={value}\n" for key, value in fields.items())

        return self.write(self.root / directory / "sessions" / stem, lines)

    def worktree(self, name: str = "app") -> Path:
        """Make the directory that a session ran in."""
        directory = self.home / "wt" / name
        directory.mkdir(parents=True, exist_ok=True)

        return directory

    def bucket(self, directory: Path) -> Path:
        """Return the bucket of a directory (rule T1)."""
        return self.buckets / slug_of(str(directory.resolve()))

    def new_bucket(self, project_id: str = "app", prefix: str = "app") -> Path:
        """Return the bucket that a project's transcript goes to (rule T1)."""
        session = f"{prefix}-orchestrator"
        worktrees = self.data_dir / "worktrees"

        return self.bucket(worktrees / project_id / "orchestrator" / session)

    def settings(self, **changes: object) -> Settings:
        """Return what an import is told."""
        settings = Settings(
            places=self.places(),
            data_dir=self.data_dir,
            branches="ao",
            buckets=self.buckets,
            run_file=self.home / ".ao" / "running.json",
            root_is_named=False,
            buckets_are_named=False,
            projects=(),
            exclude=(),
            include_ended=False,
            is_dry_run=False,
            readers=2,
            environment=dict(os.environ),
            now=NOW,
        )
        return msgspec.structs.replace(settings, **changes)

    def places(self) -> Places:
        return Places(
            root=self.root,
            config=self.config,
            config_is_required=False,
            home=str(self.home),
        )

    async def run_import(self, **changes: object) -> Report:
        """Import the store, all of it, as the command does."""
        settings = self.settings(**changes)

        return await run_import_with(settings, on_progress=None, meter=Meter())

    async def verify(self) -> Verification:
        """Compare the store with what is there."""
        return await verify_with(self.settings(), on_progress=None, meter=Meter())

    async def discover(self) -> tuple[Registry, list[Entry]]:
        """Read the registry and return the entries that it becomes."""
        places = self.places()
        async with Workers(2, "test-discover") as workers:
            registry = await stages.discover.read_registry(places, workers)
            entries = await run_stage(
                stages.discover.run,
                None,
                registry=registry,
                places=places,
                includes_ended=False,
                environment=os.environ,
                workers=workers,
                asking=workers,
            )

        return registry, entries

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return what the new store's database answers, read by plain sqlite3."""
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def row(self, table: str, row_id: str) -> dict[str, Any]:
        """Return one row, by its id."""
        connection = sqlite3.connect(self.database)
        connection.row_factory = sqlite3.Row
        try:
            # The table is a word of the test; the id is bound.
            found = connection.execute(f"SELECT * FROM {table} WHERE id = ?", (row_id,))
            return dict(found.fetchone())
        finally:
            connection.close()
