"""The scene of the fault tests: a store with all there is to lose, and the real program."""

from __future__ import annotations

__all__ = ("BIG", "NEEDS_ROOT", "Run", "Scene", "State", "can", "differences")

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.terminal.report_file import write_report
from tests.support import Store, lifecycle, snapshot

PROJECT_ROOT = Path(__file__).parents[2]
RUN_SECONDS = 60  # a run that hangs fails its test
SOURCE_UUIDS = (
    "0b9c3f1e-2222-4444-8888-abcdefabcdef",
    "1c9c3f1e-3333-4444-8888-ABCDEFABCDEF",
    "2d9c3f1e-3333-4444-8888-abcdefabcdef",
)
BIG = b'{"type":"user","message":"Nothing may be lost."}\n' * 20_000  # about 1 MB

NEEDS_ROOT = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may do this"
)


def can(*command: str) -> bool:
    """Whether a command exists here and ends well."""
    if shutil.which(command[0]) is None:
        return False

    done = subprocess.run(command, capture_output=True, timeout=RUN_SECONDS)
    return done.returncode == 0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How one run of the program ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        return dict(json.loads(self.stdout))

    @property
    def was_killed(self) -> bool:
        return self.status in (-signal.SIGKILL, 128 + signal.SIGKILL)

    def failed_projects(self) -> set[str]:
        """The projects of which the report says that something could not be read."""
        if self.status != 3:
            return set()

        return {
            problem["project"]
            for problem in self.report["problems"]
            if problem["severity"] == "failed" and problem["kind"] in _LASTING
        }


# By rules B1 and S3 a file that cannot be read costs what it says, with a note, and the
# row that was made without it stays (P4, L8): a later run does not mend it.
_LASTING = {"own-file", "record-unreadable", "directory-unreadable", "record-damaged"}


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What an import has made: rows, transcripts, and every other name."""

    schema: list[tuple[Any, ...]]
    projects: dict[str, tuple[Any, ...]]
    sessions: dict[str, tuple[Any, ...]]
    changes: list[tuple[Any, ...]]
    transcripts: dict[str, tuple[int, bytes | None]]  # mode and content by path
    names: dict[str, int]  # modes of what else is in the data dir, by name

    @property
    def size_bytes(self) -> int:
        """How many bytes a comparison looks at."""
        rows = [*self.projects.values(), *self.sessions.values(), *self.changes]
        return len(repr(rows)) + sum(
            len(c or b"") for _, c in self.transcripts.values()
        )


def differences(
    found: State, wanted: State, but: frozenset[str] | set[str] = frozenset()
) -> list[str]:
    """Return in what two states differ, projects of which that is known left out."""
    lines = []
    for name in ("projects", "sessions", "transcripts", "names"):
        one, other = getattr(found, name), getattr(wanted, name)
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) != other.get(key) and not any(p in key for p in but):
                shown = [repr(each)[:300] for each in (one.get(key), other.get(key))]
                lines.append(f"{name} {key}: {shown[0]} and not {shown[1]}")
    if found.schema != wanted.schema:
        lines.append("the schema differs")
    if not but and found.changes != wanted.changes:
        lines.append(f"change_log: {found.changes} and not {wanted.changes}")

    return lines


class Scene(Store):
    """A store with three transcripts, a sidecar, an old layout and an own file."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.report_file = home / "out" / "report.json"
        self._fill()
        self.source_buckets = set(os.listdir(self.buckets))
        self.legacy = self._look_at_legacy()

    def _fill(self) -> None:
        self.configure(
            {
                name: {"path": str(self.home / "repos" / name), "registeredAt": 1.77e9}
                for name in ("app", "moved", "old", "own")
            },
            defaults={"agent": "claude-code"},
        )
        names = {"version": 1, "projects": {"app": {"displayName": "The app"}}}
        self.write(self.root / "portfolio" / "preferences.json", names)
        self.write("repos/own/agent-orchestrator.yaml", "env: {A: b}\nagent: codex\n")
        for project, uuid in zip(("app", "own", "moved"), SOURCE_UUIDS, strict=True):
            worktree = self.worktree(project)
            self.record(
                project,
                f"{project}-orchestrator",
                worktree=str(worktree),
                claudeSessionUuid=uuid,
                createdAt="2026-03-01T10:00:00Z",
                lifecycle=lifecycle("working"),
            )
            self.record(project, f"{project}-1", role="worker")
            bucket = self.bucket(worktree if project != "moved" else self.home / "else")
            self.write(bucket / f"{uuid}.jsonl", BIG)
            if project == "app":
                self.write(bucket / uuid / "subagents" / "agent-1.jsonl", b"{}\n" * 9)
                self.write(bucket / uuid / "tool-results" / "a.txt", b"result")
        self.v1_record(
            "0a1b2c3d4e5f-old",
            "old-orchestrator",
            role="orchestrator",
            agent="codex",
            codexThreadId="thr_1",
            createdAt="2026-01-11T09:00:00Z",
            status="working",
        )

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AO_", "CLAUDE_", "XDG_", "GIT_"))
        }
        path = os.pathsep.join(
            filter(None, (str(PROJECT_ROOT), os.environ.get("PYTHONPATH")))
        )
        # Without compiled files of its own a run does nothing but what it must.
        return kept | {
            "HOME": str(self.home),
            "PYTHONPATH": path,
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def command(self, *options: str) -> list[str]:
        """Return the import as a user starts it."""
        self.report_file.parent.mkdir(exist_ok=True)
        places = {
            "--from": self.root,
            "--data-dir": self.data_dir,
            "--claude-dir": self.buckets,
            "--report": self.report_file,
        }
        given = [str(each) for pair in places.items() for each in pair]

        program = [sys.executable, "-m", "pipeline", "import"]
        return [*program, *given, "-y", "--json", *options]

    def run(
        self,
        *options: str,
        under: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        **settings: Any,
    ) -> Run:
        """Run the program, perhaps under another one, and wait for it."""
        done = subprocess.run(
            [*under, *self.command(*options)],
            env=self.environment | (environment or {}),
            cwd=self.home,
            capture_output=True,
            timeout=RUN_SECONDS,
            stdin=subprocess.DEVNULL,
            **settings,
        )
        return Run(
            status=done.returncode,
            stdout=done.stdout.decode(errors="replace"),
            stderr=done.stderr.decode(errors="replace"),
        )

    def start(self, under: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start the program, perhaps under another one, and do not wait for it."""
        return subprocess.Popen(
            [*under, *self.command()],
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def import_cleanly(self) -> State:
        """Import without any fault, in this process, and return what is there then."""
        report = asyncio.run(self.run_import())
        assert not report.has_failures, report.notes
        self.report_file.parent.mkdir(exist_ok=True)
        write_report(report, self.report_file)
        return self.state()

    def uninterrupted(self) -> State:
        """Return what an import into nothing makes, and take it away again."""
        self.reset()
        state = self.import_cleanly()
        self.reset()

        return state

    def reset(self) -> None:
        """Take away everything that imports have made."""
        for place in (self.home / ".ao", self.report_file.parent):
            shutil.rmtree(place, ignore_errors=True)
        for name in os.listdir(self.buckets):
            if name not in self.source_buckets:
                shutil.rmtree(self.buckets / name)

    def state(self) -> State:
        """Return what imports have made so far, read by plain sqlite3."""
        modes = {}
        for place in sorted((self.home / ".ao").rglob("*")):
            # A run that goes on after another keeps the database as that one left it.
            if place.name != "ao.db.before-import":
                modes[place.relative_to(self.home).as_posix()] = place.lstat().st_mode
        modes |= {
            f"out/{place.name}": 0
            for place in self.report_file.parent.glob("*")
            if place != self.report_file
        }
        connection = sqlite3.connect(self.database)
        try:
            found = State(
                schema=_all(connection, "SELECT type, name, sql FROM sqlite_master"),
                projects=_by_id(connection, "SELECT * FROM projects"),
                sessions=_by_id(connection, "SELECT * FROM sessions"),
                changes=_all(
                    connection,
                    "SELECT project_id, session_id, event_type, payload, created_at"
                    " FROM change_log ORDER BY session_id",
                ),
                transcripts=self.transcripts(),
                names=modes,
            )
            assert _all(connection, "PRAGMA integrity_check") == [("ok",)]
            ledger = _all(
                connection,
                "SELECT version_id, is_applied FROM goose_db_version ORDER BY id",
            )
            assert sorted(ledger) == [(version, 1) for version in range(11)]
        finally:
            connection.close()

        return found

    def transcripts(self) -> dict[str, tuple[int, bytes | None]]:
        """Return what is in the new buckets."""
        return {
            name: (info[0], info[2])  # type: ignore[misc]  # what `snapshot` gives
            for name, info in snapshot(self.buckets).items()
            if name.split("/")[0] not in self.source_buckets
        }

    def published(self) -> list[str]:
        """Return the UUIDs of the transcripts that are whole and in their place."""
        found = []
        for name, (mode, content) in self.transcripts().items():
            if name.endswith(".jsonl") and name.count("/") == 1:
                assert content == BIG, f"{name} is there and is not whole"
                assert stat.S_IMODE(mode) == 0o600
                found.append(Path(name).stem)

        return sorted(found)

    def rows_there(self) -> tuple[int, int]:
        """Return how many projects and sessions there are; no database has none."""
        if not self.database.exists() or not self.database.stat().st_size:
            return 0, 0

        connection = sqlite3.connect(self.database)
        try:
            assert _all(connection, "PRAGMA integrity_check") == [("ok",)]
            tables = _all(connection, "SELECT name FROM sqlite_master")
            if ("projects",) not in tables:
                assert not tables, "a half-made schema"
                return 0, 0
            counts = _all(
                connection,
                "SELECT (SELECT count(*) FROM projects), (SELECT count(*) FROM sessions)",
            )
        finally:
            connection.close()

        return int(counts[0][0]), int(counts[0][1])

    def assert_claims_hold(self, run: Run) -> None:
        """Check that a run ended as the contract says, and that its report is true."""
        said = f"status {run.status}: {run.stderr[-3000:]}"
        assert run.status in (0, 1, 3), said
        assert "Traceback" not in run.stderr, said
        assert "should not have happened" not in run.stderr, said
        assert "never retrieved" not in run.stderr, said
        projects, sessions = self.rows_there()
        published = self.published()
        if run.status == 1:
            assert run.stderr.startswith("error: "), said
            assert run.report["status"] == "failed", run.stdout
            assert run.report["projectsImported"] <= projects, run.stdout
            return

        report = run.report
        assert report["projectsImported"] == projects, run.stdout
        assert report["orchestratorsImported"] == sessions, run.stdout
        assert report["transcriptsRelocated"] <= len(published), run.stdout
        assert json.loads(self.report_file.read_bytes()) == report
        has_failures = any(p["severity"] == "failed" for p in report["problems"])
        assert has_failures == (run.status == 3), run.stdout

    def legacy_size_bytes(self) -> int:
        """Return the size of the transcripts that are there before any import."""
        return sum(
            (self.home / name).stat().st_size
            for name in self.legacy
            if name.endswith(".jsonl")
        )

    def assert_legacy_untouched(self) -> None:
        assert self._look_at_legacy() == self.legacy

    def _look_at_legacy(self) -> dict[str, tuple[object, ...]]:
        found = {}
        buckets = self.buckets.relative_to(self.home).as_posix()
        for name, info in snapshot(self.home).items():
            parts = name.split("/")
            is_ours = parts[0] in (".ao", "out") or name == buckets
            if name.startswith(buckets + "/"):
                is_ours = parts[2] not in self.source_buckets
            if not is_ours:
                found[name] = info

        return found


def _all(connection: sqlite3.Connection, statement: str) -> list[tuple[Any, ...]]:
    return sorted(connection.execute(statement).fetchall(), key=repr)


def _by_id(
    connection: sqlite3.Connection, statement: str
) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row for row in connection.execute(statement)}
