from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stages.discover import Registry, load_registry
from stages.discover.behaviour import (
    Defaults,
    read_behaviour,
    read_defaults,
    unknown_fields,
)
from stages.discover.configuration import Sources
from stages.discover.fields import Fields
from stages.discover.overlays import read_overlays
from stages.discover.session_places import clean_path, legacy_prefix_of
from stages.discover.yaml_text import Node, Quoted
from stages.errors import ConfigBroken, StoreUnreadable
from stages.messages import Behaviour, Entry, Role
from tests.support import Store

MODIFIED = datetime(2026, 1, 2, tzinfo=UTC)


def load(store: Store, config: str, **sources: bytes) -> Registry:
    return load_registry(
        Sources(
            config=dedent(config).encode(),
            config_modified_at=MODIFIED,
            config_state=None,
            preferences=sources.get("preferences", b""),
            registered=sources.get("registered", b""),
        ),
        store.places(),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


async def entry_of(store: Store, **fields: object) -> Entry:
    """Return the only entry of a configuration with one project."""
    store.project(**fields)  # type: ignore[arg-type]  # any field of an entry
    _, (entry,) = await store.discover()

    return entry


def notes_of(entry: Entry) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in entry.notes]


@pytest.mark.parametrize(
    ("config", "ids"),
    [
        pytest.param("", [], id="C6-empty"),
        pytest.param("projects:", [], id="C6-null"),
        pytest.param("projects: {}", [], id="C6-no-projects"),
        pytest.param("other: 1", [], id="C6-other"),
        pytest.param(
            "projects: {b: {path: /b}, a: {path: /a}}", ["a", "b"], id="P6-order"
        ),
        pytest.param(
            "projects: {123: {path: /a}, on: {path: /b}}",
            ["123", "on"],
            id="C1-as-typed",
        ),
        pytest.param(
            "projects: {B: {path: /b}, a: {path: /a}, _: {path: /c}}",
            ["B", "a"],
            id="P6-by-code-point",
        ),
    ],
)
def test_registry_is_a_mapping_of_ids(
    store: Store, config: str, ids: list[str]
) -> None:
    assert [project.id for project in load(store, config).projects] == ids


@pytest.mark.parametrize(
    ("config", "place"),
    [
        pytest.param("- a", (1, 1), id="C6-list-at-the-top"),
        pytest.param("text", (1, 1), id="C6-text-at-the-top"),
        pytest.param("a: 1\nprojects:\n  - a", (2, 1), id="C6-list-of-projects"),
        pytest.param("projects: text", (1, 1), id="C6-text-for-projects"),
        pytest.param("projects: {a: 1, a: 2}", (1, 18), id="C6-twice"),
        pytest.param("projects: ]", (1, 11), id="C6-no-yaml"),
    ],
)
def test_broken_registry_names_its_place(
    store: Store, config: str, place: tuple[int, int]
) -> None:
    with pytest.raises(ConfigBroken) as caught:
        load(store, config)

    assert (caught.value.line, caught.value.column) == place
    assert str(store.config) in str(caught.value)


@pytest.mark.parametrize(
    ("project_id", "is_valid"),
    [
        *(
            pytest.param(word, True, id=f"P1-{word}")
            for word in ("a", "0", "A.b_c-D", "a.b")
        ),
        *(
            pytest.param(word, False, id=f"P1-{word!r}")
            for word in ("", ".a", "-a", "_a", "a..b", "a/b", "a b", "é", "a\n", "..")
        ),
    ],
)
def test_valid_ids(store: Store, project_id: str, is_valid: bool) -> None:
    registry = load(store, json.dumps({"projects": {project_id: {"path": "/a"}}}))

    assert (len(registry.projects), len(registry.invalid)) == (is_valid, not is_valid)
    assert registry.count == 1
    assert [note.project_id for note in registry.invalid] == [project_id] * (
        not is_valid
    )


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("", id="P1-null"),
        pytest.param("text", id="P1-text"),
        pytest.param("[]", id="P1-list"),
        pytest.param("{name: x}", id="P1-no-path"),
        pytest.param("{path: '  '}", id="P1-blank-path"),
        pytest.param("{path: [a]}", id="P1-path-of-a-wrong-type"),
        pytest.param('{path: "/a\\0b"}', id="P1-path-with-NUL"),
    ],
)
def test_entry_without_a_path_is_not_imported(store: Store, entry: str) -> None:
    registry = load(store, f"projects: {{a: {entry}}}")

    assert registry.projects == ()
    assert [note.severity for note in registry.invalid] == ["failed"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        pytest.param("/a/b", "/a/b", id="row-path-absolute"),
        pytest.param("/a/./b/../c//d/", "/a/c/d", id="row-path-clean"),
        pytest.param("//a", "/a", id="row-path-two-slashes"),
        pytest.param("~", "/home/me", id="row-path-home"),
        pytest.param("~/x", "/home/me/x", id="row-path-below-home"),
        pytest.param("~me/x", "/base/~me/x", id="row-path-other-home"),
        pytest.param("x/../y", "/base/y", id="row-path-relative"),
        pytest.param(" ", None, id="row-path-blank"),
    ],
)
def test_path_is_made_absolute_and_clean(text: str, path: str | None) -> None:
    assert clean_path(text, "/base", "/home/me") == path


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        pytest.param("/r/App", "app", id="S1-up-to-4"),
        pytest.param("/r/MyLargeApp", "mla", id="S1-capitals"),
        pytest.param("/r/my-large_app", "ml", id="S1-dashes-first"),
        pytest.param("/r/my_large_app", "mla", id="S1-underscores"),
        pytest.param("/r/Application", "app", id="S1-first-3"),
        pytest.param("/r/my--app", "ma", id="S1-empty-word"),
        pytest.param("/", "", id="S1-root"),
    ],
)
def test_legacy_prefix(path: str, prefix: str) -> None:
    assert legacy_prefix_of(path) == prefix


@pytest.mark.parametrize(
    ("fields", "prefix", "session_prefix"),
    [
        pytest.param("", "a-long-proje", None, id="S1-first-12-of-the-id"),
        pytest.param("sessionPrefix: ' ap '", "ap", "ap", id="S1-trimmed"),
        pytest.param("sessionPrefix: 010", "010", "010", id="C5-as-typed"),
        pytest.param("sessionPrefix: ' '", "a-long-proje", None, id="S1-blank"),
        pytest.param("sessionPrefix: a/b", "a-long-proje", None, id="B7-slash"),
        pytest.param("sessionPrefix: 'a\\b'", "a-long-proje", None, id="B7-backslash"),
        pytest.param("sessionPrefix: ..", "a-long-proje", None, id="B7-parent"),
        pytest.param('sessionPrefix: "a\\x1bb"', "a-long-proje", None, id="B7-control"),
    ],
)
def test_prefix(
    store: Store, fields: str, prefix: str, session_prefix: str | None
) -> None:
    config = f"projects:\n  a-long-project-id:\n    path: /a\n    {fields}\n"

    (project,) = load(store, config).projects

    assert (project.prefix, project.session_prefix) == (prefix, session_prefix)
    assert [note.kind for note in project.notes] == ["refused-value"] * (
        session_prefix is None and "sessionPrefix" in fields and "' '" not in fields
    )


@pytest.mark.parametrize(
    ("directory", "key", "is_its_own"),
    [
        pytest.param("abcdef012345-app", "", True, id="S2-id"),
        pytest.param("abcdef012345-checkout", "", True, id="S2-path"),
        pytest.param("abcdef012345-my-app", "", False, id="S2-ends-alike"),
        pytest.param("ABCDEF012345-app", "", False, id="S2-capitals"),
        pytest.param("abcdef01234-app", "", False, id="S2-eleven-digits"),
        pytest.param("abcdef012345-app.migrated", "", False, id="S2-migrated"),
        pytest.param("abcdef012345", "", False, id="S2-bare"),
        pytest.param("abcdef012345", "abcdef012345", True, id="S2-key"),
        pytest.param("abcdef012345x", "abcdef012345x", True, id="S2-longer-key"),
        pytest.param("keyed", "keyed", False, id="S2-key-without-digits"),
    ],
)
def test_old_directories_belong_by_exact_name(
    store: Store, directory: str, key: str, is_its_own: bool
) -> None:
    (store.root / directory).mkdir()
    fields = f"storageKey: {key}" if key else ""

    registry = load(store, f"projects:\n  app:\n    path: /r/checkout\n    {fields}\n")

    (project,) = registry.projects
    assert project.v1_directories == ((directory,) if is_its_own else ())


def test_old_directories_of_nobody_are_named_in_one_note(store: Store) -> None:
    for name in ("abcdef012345-b", "abcdef012346-a", "abcdef012345-observability"):
        (store.root / name).mkdir()

    (note,) = load(store, "projects: {app: {path: /app}}").notes

    assert (note.kind, note.severity) == ("unclaimed-directories", "lossy")
    assert note.text.endswith('"abcdef012345-b", "abcdef012346-a"')


def test_state_root_that_is_no_directory_is_an_error(store: Store) -> None:
    store.root.rmdir()
    store.root.write_bytes(b"")

    with pytest.raises(StoreUnreadable):
        load(store, "projects: {app: {path: /app}}")


# --- Fields and behaviour. ---


@pytest.mark.parametrize(
    ("node", "number", "wrong"),
    [
        pytest.param("1772359200", 1772359200.0, [], id="P2-whole"),
        pytest.param("1.5e3", 1500.0, [], id="P2-fraction"),
        pytest.param(Quoted("12"), None, ["n"], id="P2-quoted"),
        pytest.param("1_000", None, ["n"], id="P2-underscore"),
        pytest.param("0x1F", None, ["n"], id="P2-hexadecimal"),
        pytest.param("nan", None, ["n"], id="P2-nan"),
        pytest.param("١", None, ["n"], id="P2-other-digits"),
        pytest.param([], None, ["n"], id="P2-list"),
        pytest.param(None, None, [], id="P2-null"),
    ],
)
def test_number(node: Node, number: float | None, wrong: list[str]) -> None:
    fields = Fields({"n": node})

    assert (fields.number("n"), fields.all_wrong()) == (number, wrong)


@pytest.mark.parametrize(
    ("read", "node", "value", "wrong"),
    [
        pytest.param(Fields.trimmed, " x ", "x", [], id="P2-trimmed"),
        pytest.param(Fields.trimmed, " ", None, [], id="P2-blank"),
        pytest.param(Fields.trimmed, {}, None, ["x"], id="P2-mapping-for-text"),
        pytest.param(Fields.text, " x ", " x ", [], id="P2-text-as-typed"),
        pytest.param(
            Fields.texts, ["a", ["b"], "c"], ("a", "c"), ["x[1]"], id="P2-element"
        ),
        pytest.param(Fields.texts, "a", (), ["x"], id="P2-text-for-a-list"),
        pytest.param(
            Fields.text_map,
            {"A": "1", "B": None, "C": []},
            (("A", "1"), ("B", "")),
            ["x.C"],
            id="C5-null-under-env-is-empty",
        ),
        pytest.param(Fields.text_map, ["A=1"], (), ["x"], id="P2-list-for-a-map"),
    ],
)
def test_wrong_type_costs_only_what_has_it(
    read: Callable[[Fields, str], object], node: Node, value: object, wrong: list[str]
) -> None:
    fields = Fields({"x": node})

    assert (read(fields, "x"), fields.all_wrong()) == (value, wrong)


DEFAULTS = Defaults(agent="d", worker_agent="dw", orchestrator_agent="do")


@pytest.mark.parametrize(
    ("mapping", "defaults", "is_inline", "agents"),
    [
        pytest.param(
            {"agent": "p", "worker": {"agent": "w"}},
            DEFAULTS,
            True,
            ("w", "p"),
            id="B5-inline-role-then-project",
        ),
        pytest.param(
            {}, DEFAULTS, True, ("dw", "do"), id="B5-inline-default-of-the-role"
        ),
        pytest.param({}, Defaults(agent="d"), True, ("d", "d"), id="B5-inline-default"),
        pytest.param(
            {"agent": "p", "orchestrator": {"agent": "o"}},
            DEFAULTS,
            False,
            ("dw", "o"),
            id="B5-own-file-role-then-default-of-the-role",
        ),
        pytest.param(
            {"agent": "p"},
            Defaults(agent="d"),
            False,
            ("p", "p"),
            id="B5-own-file-project",
        ),
        pytest.param(
            {}, Defaults(agent="d"), False, ("d", "d"), id="B5-own-file-default"
        ),
        pytest.param(
            {"agent": " "},
            Defaults(),
            True,
            ("claude-code", "claude-code"),
            id="B5-none",
        ),
    ],
)
def test_agent_of_each_role(
    mapping: dict[str, Node],
    defaults: Defaults,
    is_inline: bool,
    agents: tuple[str | None, str | None],
) -> None:
    behaviour, _ = read_behaviour(
        mapping, defaults, is_inline=is_inline, project_id="app", source="f"
    )

    assert (behaviour.worker.agent, behaviour.orchestrator.agent) == agents


def test_behaviour_is_read_field_by_field() -> None:
    mapping: dict[str, Node] = {
        "agent": "codex",
        "env": {"A": "010"},
        "symlinks": ["a"],
        "postCreate": ["make"],
        "agentConfig": {
            "model": " m ",
            "permissions": "skip",
            "orchestratorModel": "om",
        },
        "worker": {"agentConfig": {"model": "w"}},
        "agentRules": "be kind\n",
        "agentRulesFile": "R.md",
        "orchestratorRules": " ",
        "tracker": {"plugin": "linear"},
        "runtime": "tmux",
    }

    behaviour, notes = read_behaviour(
        mapping, Defaults(), is_inline=True, project_id="app", source="f"
    )

    assert behaviour == Behaviour(
        env=(("A", "010"),),
        symlinks=("a",),
        post_create=("make",),
        shared=Role(
            agent="codex", model="m", permissions="skip", orchestrator_model="om"
        ),
        worker=Role(agent="codex", model="w"),
        orchestrator=Role(agent="codex"),
        agent_rules="be kind\n",
        agent_rules_file="R.md",
    )
    assert [(note.kind, note.text) for note in notes] == [
        ("no-home", "the new application has no place for tracker")
    ]


def test_inherited_agents_of_a_wrong_type_are_none() -> None:
    defaults = {"agent": [], "worker": "x", "orchestrator": {"agent": "codex"}}

    assert read_defaults("text") == Defaults()
    assert read_defaults(defaults) == Defaults(orchestrator_agent="codex")  # type: ignore[arg-type]  # lists are invariant


def test_unknown_fields_are_named_with_what_they_resemble() -> None:
    (note,) = unknown_fields(
        {"sesionPrefix": "x", "zzz": "y", "worker": {"agnet": "z"}},
        project_id="app",
        source="f",
        where="its entry",
    )

    assert note.text == (
        "unknown fields of its entry were left out: "
        "sesionPrefix (sessionPrefix?), zzz, worker.agnet (agent?)"
    )


def test_what_the_legacy_application_writes_for_itself_is_no_unknown_field() -> None:
    """Rules P3, B8."""
    block: dict[str, Node] = {"agentConfig": {"subagent": "oracle"}}
    mapping: dict[str, Node] = {
        "$schema": "https://example.org/schema.json",
        "_shadowSyncedAt": "1",
        **block,
        "worker": block,
    }

    found = unknown_fields(mapping, project_id="app", source="f", where="its entry")
    assert found == []
    _, notes = read_behaviour(
        mapping, Defaults(), is_inline=True, project_id="app", source="f"
    )
    assert [(note.kind, note.text) for note in notes] == [
        (
            "no-home",
            "the new application has no place for agentConfig.subagent, "
            "worker.agentConfig.subagent",
        )
    ]


def test_of_very_many_unknown_fields_a_few_are_named_and_compared() -> None:
    mapping: dict[str, Node] = {f"agnet{number}": "x" for number in range(100_000)}
    (note,) = unknown_fields(mapping, project_id="app", source="f", where="its entry")

    assert note.text.endswith("agnet19 (agent?) and 99980 more")


@pytest.mark.parametrize(
    ("preferences", "registered", "names", "by_id", "by_path"),
    [
        pytest.param(b"", b"", {}, [], [], id="overlay-missing"),
        pytest.param(b"{", b"[]", {}, [], [], id="overlay-damaged"),
        pytest.param(
            b'{"projects": []}', b'{"projects": {}}', {}, [], [], id="overlay-shape"
        ),
        pytest.param(
            b'{"projects": {"a": {"displayName": "A"}, "b": {"displayName": 7}, "c": 1}}',
            b"",
            {"a": "A"},
            [],
            [],
            id="overlay-names",
        ),
        pytest.param(
            b"",
            b'{"projects": [{"path": "/p", "addedAt": "2026-01-02T00:00:00Z", "id": "i",'
            b' "configProjectKey": "k"}, {"path": "/q", "addedAt": "yesterday"}, 7]}',
            {},
            ["i", "k"],
            ["/p"],
            id="overlay-times",
        ),
    ],
)
def test_overlays(
    preferences: bytes,
    registered: bytes,
    names: dict[str, str],
    by_id: list[str],
    by_path: list[str],
) -> None:
    overlays = read_overlays(
        preferences, registered, lambda path: clean_path(path, "/", "/home/me")
    )

    assert overlays.names == names
    assert overlays.times_by_id == dict.fromkeys(by_id, MODIFIED)
    assert overlays.times_by_path == dict.fromkeys(by_path, MODIFIED)


# --- Entries, with what is on disk. ---


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        pytest.param(
            {"repo": {"originUrl": "u"}, "originUrl": "v"}, "u", id="row-repo"
        ),
        pytest.param({"repo": "owner/name", "originUrl": "v"}, "v", id="row-origin"),
        pytest.param({"repo": {"owner": "x"}}, "", id="row-no-origin"),
    ],
)
async def test_origin_of_the_entry(
    store: Store, fields: dict[str, object], url: str
) -> None:
    entry = await entry_of(store, **fields)

    assert (entry.origin_url, entry.notes) == (url, ())


async def test_fields_of_a_wrong_type_are_named(store: Store) -> None:
    entry = await entry_of(
        store, repo=["x"], registeredAt="yesterday", env={"A": ["x"]}, displayName={}
    )

    assert {text.rpartition(": ")[2] for _, text in notes_of(entry)} == {
        "repo",
        "registeredAt",
        "env.A",
        "displayName",
    }
    assert {kind for kind, _ in notes_of(entry)} == {"wrong-type"}


async def test_names_and_times_come_from_the_best_source(store: Store) -> None:
    portfolio = store.root / "portfolio"
    added = "2026-01-02T00:00:00Z"
    path = str(store.home / "repos" / "app")
    before = await entry_of(store, name="N", displayName="D")
    store.write(
        portfolio / "preferences.json", {"projects": {"app": {"displayName": "P"}}}
    )
    store.write(
        portfolio / "registered.json", {"projects": [{"path": path, "addedAt": added}]}
    )
    after = await entry_of(store, name="N", displayName="D")

    assert before.display_name == "D"
    modified = datetime.fromtimestamp(store.config.stat().st_mtime, UTC)
    assert before.registered_at is not None
    assert abs(before.registered_at - modified).total_seconds() < 1
    assert (after.display_name, after.registered_at) == ("P", MODIFIED)


# Rule C2: what the last legacy versions write.
async def test_registration_time_of_the_entry_counts_in_epoch_seconds(
    store: Store,
) -> None:
    store.write(store.config, "projects: {app: {path: /a, registeredAt: 1767312000}}")
    _, (entry,) = await store.discover()

    assert entry.registered_at == MODIFIED


def own_file(store: Store, content: str | bytes, name: str = "yaml") -> Path:
    return store.write(f"repos/app/agent-orchestrator.{name}", content)


async def test_own_file_counts_alone_and_what_it_overrides_is_named(
    store: Store,
) -> None:
    file = own_file(store, "env: {A: own}\nagent: codex\nname: passed over\n")
    own_file(store, "env: {A: second}\n", "yml")

    entry = await entry_of(store, env={"A": "inline"}, symlinks=["x"], agent="codex")

    assert entry.behaviour.env == (("A", "own"),)
    assert entry.behaviour.symlinks == ()
    assert notes_of(entry) == [
        ("inline-overridden", f'env, symlinks of its entry gave way to "{file}"')
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("", "it is empty", id="B1-empty"),
        pytest.param("- a", "it is no mapping", id="B1-list"),
        pytest.param("a: ]", "line 1, column 4: ", id="B1-no-yaml"),
        pytest.param("projects: {x: {}, y: {}}", "it has no entry", id="B1-no-entry"),
        pytest.param("projects:", "it has no entry", id="B1-null-projects"),
        pytest.param(b"a: \xff", "this is no UTF-8", id="B1-no-UTF-8"),
    ],
)
async def test_own_file_that_does_not_load_leaves_the_inline_fields(
    store: Store, content: str | bytes, problem: str
) -> None:
    file = own_file(store, content)

    entry = await entry_of(store, env={"A": "inline"})

    (note,) = entry.notes
    assert entry.behaviour.env == (("A", "inline"),)
    assert (note.kind, note.severity, note.source) == ("own-file", "failed", str(file))
    assert str(file) in note.text
    assert problem in note.text


@pytest.mark.parametrize(
    ("content", "value"),
    [
        pytest.param("env: {A: flat}", "flat", id="C3-flat"),
        pytest.param("projects: {app: {env: {A: x}}, b: {}}", "x", id="C3-by-id"),
        pytest.param("projects: {other: {env: {A: only}}}", "only", id="C3-only-one"),
    ],
)
async def test_own_file_is_flat_or_wrapped(
    store: Store, content: str, value: str
) -> None:
    own_file(store, content)

    entry = await entry_of(store)

    assert (entry.behaviour.env, entry.notes) == ((("A", value),), ())


async def test_defaults_of_a_wrapped_file_count_in_place_of_the_global_ones(
    store: Store,
) -> None:
    own_file(store, "defaults: {agent: codex}\nprojects: {app: {}}\n")
    path = str(store.home / "repos" / "app")
    store.configure({"app": {"path": path}}, defaults={"worker": {"agent": "aider"}})

    _, (entry,) = await store.discover()

    assert entry.behaviour.worker.agent == "codex"


async def test_own_file_that_leads_out_of_the_project_is_not_read(store: Store) -> None:
    store.write("elsewhere.yaml", "env: {A: x}\n")
    link = store.home / "repos" / "app" / "agent-orchestrator.yaml"
    link.parent.mkdir(parents=True)
    link.symlink_to(store.home / "elsewhere.yaml")

    entry = await entry_of(store)

    assert entry.behaviour.env == ()
    assert [kind for kind, _ in notes_of(entry)] == ["own-file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
async def test_own_file_that_is_a_fifo_is_not_waited_for(store: Store) -> None:
    fifo = store.home / "repos" / "app" / "agent-orchestrator.yaml"
    fifo.parent.mkdir(parents=True)
    os.mkfifo(fifo)

    entry = await entry_of(store)

    assert [kind for kind, _ in notes_of(entry)] == ["own-file"]


# --- Pointers (rule C7). ---


def pointer(store: Store, directory: str, content: str | bytes | Path) -> None:
    text = f"{content}\n" if isinstance(content, Path) else content
    store.write(store.root / directory / ".origin", text)


async def test_pointers_lead_to_the_projects_where_there_is_no_registry(
    store: Store,
) -> None:
    first = store.write(
        "x/agent-orchestrator.yaml", "projects: {a: {path: .}, b: {path: b}}"
    )
    second = store.write(
        "y/agent-orchestrator.yaml",
        "defaults: {agent: codex}\nprojects: {b: {path: /b2}, c: {path: /c, env: {A: x}}}",
    )
    pointer(store, "aaaaaaaaaaaa-x", first)
    pointer(store, "aaaaaaaaaaab-x", first)
    pointer(store, "aaaaaaaaaaac", second)
    pointer(store, "aaaaaaaaaaad-z.migrated", second)

    registry, entries = await store.discover()

    home = str(store.home)
    assert [(entry.id, entry.path) for entry in entries] == [
        ("a", f"{home}/x"),
        ("b", f"{home}/x/b"),
        ("c", "/c"),
    ]
    assert entries[2].behaviour.worker.agent == "codex"
    assert entries[2].v1_directories == (str(store.root / "aaaaaaaaaaac"),)
    assert registry.notes == ()
    assert [sorted(kind for kind, _ in notes_of(entry)) for entry in entries] == [
        ["pointed"],
        ["pointed", "registered-twice"],
        ["pointed"],
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("", "it holds no absolute path", id="C7-empty"),
        pytest.param("x/y.yaml", "it holds no absolute path", id="C7-relative"),
        pytest.param(
            "/nowhere/agent-orchestrator.yaml\n", "No such file", id="C7-gone"
        ),
        pytest.param(b"/a\xff", "it is no UTF-8", id="C7-no-UTF-8"),
        pytest.param(b"/a\0b", "it holds no absolute path", id="C7-NUL"),
    ],
)
async def test_pointer_that_leads_nowhere_leaves_a_note(
    store: Store, content: str | bytes, problem: str
) -> None:
    pointer(store, "aaaaaaaaaaaa-x", content)

    registry, entries = await store.discover()

    (note,) = registry.notes
    assert entries == []
    assert (note.project_id, note.kind, note.severity) == (None, "pointer", "failed")
    assert problem in note.text


async def test_pointer_to_a_flat_file_leaves_a_note(store: Store) -> None:
    pointer(store, "aaaaaaaaaaaa-x", store.write("x/flat.yaml", "env: {A: x}"))

    registry, entries = await store.discover()

    assert entries == []
    assert [note.kind for note in registry.notes] == ["pointer"]


async def test_pointers_count_only_where_no_project_is_registered(store: Store) -> None:
    file = store.write("x/agent-orchestrator.yaml", "projects: {x: {path: /x}}")
    pointer(store, "aaaaaaaaaaaa-x", file)
    store.project()

    _, entries = await store.discover()

    assert [entry.id for entry in entries] == ["app"]


# --- Origins. ---


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git here")
async def test_origin_is_what_git_says(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(("git", *arguments), check=True, capture_output=True)

    repos = store.home / "repos"
    git("init", str(store.home))
    git("-C", str(store.home), "remote", "add", "origin", "https://dotfiles")
    git("init", str(repos / "app"))
    git("-C", str(repos / "app"), "remote", "add", "origin", "https://host/app.git")
    for name in ("below", "sub"):
        (repos / name).mkdir()
    (repos / "app" / "inner").mkdir()
    paths: dict[str, Any] = {
        "app": {"path": str(repos / "app"), "originUrl": "other"},
        "inner": {"path": str(repos / "app" / "inner")},
        "below": {"path": str(repos / "below"), "originUrl": "kept"},
        "gone": {"path": str(repos / "gone"), "originUrl": "kept"},
    }
    store.configure(paths)
    monkeypatch.setenv("GIT_DIR", str(store.home / ".git"))

    _, entries = await store.discover()

    assert {entry.id: entry.origin_url for entry in entries} == {
        "app": "https://host/app.git",
        "inner": "https://host/app.git",
        "below": "kept",
        "gone": "kept",
    }


async def test_missing_git_is_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (store.home / "repos" / "app" / ".git").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))

    entry = await entry_of(store, originUrl="kept")

    assert (entry.origin_url, entry.notes) == ("kept", ())
