"""`probe`: what there is to import, found without reading a session or leaving a trace."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline.probing import Probe, ProjectState, State, probe_with
from tests.pipeline.command import TIMEOUT_SECONDS, ao_import, environment
from tests.support import Store, snapshot

# Prints each file that `status` opens and each directory that it lists.
WATCHED_STATUS = """
import os, sys
places = []
def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and arguments[0] is not None:
        place = arguments[0]
        places.append(place if isinstance(place, int) else os.fsdecode(place))
sys.addaudithook(watch)
from pipeline.terminal.cli import main
sys.argv[1:] = ["status", "--json"]
try:
    main()
finally:
    print(*(place for place in places if isinstance(place, str)), sep="\\n", file=sys.stderr)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two projects with a record each, and one whose entry is invalid."""
    store = Store(tmp_path)
    store.configure({"app": {"path": "/repos/app"}, "web": {"path": "/w"}, "bad": {}})
    store.record("app")
    store.record("web", "web-orchestrator")

    return store


@pytest.fixture
def daemon(store: Store) -> Iterator[sqlite3.Connection]:
    """A daemon, of this process, in the midst of a write."""
    store.data_dir.mkdir(parents=True)
    fixture = ao_import(store.home, "import", "--yes", "--project", "app")
    assert fixture.status == 0
    store.write(".ao/running.json", {"pid": os.getpid(), "port": 1})
    connection = sqlite3.connect(store.database, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE projects SET display_name = 'renamed'")
        yield connection
    finally:
        connection.close()


def states(app: State, web: State) -> tuple[ProjectState, ...]:
    return (
        ProjectState(id="app", state=app),
        ProjectState(id="bad", state="invalid"),
        ProjectState(id="web", state=web),
    )


def found(store: Store, **changes: object) -> Probe:
    """What a probe of this store finds while nothing is imported, but for changes."""
    before = Probe(
        available=True,
        root=str(store.root),
        projects=3,
        imported=0,
        pending=2,
        left_out=1,
        database=str(store.database),
        daemon=None,
        error=None,
        states=states("pending", "pending"),
    )
    return msgspec.structs.replace(before, **changes)


async def test_the_store_before_and_after_an_import(store: Store) -> None:
    assert await probe_with(store.settings()) == found(store)
    await store.run_import(projects=("app",))
    assert await probe_with(store.settings()) == found(
        store,
        imported=1,
        pending=1,
        states=states("imported", "pending"),
        is_populated=True,
    )
    await store.run_import()
    assert await probe_with(store.settings()) == found(
        store,
        imported=2,
        pending=0,
        states=states("imported", "imported"),
        is_populated=True,
    )


async def test_nothing_is_written(store: Store) -> None:
    before = snapshot(store.home)
    await probe_with(store.settings())
    assert snapshot(store.home) == before

    await store.run_import()
    before = snapshot(store.home)
    await probe_with(store.settings())
    assert snapshot(store.home) == before


async def test_a_home_without_a_store_has_nothing_to_import(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    store.root.rmdir()

    nothing = found(
        store, available=False, projects=0, pending=0, left_out=0, states=()
    )
    assert await probe_with(store.settings()) == nothing
    assert list(store.home.iterdir()) == []


async def test_a_live_daemon_is_named_and_not_disturbed(
    store: Store, daemon: sqlite3.Connection
) -> None:
    assert await probe_with(store.settings()) == found(
        store,
        imported=1,
        pending=1,
        daemon=os.getpid(),
        states=states("imported", "pending"),
        is_populated=True,
    )

    daemon.execute("COMMIT")
    assert daemon.execute("SELECT display_name FROM projects").fetchall() == [
        ("renamed",)
    ]


async def test_a_broken_store_says_why(store: Store) -> None:
    store.config.write_text("projects: [", encoding="utf-8")

    broken = await probe_with(store.settings())

    assert (broken.available, broken.projects, broken.is_broken) == (False, 0, True)
    assert broken.error is not None
    assert broken.error.startswith(f"{store.config}: line ")


@pytest.mark.parametrize(
    ("file", "content"),
    [(".ao/running.json", "{"), (".ao/data/ao.db", "this is no database")],
)
async def test_what_else_is_broken_says_why_and_the_store_still_counts(
    store: Store, file: str, content: str
) -> None:
    place = store.write(file, content)

    broken = await probe_with(store.settings())

    assert broken == found(store, error=broken.error)
    assert broken.error is not None
    assert broken.error.startswith(str(place))


async def test_a_project_whose_path_is_anothers_is_left_out(store: Store) -> None:
    """By a row of the database through a link, or by another entry (rule P5)."""
    real = store.home / "real"
    real.mkdir()
    (store.home / "link").symlink_to(real)
    store.configure(
        {
            "linked": {"path": str(store.home / "link")},
            "one": {"path": "/repos/one"},
            "other": {"path": "/repos/./one"},
        }
    )
    store.configure({"made": {"path": str(real)}})
    await store.run_import()
    store.configure(
        {
            "linked": {"path": str(store.home / "link")},
            "one": {"path": "/repos/one"},
            "other": {"path": "/repos/./one"},
        }
    )

    probed = await probe_with(store.settings())

    assert [(each.id, each.state) for each in probed.states] == [
        ("linked", "conflicting"),
        ("one", "pending"),
        ("other", "conflicting"),
    ]
    assert (probed.imported, probed.pending, probed.left_out) == (0, 1, 2)


async def test_what_a_newer_daemon_makes_itself_populates_nothing(
    store: Store,
) -> None:
    await store.run_import(projects=("app",))
    connection = sqlite3.connect(store.database)
    # Newer schemas allow the kind; that of version 10 has to be told to.
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("UPDATE projects SET kind = 'scratch'")
    connection.commit()
    connection.close()

    assert not (await probe_with(store.settings())).is_populated


async def test_archived_projects_populate_nothing(store: Store) -> None:
    await store.run_import()
    connection = sqlite3.connect(store.database)
    connection.execute("UPDATE projects SET archived_at = registered_at")
    connection.commit()
    connection.close()

    assert await probe_with(store.settings()) == found(
        store, imported=2, pending=0, states=states("imported", "imported")
    )


def test_no_session_is_read_and_no_directory_of_sessions_listed(store: Store) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED_STATUS],
        env=environment(store.home),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
    )

    places = map(Path, done.stderr.splitlines())
    seen = {
        place.relative_to(store.home).as_posix()
        for place in places
        if place.is_relative_to(store.home)
    }
    assert json.loads(done.stdout)["projects"] == 3
    # The root and `projects` are listed for directories of sessions, by their names.
    assert seen == {
        ".agent-orchestrator",
        ".agent-orchestrator/config.yaml",
        ".agent-orchestrator/last-stop.json",
        ".agent-orchestrator/projects",
        ".agent-orchestrator/portfolio/preferences.json",
        ".agent-orchestrator/portfolio/registered.json",
        ".ao/running.json",
    }


def test_status_shows_what_a_probe_finds(store: Store) -> None:
    done = ao_import(store.home, "status", "--json")

    assert (done.status, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "available": True,
        "root": str(store.root),
        "projects": 3,
        "imported": 0,
        "pending": 2,
        "leftOut": 1,
        "database": str(store.database),
        "daemon": None,
        "error": None,
    }
