from __future__ import annotations

from typing import Any

import pytest

from pipeline.report import Problem, ProjectResult, Report
from pipeline.terminal.rendering import render
from pipeline.terminal.summary import (
    SCREEN_LINES,
    summarize_failures,
    summarize_report,
)
from stages.notes import KINDS
from tests.pipeline.terminal.problems import failed, lossy

GIB = 1024**3


def summary(report: Report, **options: Any) -> str:
    return render(summarize_report(report, **options))


def test_counts_are_aligned_as_the_contract_says() -> None:
    report = Report(
        projects_imported=12,
        projects_skipped=3,
        orchestrators_imported=9,
        orchestrators_skipped=2,
        orchestrators_absent=4,
        transcripts_relocated=7,
    )

    assert summary(report).splitlines()[:3] == [
        "Projects:       12 imported, 3 already present",
        "Orchestrators:  9 imported, 2 skipped, 4 absent",
        "Transcripts:    7 relocated",
    ]


def test_what_is_there_is_told_apart_from_what_conflicts_or_is_left_out() -> None:
    report = Report(
        projects_imported=12,
        projects_skipped=4,
        projects_conflicting=1,
        projects_invalid=2,
        orchestrators_imported=9,
        orchestrators_skipped=3,
        orchestrators_present=1,
        orchestrators_absent=4,
        transcripts_relocated=1,
        transcripts_present=2,
        transcripts_missing=3,
        transcripts_failed=4,
        transcript_bytes=5 * 1024**2,
        sessions_left=17,
    )

    assert summary(report).partition("\n\n")[0] == (
        "Projects:       12 imported, 3 already present, 1 conflicting, 2 invalid\n"
        "Orchestrators:  9 imported, 1 already present, 2 skipped, 4 absent\n"
        "Transcripts:    1 relocated, 2 already present, 3 missing, 4 failed (5.0 MiB)\n"
        "Stay behind:    17 workers and ended sessions"
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

    assert summary(report).partition("Transcripts:    0 relocated\n")[2] == (
        "\n"
        "Could not be brought across:\n"
        "  - bad: not imported: no path [invalid-project]\n"
        "    Source: /c.yaml\n"
        "    To do: correct the entry in the configuration and import again\n"
        '  - app: could not copy "/t/a.jsonl" [transcript-failed]\n'
        "    To do: see to the cause and import again; all else stays\n"
        "\n"
        "Notes:\n"
        "  - app: no place for scm [no-home]\n"
        "    To do: set up what it offers instead\n"
        "\n"
        "All else is there. Importing again is safe and brings in the rest.\n"
        "Keep the old store: what could not be brought across is only there."
    )


def test_verbose_shows_each_note_by_itself_and_the_time() -> None:
    problems = tuple(lossy(f"p{index}") for index in range(2))
    report = Report(
        problems=problems, seconds=1.26, sessions_read=50_000, files_skipped=1
    )

    lines = summary(report, is_verbose=True).splitlines()

    assert lines[3:8] == [
        "Read:           50,000 session records and 1 other file in 1.3 s",
        "",
        "Notes:",
        "  - p0: no place for scm [no-home]",
        "  - p1: no place for scm [no-home]",
    ]


def test_quiet_is_a_line_for_each_kind_of_failure() -> None:
    problems = [
        lossy("app"),
        *(failed(f"p{index}", "pointer", f"{index}", None) for index in range(40)),
    ]

    assert render(summarize_failures(problems)).splitlines() == [
        "Could not be brought across:",
        "  - a pointer of an old session directory leads to no registry: "
        "40 projects (p0, p1, p2, p3, p4 and 35 more) [pointer]",
    ]
    assert summarize_failures([lossy("app")]) == []


def test_seventeen_kinds_of_damage_to_200_projects_are_one_screen() -> None:
    others = {"no-registry", "nothing-to-import"}  # of stores without projects
    kinds = [name for name in KINDS if name not in others][:17]
    problems = tuple(
        Problem(
            project=f"project-{number:03}",
            kind=kind,
            severity=KINDS[kind].severity,
            source=f"/source/{number}",
            text=f"{kind} of number {number}",
            about=(f"cause {number % 9}",) if number % 2 else (),
        )
        for kind in kinds
        for number in range(200)
    )

    text = summary(Report(projects_imported=200, problems=problems))

    assert len(text.splitlines()) <= SCREEN_LINES
    for kind in kinds:
        assert f"[{kind}]" in text
        assert KINDS[kind].to_do in text


def test_a_second_run_says_that_nothing_is_left() -> None:
    text = summary(Report(projects_skipped=3))

    assert text.splitlines()[-1] == "Nothing is left to import."


def test_an_interrupted_run_says_what_it_did_not_come_to() -> None:
    report = Report(
        status="interrupted",
        interrupted=True,
        projects_imported=1,
        projects=(planned("app", "imported"), planned("web", "pending")),
    )

    assert summary(report).splitlines()[-1] == (
        "It ended early: 1 project was not reached. Importing again continues."
    )


def test_the_plan_puts_first_what_does_not_come_whole() -> None:
    report = Report(
        dry_run=True,
        projects_imported=4,
        sessions_left=3,
        transcript_bytes=3 * GIB,
        free_bytes=40 * GIB,
        problems=(failed("プロジェクト", "invalid-project", "bad id", None),),
        projects=(
            planned("app", "imported", "imported", "relocated", size_bytes=3 * GIB),
            planned("docs", "imported", "skipped", why=("orchestrator is terminal",)),
            planned("lone", "imported", "absent"),
            planned("odd", "imported", "imported", "missing"),
            planned("old", "present", "present", "present"),
            planned("shared", "conflicting", why=("not imported: its path is taken",)),
            planned("プロジェクト", "invalid", why=("not imported: bad id",)),
        ),
    )

    assert summary(report).partition("\nProjects:")[0] == (
        "Dry run: nothing was written. An import would do this:\n"
        "\n"
        "Not, or not whole:\n"
        "  プロジェクト  left out: bad id\n"
        "  docs          project, no orchestrator; orchestrator is terminal\n"
        "  odd           project, orchestrator, no transcript\n"
        "  shared        left out: its path is taken\n"
        "\n"
        "Whole, 2 projects:\n"
        "  app   project, orchestrator, transcript (3.0 GiB)\n"
        "  lone  project\n"
        "\n"
        "There already, 1 project: old\n"
        "\n"
        "Space:          3.0 GiB needed for transcripts, 40.0 GiB free there\n"
    )
    assert "\nWill stay behind: 3 workers and ended sessions\n" in summary(report)


def test_too_little_space_is_said_plainly() -> None:
    report = Report(dry_run=True, transcript_bytes=3 * GIB, free_bytes=GIB)

    assert (
        "Space:          3.0 GiB needed for transcripts, 1.0 GiB free there: "
        "TOO LITTLE SPACE\n"
    ) in summary(report)


@pytest.mark.parametrize("is_verbose", [False, True])
def test_nothing_to_import_is_that_sentence_alone(is_verbose: bool) -> None:
    text = "No legacy AO projects found at /r. Nothing to import."
    report = Report(notes=(text,), problems=(lossy(None, text, "nothing-to-import"),))

    assert summary(report, is_verbose=is_verbose) == text


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
