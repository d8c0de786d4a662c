"""Where real stores keep their projects and their sessions (rules C7 to C9, P1, P5, S1, S2, S7)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stages.discover import Registry
from stages.discover.candidates import find_candidates
from stages.floor.buckets import real_path
from stages.messages import Entry
from tests.support import Store, lifecycle

OWN = "agent-orchestrator.yaml"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def wrapped(store: Store, place: str, **projects: str) -> Path:
    """Write a file that registers projects, by id and path."""
    entries = {name: {"path": path} for name, path in projects.items()}

    return store.write(f"{place}/{OWN}", json.dumps({"projects": entries}))


def old_session(store: Store, directory: str, stem: str = "app-orchestrator") -> None:
    text = "role=orchestrator\nagent=codex\ncodexThreadId=t\nstatus=working\n"
    store.write(store.root / directory / "sessions" / stem, text)


def origin(store: Store, directory: str, file: Path) -> None:
    store.write(store.root / directory / ".origin", f"{file}\n")


async def discovered(store: Store) -> tuple[Registry, dict[str, Entry]]:
    registry, entries = await store.discover()

    return registry, {entry.id: entry for entry in entries}


def kinds(registry: Registry) -> list[tuple[str, str]]:
    return [(note.kind, note.severity) for note in registry.notes]


# --- Other ways to the registry (rules C8, C9). ---


async def test_pointer_of_a_moved_directory_leads_to_the_registry(store: Store) -> None:
    origin(store, "0123456789ab-app.migrated", wrapped(store, "code", app="."))

    registry, entries = await discovered(store)

    assert entries["app"].path == str(store.home / "code")
    assert [note.kind for note in entries["app"].notes] == ["pointed"]
    assert registry.notes == ()


async def test_what_the_application_last_ran_with_leads_to_the_registry(
    store: Store,
) -> None:
    file = wrapped(store, "code", app=".")
    store.write(store.root / "running.json", json.dumps({"configPath": str(file)}))

    _, entries = await discovered(store)

    assert list(entries) == ["app"]


@pytest.mark.parametrize("is_relative", [False, True])
async def test_worktree_leads_to_the_checkout_that_has_the_registry(
    store: Store, is_relative: bool
) -> None:
    wrapped(store, "code", app=".")
    worktree = store.root / "projects" / "app" / "worktrees" / "app-1"
    above = "../../../../.." if is_relative else store.home
    store.write(worktree / ".git", f"gitdir: {above}/code/.git/worktrees/app-1\n")

    _, entries = await discovered(store)

    assert list(entries) == ["app"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("gitdir: /etc/passwd", id="C8-no-worktree"),
        pytest.param("gitdir: \0", id="C8-NUL"),
        pytest.param("gitdir", id="C8-no-path"),
        pytest.param("\x80", id="C8-other-text"),
        pytest.param("", id="C8-empty"),
    ],
)
async def test_worktree_that_leads_nowhere_costs_nothing(
    store: Store, content: str
) -> None:
    worktree = store.root / "projects" / "app" / "worktrees" / "app-1"
    store.write(worktree / ".git", content)

    registry, entries = await discovered(store)

    assert (registry.count, entries, registry.notes) == (0, {}, ())


async def test_pointer_to_a_file_of_another_name_is_not_opened(store: Store) -> None:
    secret = store.write("secret.yaml", "projects: {app: {path: /x}}")
    link = store.home / "code" / OWN
    link.parent.mkdir()
    link.symlink_to(secret)
    origin(store, "0123456789ab-a", secret)
    origin(store, "0123456789ac-b", link)

    registry, entries = await discovered(store)

    assert entries == {}
    assert kinds(registry) == [("pointer", "failed"), ("pointer", "failed")]


@pytest.mark.parametrize("layout", ["current", "old", "standalone"])
async def test_records_without_any_registry_are_no_empty_store(
    store: Store, layout: str
) -> None:
    if layout == "current":
        store.record()
    elif layout == "old":
        old_session(store, "0123456789ab-app")
    else:
        store.write(store.root / "projects" / "app" / "orchestrator.json", "{}")

    registry, _ = await discovered(store)
    report = await store.run_import()

    assert registry.is_lost
    assert [(each.kind, each.severity) for each in report.problems] == [
        ("no-registry", "failed")
    ]
    assert "--config" in report.notes[0]
    assert not store.database.exists()


# --- Paths of projects (rules P1, P5). ---


@pytest.mark.skipif(os.sep != "/", reason="these are this system's own paths")
@pytest.mark.parametrize(
    "path",
    ["C:\\code\\one", "D:/Work", "\\\\server\\share", "https://u:p@host/x",
     "git@host:acme/app.git", "$HOME/x", "${HOME}/x", "%USERPROFILE%/x"],
)  # fmt: skip
async def test_path_of_another_system_is_no_relative_one(
    store: Store, path: str
) -> None:
    store.configure({"app": {"path": path}})

    registry, _ = await discovered(store)

    assert registry.projects == ()
    assert [note.kind for note in registry.invalid] == ["invalid-project"]
    assert "u:p" not in registry.invalid[0].text


async def test_of_two_entries_of_one_directory_the_live_one_counts(
    store: Store,
) -> None:
    (store.home / "code").mkdir()
    (store.home / "alias").symlink_to("code")
    store.configure(
        {
            "a": {"path": str(store.home / "code")},
            "b": {"path": str(store.home / "alias")},
            "c": {"path": str(store.home / "code" / ".")},
        }
    )
    store.record("b", "b-orchestrator", lifecycle=lifecycle())
    store.record("c", "c-orchestrator", lifecycle=lifecycle("done"))

    report = await store.run_import()

    assert store.rows("SELECT id, path FROM projects") == [
        ("b", str(store.home / "alias"))
    ]
    assert store.rows("SELECT id FROM sessions") == [("b-orchestrator",)]
    assert (report.projects_imported, report.projects_skipped) == (1, 2)
    assert [note for note in report.notes if '"b"' in note] == [
        f'{each}: not imported: its path "{store.home / "code"}" is that of the '
        'project "b"'
        for each in ("a", "c")
    ]


# --- What sessions are called by (rule S1). ---


async def test_ids_that_the_daemon_starts_are_stored_as_prefixes(store: Store) -> None:
    store.configure(
        {
            "site2.0": {"path": "/s"},
            "spaced": {"path": "/p", "sessionPrefix": "my app"},
            "a-rather-long-name-1": {"path": "/1"},
            "a-rather-long-name-2": {"path": "/2"},
            "plain": {"path": "/x"},
        }
    )

    _, entries = await discovered(store)

    assert {
        each.id: (each.prefix, each.session_prefix) for each in entries.values()
    } == {
        "site2.0": ("site2-0", "site2-0"),
        "spaced": ("my-app", "my-app"),
        "a-rather-long-name-1": ("a-rather-lon", None),
        "a-rather-long-name-2": ("a-rather-long-name-2", "a-rather-long-name-2"),
        "plain": ("plain", None),
    }
    assert {
        each.id
        for each in entries.values()
        if "session-id" in {n.kind for n in each.notes}
    } == {"site2.0", "spaced", "a-rather-long-name-2"}
    # Legacy files are found by the old names all the same.
    assert entries["a-rather-long-name-2"].legacy_prefixes == ("a-rather-lon", "2")


# --- Whose a directory is (rule S2). ---


async def test_storage_key_names_the_only_old_directory(store: Store) -> None:
    for name in ("0123456789ab", "abcdef012345-app"):
        old_session(store, name)
    store.configure({"app": {"path": "/r/app", "storageKey": "0123456789ab"}})

    _, entries = await discovered(store)

    assert entries["app"].v1_directories == (str(store.root / "0123456789ab"),)


async def test_old_directory_of_another_repository_of_the_same_name_is_not_read(
    store: Store,
) -> None:
    ours, other = store.home / "work" / "app", store.home / "side" / "app"
    store.write(ours / OWN, "agent: codex")
    store.write(other / OWN, "agent: codex")
    origin(store, "0123456789aa-app", other / OWN)
    origin(store, "0123456789ab-app", ours / OWN)
    origin(store, "0123456789ac-app", wrapped(store, "shared", app=str(ours)))
    origin(store, "0123456789ad-app", wrapped(store, "else", app=str(other)))
    for digits in ("aa", "ab", "ac", "ad"):
        old_session(store, f"0123456789{digits}-app")
    store.configure({"app": {"path": str(ours)}})

    registry, entries = await discovered(store)

    assert entries["app"].v1_directories == tuple(
        str(store.root / f"0123456789{digits}-app") for digits in ("ab", "ac")
    )
    assert kinds(registry) == [("unclaimed-directories", "lossy")]


@pytest.mark.parametrize("way", ["record", "key-value", "own-file", "quick-start"])
async def test_directory_of_another_name_is_found_for_its_project(
    store: Store, way: str
) -> None:
    project_id = "app_0123456789" if way == "quick-start" else "the-app"
    path = store.home / "code"
    store.configure({project_id: {"path": str(path)}})
    named = {"project": project_id} if way == "record" else {}
    file = store.record("app", "app-orchestrator", lifecycle=lifecycle(), **named)
    if way == "key-value":
        file.write_text(f"role=orchestrator\nproject = {project_id}\nstatus=working\n")
    elif way == "own-file":
        store.write(path / OWN, json.dumps({"projects": {"app": {"agent": "codex"}}}))

    registry, entries = await discovered(store)
    report = await store.run_import()

    projects = store.root / "projects"
    assert entries[project_id].sessions_directories == (
        str(projects / project_id / "sessions"),
        str(projects / "app" / "sessions"),
    )
    assert registry.notes == ()
    assert report.orchestrators_imported == 1


async def test_directories_of_nobody_are_named_for_each_layout(store: Store) -> None:
    store.configure({"other": {"path": "/r/other"}})
    store.record("app")
    old_session(store, "0123456789ab-gone")
    (store.root / "projects" / "empty" / "sessions").mkdir(parents=True)

    registry, _ = await discovered(store)

    assert kinds(registry) == [("unclaimed-directories", "lossy")] * 2
    assert '"0123456789ab-gone"' in registry.notes[0].text
    assert registry.notes[1].text.endswith(': "app"')


async def test_unfinished_migration_is_read_where_it_began(store: Store) -> None:
    store.write(store.root / ".migration-in-progress", "2026-06-03T10:00:00Z")
    old_session(store, "0123456789ab-app")
    store.record("app", "app-orchestrator-2", lifecycle=lifecycle())
    store.configure({"app": {"path": "/r/app"}})

    await store.run_import()

    assert store.rows("SELECT agent_session_id FROM sessions") == [("t",)]


# --- What was live at the last stop (rule S7), and ended ones (rule S8). ---


@pytest.mark.parametrize(
    ("state", "listed", "imported"),
    [
        pytest.param("terminated", True, True, id="S7-listed"),
        pytest.param("terminated", False, False, id="S7-not-listed"),
        pytest.param("done", True, False, id="S7-done"),
    ],
)
@pytest.mark.parametrize("place", ["first", "other"])
async def test_stopped_with_the_application_counts_as_live(
    store: Store, state: str, listed: bool, imported: bool, place: str
) -> None:
    store.project()
    store.record(lifecycle=lifecycle(state))
    block = {"projectId": "app", "sessionIds": ["app-orchestrator"] if listed else []}
    first = {"projectId": "x", "sessionIds": [], "otherProjects": [block]}
    store.write(
        store.root / "last-stop.json", json.dumps(block if place == "first" else first)
    )

    report = await store.run_import()

    assert report.orchestrators_imported == imported
    rows = store.rows("SELECT activity_state, is_terminated FROM sessions")
    assert rows == ([("idle", 0)] if imported else [])


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"sessionIds": 7}', '{"sessionIds": ["a"]}',
     '{"otherProjects": 1}', '{"projectId": "a", "sessionIds": [1]}'],
)  # fmt: skip
async def test_damaged_list_of_the_last_stop_costs_a_note(
    store: Store, content: str
) -> None:
    store.project()
    store.record(lifecycle=lifecycle("terminated"))
    store.write(store.root / "last-stop.json", content)

    registry, _ = await discovered(store)

    assert kinds(registry) == [("last-stop", "lossy")]


@pytest.mark.parametrize(
    ("stem", "state", "imported"),
    [
        pytest.param("app-orchestrator", "terminated", True, id="S8-canonical"),
        pytest.param("app-orchestrator-2", "terminated", False, id="S8-numbered"),
        pytest.param("app-orchestrator", "done", False, id="S8-done"),
    ],
)
async def test_ended_orchestrator_comes_where_it_is_asked_for(
    store: Store, stem: str, state: str, imported: bool
) -> None:
    store.project()
    store.record("app", stem, lifecycle=lifecycle(state))

    without = await store.run_import(is_dry_run=True)
    asked = await store.run_import(include_ended=True)

    assert without.orchestrators_imported == 0
    assert asked.orchestrators_imported == imported


# --- Bounds. ---


def test_many_pointers_to_one_file_read_it_once(tmp_path: Path) -> None:
    from stages.discover.candidates import PointedFiles
    from stages.discover.session_places import list_directories

    store = Store(tmp_path / "home")
    file = wrapped(store, "code", app=".")
    for number in range(2000):
        origin(store, f"{number:012x}-app", file)
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1

    files = PointedFiles(str(store.home), check)
    found, notes = find_candidates(list_directories(store.root), files, check)

    assert (list(found), notes) == (["app"], [])
    assert checks < 2100  # one for each pointer, and a few for the only file
    assert real_path(found["app"].source) == real_path(str(file))
