from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.kept_notes import KeptNotes
from pipeline.probing import Probe, ProjectState
from pipeline.report import Verification
from pipeline.terminal.answers import (
    explain_kind,
    list_projects,
    summarize_faults,
    summarize_notes,
    summarize_probe,
    summarize_verification,
)
from pipeline.terminal.rendering import render
from stages.notes import KINDS
from tests.pipeline.terminal.problems import failed, lossy


def probe(**changes: Any) -> Probe:
    return Probe(
        **{
            "available": True,
            "root": "/home/u/\udcff",
            "projects": 3,
            "imported": 1,
            "pending": 2,
            "left_out": 0,
            "database": "/home/u/.ao/data/ao.db",
            "daemon": None,
            "error": None,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("daemon", "error", "end"),
    [
        (None, None, ["", "Look at the plan:", "  $ ao-import import --dry-run"]),
        (
            42,
            None,
            [
                "",
                "Stop the daemon, then look at the plan:",
                "  $ ao-import import --dry-run",
            ],
        ),
        (None, "c.yaml: line 1", ["Error:          c.yaml: line 1"]),
    ],
)
def test_the_status_says_what_comes_next(
    daemon: int | None, error: str | None, end: list[str]
) -> None:
    found = probe(daemon=daemon, error=error)

    lines = render(
        summarize_probe(found, next_command="ao-import import --dry-run")
    ).splitlines()

    assert lines[:4] == [
        "Legacy store:   /home/u/\\udcff",
        "Projects:       3, of them 1 imported and 2 pending",
        "Database:       /home/u/.ao/data/ao.db",
        f"Daemon:         {'running (pid 42)' if daemon else 'not running'}",
    ]
    assert lines[4:] == end


def test_the_status_counts_what_is_left_out() -> None:
    found = probe(projects=6, left_out=3)

    assert render(summarize_probe(found, next_command="c")).splitlines()[1] == (
        "Projects:       6, of them 1 imported, 2 pending and 3 left out"
    )


def test_a_list_has_each_project_with_its_state() -> None:
    states = (
        ProjectState(id="app", state="pending"),
        ProjectState(id="プロ", state="invalid"),
    )

    assert render(list_projects(probe(states=states))) == (
        "app   pending\nプロ  invalid"
    )


def test_a_verification_tells_faults_from_changes_and_from_what_never_came() -> None:
    result = Verification(
        projects_checked=3,
        projects_present=2,
        projects_conflicting=1,
        projects_invalid=1,
        transcript_bytes=2048,
        sessions_left=4,
        faults=(
            failed("app", "session-missing", "the session is missing", None),
            failed("web", "transcript-differs", "differs", "/t"),
        ),
        changed=(
            lossy("app", "ended by the new application", "session-ended"),
            lossy("docs", "its row has changed since: branch", "session-changed"),
        ),
        not_there=(
            failed("bad", "invalid-project", "no path", None),
            lossy("two", "its path is taken", "path-taken"),
        ),
    )

    assert render(summarize_verification(result)) == (
        "Checked:        4 projects (2 there, 1 conflicting, 1 invalid), 2.0 KiB of "
        "transcripts\n"
        "Missing:        1\n"
        "Different:      1\n"
        "Changed since:  2\n"
        "Not there:      2\n"
        "Stay behind:    4 workers and ended sessions\n"
        "\n"
        "Missing or different:\n"
        "  - app: the session is missing [session-missing]\n"
        "    To do: import again; if it stays, `import --dry-run` says why\n"
        "  - web: differs [transcript-differs]\n"
        "    Source: /t\n"
        "    To do: an import replaces nothing: move the copy away and import again\n"
        "\n"
        "Not there, as it cannot come:\n"
        "  - bad: no path [invalid-project]\n"
        "    To do: correct the entry in the configuration and import again\n"
        "\n"
        "Ended by the new application since:\n"
        "  - app: ended by the new application [session-ended]\n"
        "    To do: restore it in the new application\n"
        "\n"
        "Not there, as the rules leave it out:\n"
        "  - two: its path is taken [path-taken]\n"
        "    To do: remove one of the two, if it is not meant to be so\n"
        "\n"
        "Changed since the import, which is no fault:\n"
        "  - docs: its row has changed since: branch [session-changed]\n"
        "\n"
        "Bring in what is missing:\n"
        "  $ ao-import import\n"
        "Keep the old store until this command finds no fault."
    )
    assert render(summarize_faults(result)) == (
        "Missing or different:\n"
        "  - app: the session is missing [session-missing]\n"
        "  - web: differs [transcript-differs]\n"
        "Could not be brought across:\n"
        "  - bad: no path [invalid-project]"
    )


NEEDED_NO_MORE = "The old store is no longer needed, but for what never comes across."


@pytest.mark.parametrize(
    ("result", "end"),
    [
        pytest.param(
            Verification(projects_checked=3),
            ["Everything has arrived.", NEEDED_NO_MORE],
            id="all",
        ),
        pytest.param(
            Verification(projects_checked=3, sessions_left=1),
            ["Everything that comes across has arrived.", NEEDED_NO_MORE],
            id="workers-stay",
        ),
        pytest.param(
            Verification(not_there=(failed("a", "invalid-project", "no path", None),)),
            [
                "What could come has arrived; what is listed above could not.",
                "Keep the old store: what could not come is only there.",
            ],
            id="something-failed",
        ),
        pytest.param(
            Verification(
                projects_checked=1,
                worktrees=(lossy("a", "is still there", "worktree-stays"),),
            ),
            [
                "Everything has arrived.",
                "Keep the old store until the work in 1 worktree (named above) is saved.",
            ],
            id="uncommitted-work",
        ),
        pytest.param(
            Verification(
                projects_checked=1,
                faults=(failed("a", "transcript-differs", "differs", None),),
            ),
            ["", "Keep the old store: what is different is only there."],
            id="different",
        ),
        pytest.param(Verification(), ["", "There was nothing to check."], id="nothing"),
    ],
)
def test_a_verification_says_whether_the_old_store_can_be_deleted(
    result: Verification, end: list[str]
) -> None:
    assert render(summarize_verification(result)).splitlines()[-2:] == end


def test_notes_of_past_imports_are_shown_as_their_summary_did() -> None:
    kept = KeptNotes(
        written_at=datetime(2026, 7, 1, 12, tzinfo=UTC),
        root="/r",
        problems=(),
        cut={"permissions": 7},
    )

    problems = [failed("a", "invalid-project", "no path", None), lossy("b")]
    assert render(summarize_notes(kept, problems)) == (
        "Last import:    2026-07-01 12:00:00 UTC from /r\n"
        "\n"
        "Could not be brought across:\n"
        "  - a: no path [invalid-project]\n"
        "    To do: correct the entry in the configuration and import again\n"
        "\n"
        "Notes:\n"
        "  - b: no place for scm [no-home]\n"
        "    To do: set up what it offers instead\n"
        "\n"
        "There was no room to keep more: 7 of permissions."
    )
    assert "There are no notes." in render(summarize_notes(kept, []))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_explained(kind: str) -> None:
    text = render(explain_kind(kind))

    assert KINDS[kind].says in text
    assert f"To do:          {KINDS[kind].to_do or 'nothing'}" in text
