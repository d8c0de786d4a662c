from __future__ import annotations

import pytest

from pipeline.probing import Probe
from pipeline.report import Problem, ProjectResult, Report, Verification
from pipeline.terminal.summary import (
    NOTES_PER_KIND,
    format_failures,
    format_plan,
    format_probe,
    format_report,
    format_verification,
)

GIB = 1024**3


def lossy(
    project: str | None, text: str = "no place for scm", kind: str = "no-home"
) -> Problem:
    return Problem(
        project=project, kind=kind, severity="lossy", source="/c.yaml", text=text
    )


def failed(project: str, kind: str, text: str, source: str | None) -> Problem:
    return Problem(
        project=project, kind=kind, severity="failed", source=source, text=text
    )


def test_counts_are_aligned_as_the_contract_says() -> None:
    report = Report(
        projects_imported=12,
        projects_skipped=3,
        orchestrators_imported=9,
        orchestrators_skipped=2,
        orchestrators_absent=4,
        transcripts_relocated=7,
    )

    assert format_report(report).splitlines()[:3] == [
        "Projects:       12 imported, 3 already present",
        "Orchestrators:  9 imported, 2 skipped, 4 absent",
        "Transcripts:    7 relocated",
    ]


def test_what_is_not_zero_joins_the_counts() -> None:
    report = Report(
        projects_invalid=1,
        transcripts_relocated=1,
        transcripts_present=2,
        transcripts_missing=3,
        transcripts_failed=4,
        transcript_bytes=5 * 1024**2,
    )

    assert format_report(report) == (
        "Projects:       0 imported, 0 already present, 1 invalid\n"
        "Orchestrators:  0 imported, 0 skipped, 0 absent\n"
        "Transcripts:    1 relocated, 2 already present, 3 missing, 4 failed (5.0 MiB)\n"
        "\n"
        "Check that all is there:\n"
        "  $ ao-import verify"
    )


def test_failures_come_first_with_what_to_do_and_the_next_step_last() -> None:
    report = Report(
        projects_imported=2,
        problems=(
            lossy("app"),
            failed("bad", "invalid-project", "not imported: no path", "/c.yaml"),
            failed("app", "transcript-failed", 'could not copy "/t/a.jsonl"', None),
        ),
    )

    assert format_report(report).partition("Transcripts:    0 relocated\n")[2] == (
        "\n"
        "Could not be brought across:\n"
        "  - bad: not imported: no path\n"
        "    Source: /c.yaml\n"
        "    To do:  correct the entry in the configuration and import again\n"
        '  - app: could not copy "/t/a.jsonl"\n'
        "    To do:  see to the cause and import again; all else stays\n"
        "\n"
        "Notes:\n"
        "  - app: no place for scm\n"
        "\n"
        "All else is there. Importing again is safe and brings in the rest."
    )


@pytest.mark.parametrize(
    ("count", "line"),
    [
        pytest.param(1, "  - p0: no place for scm", id="one"),
        pytest.param(3, "  - 3 projects (p0, p1, p2): no place for scm", id="few"),
        pytest.param(
            12, "  - 12 projects (p0, p1, p2 and 9 more): no place for scm", id="many"
        ),
    ],
)
def test_the_same_note_for_many_projects_is_one_line(count: int, line: str) -> None:
    report = Report(problems=tuple(lossy(f"p{index}") for index in range(count)))

    assert notes_of(format_report(report)) == [line]


def test_verbose_shows_each_note_by_itself_and_the_time() -> None:
    problems = tuple(lossy(f"p{index}") for index in range(2))
    report = Report(
        problems=problems, seconds=1.26, sessions_read=50_000, files_skipped=1
    )

    text = format_report(report, is_verbose=True)

    assert notes_of(text) == ["  - p0: no place for scm", "  - p1: no place for scm"]
    assert (
        text.splitlines()[3]
        == "Read:           50,000 session records and 1 other file in 1.3 s"
    )


def test_of_many_different_notes_of_a_kind_the_first_are_shown() -> None:
    texts = [f"{index}.json is no session record" for index in range(40)]
    report = Report(
        problems=(
            *(lossy("app", text, "record-damaged") for text in texts),
            lossy("app", "other", "harness"),
        )
    )

    assert notes_of(format_report(report)) == [
        *(f"  - app: {text}" for text in texts[:NOTES_PER_KIND]),
        "  - and 35 more notes of the kind record-damaged (-v shows all)",
        "  - app: other",
    ]
    assert len(notes_of(format_report(report, is_verbose=True))) == 41


def test_failures_are_never_cut() -> None:
    problems = [
        failed(f"p{index}", "pointer", f"{index} is gone", None) for index in range(40)
    ]

    assert format_failures(problems).count("is gone") == 40


def test_notes_of_the_whole_store_are_not_given_to_a_project() -> None:
    report = Report(problems=(lossy(None, "directories were not read"),))

    assert notes_of(format_report(report)) == ["  - directories were not read"]


def test_a_second_run_says_that_nothing_is_left() -> None:
    text = format_report(Report(projects_skipped=3))

    assert text.splitlines()[-1] == "Nothing is left to import."


def test_the_plan_says_of_each_project_what_and_why() -> None:
    report = Report(
        dry_run=True,
        transcript_bytes=3 * GIB,
        free_bytes=40 * GIB,
        projects=(
            planned("app", "imported", "imported", "relocated", size_bytes=3 * GIB),
            planned("docs", "imported", "skipped", why=("orchestrator is terminal",)),
            planned("lone", "imported", "absent"),
            planned("old", "present", "present", "present"),
            planned("shared", "conflicting", why=("not imported: its path is taken",)),
            planned("プロジェクト", "invalid", why=("not imported: bad id",)),
            planned("odd", "imported", "imported", "missing"),
        ),
    )

    assert format_plan(report) == (
        "Dry run: nothing was written. An import would do this:\n"
        "\n"
        "  app           import; orchestrator: import; transcript: copy 3.0 GiB\n"
        "  docs          import; orchestrator: leave out (orchestrator is terminal)\n"
        "  lone          import; orchestrator: none\n"
        "  old           there already; orchestrator: there already; transcript: there already\n"
        "  shared        leave out: its path is taken\n"
        "  プロジェクト  leave out: bad id\n"
        "  odd           import; orchestrator: import; transcript: not found\n"
        "\n"
        "Space:          3.0 GiB needed for transcripts, 40.0 GiB free there"
    )


def test_too_little_space_is_said_plainly() -> None:
    report = Report(dry_run=True, transcript_bytes=3 * GIB, free_bytes=GIB)

    assert format_plan(report).splitlines()[-1] == (
        "Space:          3.0 GiB needed for transcripts, 1.0 GiB free there: "
        "TOO LITTLE SPACE"
    )


def test_a_verification_tells_changed_from_missing() -> None:
    result = Verification(
        projects_checked=3,
        transcript_bytes=2048,
        faults=(
            failed("app", "session-missing", "the session is missing", None),
            failed("web", "transcript-differs", "differs", "/t"),
        ),
        changed=(
            lossy("docs", "its session's row has changed since: branch", "changed"),
        ),
    )

    assert format_verification(result) == (
        "Checked:        3 projects, 2.0 KiB of transcripts\n"
        "Missing:        1\n"
        "Different:      1\n"
        "Changed since:  1\n"
        "\n"
        "Missing or different:\n"
        "  - app: the session is missing\n"
        "    To do:  import again; if it stays, `import --dry-run` says why\n"
        "  - web: differs\n"
        "    Source: /t\n"
        "    To do:  an import replaces nothing: move the copy away and import again\n"
        "\n"
        "Changed since the import, which is no fault:\n"
        "  - docs: its session's row has changed since: branch\n"
        "\n"
        "Bring in what is missing:\n"
        "  $ ao-import import"
    )


@pytest.mark.parametrize(
    ("checked", "last"),
    [(3, "Everything has arrived."), (0, "There was nothing to check.")],
)
def test_a_verification_without_faults_says_so(checked: int, last: str) -> None:
    text = format_verification(Verification(projects_checked=checked))

    assert text.splitlines()[-1] == last


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
    found = Probe(
        available=True,
        root="/home/u/\udcff",
        projects=3,
        imported=1,
        pending=2,
        daemon=daemon,
        error=error,
    )

    lines = format_probe(found, next_command="ao-import import --dry-run").splitlines()

    assert lines[:3] == [
        "Legacy store:   /home/u/\\udcff",
        "Projects:       3, of them 1 imported and 2 pending",
        f"Daemon:         {'running (pid 42)' if daemon else 'not running'}",
    ]
    assert lines[3:] == end


def planned(
    project_id: str,
    project: str,
    orchestrator: str = "not-considered",
    transcript: str | None = None,
    *,
    size_bytes: int = 0,
    why: tuple[str, ...] = (),
) -> ProjectResult:
    return ProjectResult(
        id=project_id,
        project=project,  # type: ignore[arg-type]  # a plain word keeps the table short
        orchestrator=orchestrator,  # type: ignore[arg-type]  # likewise
        transcript=transcript,  # type: ignore[arg-type]  # likewise
        transcript_bytes=size_bytes,
        why=why,
    )


def notes_of(text: str) -> list[str]:
    section = text.partition("Notes:\n")[2].partition("\n\n")[0]

    return section.splitlines()
