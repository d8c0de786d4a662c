from __future__ import annotations

from pathlib import Path

import pytest

from stages.discover.configuration import Configuration, parse_configuration
from stages.errors import ConfigBroken
from stages.messages import Note

FILE = Path("/store/config.yaml")


def parse(text: str) -> Configuration:
    return parse_configuration(text.encode(), FILE)


def texts(notes: tuple[Note, ...], kind: str) -> list[str]:
    return [note.text for note in notes if note.kind == kind]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("# nothing yet\n---\n", id="comment"),
        pytest.param("projects:\n", id="null"),
        pytest.param("projects: {}\nport: 3000\n", id="no-entry"),
        pytest.param("defaults: {agent: codex}\nport: 3000\n", id="says-little"),
        pytest.param("plugins: {x: {path: /x}}\n", id="paths-of-a-setting"),
        pytest.param("x-base: {x: {path: /x}}\n", id="home-of-anchors"),
        pytest.param("unheard: of\n", id="resembles-nothing"),
    ],
)
def test_configuration_may_register_no_project(text: str) -> None:
    """Rule C6."""
    assert parse(text).entries == {}


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        *(
            pytest.param(f"port: 1\n{key}:\n  app: x\n", (2, 1), key, id=key)
            for key in ("project", "Projects", "PROJECTS", "projets", "my-projects")
        ),
        pytest.param(
            "projects:\napp:\n  path: /app\n",
            (2, 1),
            '"app" looks like a project',
            id="not-indented",
        ),
        pytest.param(
            "app: {path: /app}\n", (1, 1), '"app" looks like', id="at-the-top"
        ),
        pytest.param(
            "repos:\n  app: {path: /app}\n", (1, 1), '"repos" holds', id="other-name"
        ),
        pytest.param(
            "projects: {}\nmine: {app: {path: /app}}\n",
            (2, 1),
            '"mine" holds',
            id="beside-an-empty-one",
        ),
        pytest.param("projects: [a]", (1, 1), "must be a mapping", id="list"),
        pytest.param("\n- a", (2, 1), "a mapping is wanted", id="list-at-the-top"),
        pytest.param("\xa0projects: {}", (1, 1), "U+00A0", id="no-break-space"),
    ],
)
def test_projects_elsewhere_are_an_error_and_no_empty_store(
    text: str, place: tuple[int, int], problem: str
) -> None:
    """Rule C6."""
    with pytest.raises(ConfigBroken) as caught:
        parse(text)

    assert (caught.value.line, caught.value.column) == place
    assert problem in caught.value.problem
    assert str(caught.value).startswith(f"{FILE}: line {place[0]}, column {place[1]}: ")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("reactions: {a: {}}\n", "reactions", id="setting"),
        pytest.param(
            "dataDir: /d\nplugins: [{name: x}]\nnotifiers: {a: {}}\n"
            "notificationRouting: {urgent: [a]}\n",
            "dataDir, plugins, notifiers, notificationRouting",
            id="each-that-is-known",
        ),
        pytest.param(
            "agentRules: be kind\nagent: codex\nruntime: process\n",
            "agentRules, agent, runtime",
            id="behaviour",
        ),
        pytest.param(
            "defaults: {env: {A: b}, agentConfig: {model: x}, notifiers: [a],\n"
            "  worker: {agent: codex, agentConfig: {model: x}}}\n",
            "defaults.env, defaults.agentConfig, defaults.notifiers, "
            "defaults.worker.agentConfig",
            id="defaults",
        ),
        pytest.param(
            "defaults: {agent: [codex], worker: {agent: {}}, orchestrator: codex}\n",
            "defaults.agent that is no text, defaults.worker.agent that is no text, "
            "defaults.orchestrator",
            id="defaults-of-a-wrong-type",
        ),
        pytest.param("defaults: codex\n", "defaults that are no mapping", id="text"),
    ],
)
def test_settings_without_a_home_are_one_note_of_the_store(
    text: str, names: str
) -> None:
    """Rule B8."""
    notes = parse(f"{text}projects: {{a: {{path: /a}}}}").notes

    assert [(note.project_id, note.kind, note.source) for note in notes] == [
        (None, "no-home", str(FILE))
    ]
    assert notes[0].text.endswith(f": {names}")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("notifiers: {}\nreactions: {}\nplugins:\n", id="empty"),
        pytest.param(
            "$schema: x\nport: 1\nterminalPort: 1\ndirectTerminalPort: 1\n"
            "readyThresholdMs: 1\npower: {a: b}\nlifecycle: {a: b}\n"
            "observability: {a: b}\nupdateChannel: manual\n",
            id="of-the-legacy-application-itself",
        ),
        pytest.param(
            "defaults: {agent: codex, runtime: process, workspace: clone,\n"
            "  worker: {agent: codex}, orchestrator: {agent: codex}}\n",
            id="C4-inherited",
        ),
        pytest.param("runtime: tmux\nworkspace: worktree\n", id="in-every-file"),
        pytest.param("x-base: &b {a: b}\n.more: *b\n_own: 1\n", id="homes-of-anchors"),
        pytest.param("defaults:\n", id="null"),
    ],
)
def test_what_says_nothing_for_the_new_application_leaves_no_note(text: str) -> None:
    """Rules B8, C4, P3."""
    assert parse(f"{text}projects: {{a: {{path: /a}}}}").notes == ()


def test_note_on_settings_holds_none_of_their_values() -> None:
    notes = parse(
        "notifiers: {slack: {url: SECRET}}\ndefaults: {env: {TOKEN: SECRET}}\n"
        "unknown: SECRET\nprojects: {a: {path: /a}}"
    ).notes

    assert len(notes) == 2
    assert "SECRET" not in repr(notes)


def test_unknown_settings_are_one_note_with_what_they_resemble() -> None:
    """Rule P3."""
    notes = parse("reaction: {a: b}\nxyzzy: 1\nprojects: {a: {path: /a}}\n").notes

    assert texts(notes, "unknown-field") == [
        f'unknown settings of "{FILE}" were left out: reaction (reactions?), xyzzy'
    ]


def test_of_very_many_unknown_settings_a_few_are_named() -> None:
    keys = "".join(f"{'k' * 100}{number}: 1\n" for number in range(20_000))
    [note] = parse(f"{keys}projects: {{a: {{path: /a}}}}").notes

    assert note.text.endswith(" and 19980 more")
    assert len(note.text) < 3000
