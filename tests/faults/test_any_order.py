"""Whatever happens in whatever order: a run at the end makes what the rules say.

A state machine adds projects, damages and repairs files, kills imports, lets the daemon
change rows. Then an import runs, and what it leaves is compared with a fresh import of
the same store into a new place.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.faults.scene import Scene, State, differences
from tests.faults.test_kills import kill_after
from tests.support import lifecycle, snapshot

IDS = [f"p{number}" for number in range(6)]
EXAMPLES = 3
STEPS = 8


class AnyOrder(RuleBasedStateMachine):
    """A store that changes between imports, some of which are killed."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="any-order-")).resolve()
        self.scene = Scene(self.directory / "home")
        self.entries: dict[str, object] = {}
        self.damaged: dict[Path, bytes] = {}
        self.changed_by_daemon: set[str] = set()

    def teardown(self) -> None:
        try:
            self.repair_all()
            self.import_and_compare()
        finally:
            shutil.rmtree(self.directory)

    @rule(project_id=st.sampled_from(IDS), has_transcript=st.booleans())
    def add_project(self, project_id: str, has_transcript: bool) -> None:
        if project_id in self.entries:
            return

        path = str(self.scene.home / "repos" / project_id)
        self.entries[project_id] = {"path": path, "registeredAt": 1770000000}
        number = IDS.index(project_id)
        uuid = f"0b9c3f1e-0000-4444-8888-{number:012d}"
        worktree = self.scene.worktree(project_id)
        self.scene.record(
            project_id,
            f"{project_id}-orchestrator",
            worktree=str(worktree),
            claudeSessionUuid=uuid,
            createdAt="2026-03-01T10:00:00Z",
            lifecycle=lifecycle("working"),
        )
        if has_transcript:
            bucket = self.scene.bucket(worktree)
            self.scene.source_buckets.add(bucket.name)
            self.scene.write(bucket / f"{uuid}.jsonl", b"{}\n" * 50_000)
            self.scene.write(bucket / uuid / "tool-results" / "1.txt", b"result")
        config = json.loads(self.scene.config.read_text())
        config["projects"][project_id] = self.entries[project_id]
        self.scene.write(self.scene.config, config)

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), content=st.sampled_from([b"", b"{", b"\xff\xfe", b"[]"]))
    def damage_a_record(self, data: st.DataObject, content: bytes) -> None:
        project_id = data.draw(st.sampled_from(sorted(self.entries)))
        sessions = self.scene.root / "projects" / project_id / "sessions"
        file = sessions / f"{project_id}-orchestrator.json"
        self.damaged.setdefault(file, file.read_bytes())
        file.write_bytes(content)

    @rule()
    def repair_all(self) -> None:
        for file, content in self.damaged.items():
            file.write_bytes(content)
        self.damaged.clear()

    @rule(seconds=st.floats(0, 0.15))
    def kill_an_import(self, seconds: float) -> None:
        if hasattr(signal, "SIGKILL"):
            lock = self.scene.data_dir / ".import.lock"
            lock.unlink(missing_ok=True)
            kill_after(self.scene, lock, seconds)
            self.scene.rows_there()

    @rule()
    def import_all(self) -> None:
        before = self.legacy()
        report = asyncio.run(self.scene.run_import())
        counts = self.scene.rows_there()

        assert report.projects_imported + report.projects_skipped == counts[0]
        assert self.legacy() == before

    @rule(branch=st.text("abc", min_size=1, max_size=4))
    def the_daemon_changes_a_row(self, branch: str) -> None:
        if not self.scene.rows_there()[1]:  # no precondition: it depends on the kills
            return
        with closing(sqlite3.connect(self.scene.database)) as daemon:
            (found,) = daemon.execute("SELECT min(id) FROM sessions").fetchone()
            daemon.execute(
                "UPDATE sessions SET branch = ?, agent_session_id = '' WHERE id = ?",
                (branch, found),
            )
            daemon.commit()
        self.changed_by_daemon.add(found)

    def import_and_compare(self) -> None:
        asyncio.run(self.scene.run_import())
        found = self.scene.state()
        kept = {
            row_id: found.sessions[row_id] for row_id in sorted(self.changed_by_daemon)
        }
        again = asyncio.run(self.scene.run_import())
        second = self.scene.state()
        fresh = self.fresh()

        assert again.projects_imported == again.orchestrators_imported == 0
        assert again.transcripts_relocated == again.transcripts_failed == 0
        assert differences(second, found) == [], "a second import changes nothing"
        assert found.schema == fresh.schema
        assert found.projects == fresh.projects
        assert found.sessions | kept == fresh.sessions | kept
        assert found.transcripts == fresh.transcripts
        assert found.names == fresh.names

    def fresh(self) -> State:
        """Import the same store into a new place that looks the same."""
        aside = self.directory / "aside"
        aside.mkdir()
        buckets = set(os.listdir(self.scene.buckets)) - self.scene.source_buckets
        os.rename(self.scene.home / ".ao", aside / ".ao")
        for name in buckets:
            os.rename(self.scene.buckets / name, aside / name)
        asyncio.run(self.scene.run_import())

        return self.scene.state()

    def legacy(self) -> dict[str, tuple[object, ...]]:
        return snapshot(self.scene.root) | snapshot(self.scene.home / "wt")


@pytest.mark.slow
def test_whatever_came_before_an_import_makes_what_the_rules_say() -> None:
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            phases=[Phase.generate],  # a kill does not come back for shrinking
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
