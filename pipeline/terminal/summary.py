"""What people read when an import ends: counts, what failed, what stays, what comes next."""

from __future__ import annotations

__all__ = (
    "FAILED_TITLE",
    "LABEL_WIDTH",
    "PROGRAM",
    "SCREEN_LINES",
    "by_severity",
    "command_lines",
    "counted",
    "fitted",
    "summarize_failures",
    "summarize_report",
    "workers_and_ended",
)

from collections.abc import Callable, Iterable, Sequence

from pipeline.report import Problem, ProjectResult, Report
from pipeline.terminal.grouping import (
    DETAILS,
    Detail,
    group_lines,
    many,
    short_lines,
    shorten,
)
from pipeline.terminal.rendering import Line, format_bytes

PROGRAM = "ao-import"
FAILED_TITLE = "Could not be brought across:"
LABEL_WIDTH = 16
SCREEN_LINES = 50  # a summary has no more than this, as long as its entries allow that
PROJECTS_NAMED = 5


def summarize_report(
    report: Report,
    *,
    is_verbose: bool = False,
    next_command: str = f"{PROGRAM} verify",
) -> list[Line]:
    """Return the summary of an import; of a dry run, its plan first.

    `next_command` is what to run next: a verification, after a dry run the import.
    """
    if any(problem.kind == "nothing-to-import" for problem in report.problems):
        return [Line(note) for note in report.notes]

    def summary(detail: Detail) -> list[Line]:
        failed, lossy = by_severity(report.problems)
        return [
            *_counts(report, is_verbose=is_verbose),
            *_section(Line(FAILED_TITLE, "alarm"), failed, detail),
            *_section(Line("Notes:", "title"), lossy, detail),
            *_next_step(report, next_command),
        ]

    lines = summary("all") if is_verbose else fitted(summary)
    return [*_plan(report), Line(""), *lines] if report.dry_run else lines


def summarize_failures(problems: Sequence[Problem]) -> list[Line]:
    """Return what could not be brought across, a line for each kind; or nothing."""
    failed, _ = by_severity(problems)
    lines = short_lines(failed)

    return [Line(FAILED_TITLE, "alarm"), *lines] if lines else []


def fitted(lines: Callable[[Detail], list[Line]]) -> list[Line]:
    """Return lines with as many examples as one screen has room for."""
    for detail in DETAILS:
        fitting = lines(detail)
        if len(fitting) <= SCREEN_LINES:
            break

    return fitting


def by_severity(problems: Iterable[Problem]) -> tuple[list[Problem], list[Problem]]:
    """Return the failed ones, and the others."""
    failed: list[Problem] = []
    lossy: list[Problem] = []
    for problem in problems:
        (failed if problem.severity == "failed" else lossy).append(problem)

    return failed, lossy


def counted(label: str, text: str) -> Line:
    """Return a line of counts, its text aligned with that of the others."""
    return Line(f"{label:<{LABEL_WIDTH}}{text}", hang=LABEL_WIDTH)


def command_lines(title: str, command: str) -> list[Line]:
    """Return a command to run next, and what for."""
    return [Line(""), Line(title, "title"), Line(f"  $ {command}", "command")]


def _counts(report: Report, *, is_verbose: bool) -> list[Line]:
    present = report.projects_skipped - report.projects_conflicting
    left_out = report.orchestrators_skipped - report.orchestrators_present
    projects = [
        f"{report.projects_imported} imported",
        f"{present} already present",
        *_if_any(
            (report.projects_conflicting, "conflicting"),
            (report.projects_invalid, "invalid"),
        ),
    ]
    orchestrators = [
        f"{report.orchestrators_imported} imported",
        *_if_any((report.orchestrators_present, "already present")),
        f"{left_out} skipped",
        f"{report.orchestrators_absent} absent",
    ]
    transcripts = [
        f"{report.transcripts_relocated} relocated",
        *_if_any(
            (report.transcripts_present, "already present"),
            (report.transcripts_missing, "missing"),
            (report.transcripts_failed, "failed"),
        ),
    ]
    size = report.transcript_bytes
    lines = [
        counted("Projects:", ", ".join(projects)),
        counted("Orchestrators:", ", ".join(orchestrators)),
        counted(
            "Transcripts:",
            ", ".join(transcripts) + (f" ({format_bytes(size)})" if size else ""),
        ),
    ]
    if report.sessions_left:
        label = "Will stay behind: " if report.dry_run else "Stay behind:"
        lines.append(counted(label, workers_and_ended(report.sessions_left)))
    if is_verbose:
        records = many(report.sessions_read, "session record")
        files = many(report.files_skipped, "other file")
        lines.append(
            counted("Read:", f"{records} and {files} in {report.seconds:.1f} s")
        )

    return lines


def workers_and_ended(count: int) -> str:
    """Return how many records are no imported orchestrator's, in words."""
    if count == 1:
        return "1 worker or ended session"

    return f"{count:,} workers and ended sessions"


def _if_any(*counts: tuple[int, str]) -> list[str]:
    return [f"{count} {word}" for count, word in counts if count]


def _section(title: Line, problems: Sequence[Problem], detail: Detail) -> list[Line]:
    lines = group_lines(problems, detail)

    return [Line(""), title, *lines] if lines else []


def _next_step(report: Report, next_command: str) -> list[Line]:
    is_something = bool(
        report.projects_imported
        or report.orchestrators_imported
        or report.transcripts_relocated
    )
    if report.interrupted or report.error is not None:
        pending = sum(each.project == "pending" for each in report.projects)
        verb = "was" if pending == 1 else "were"
        left = f"{many(pending, 'project')} {verb} not reached. " if pending else ""
        return [Line(""), Line(f"It ended early: {left}Importing again continues.")]
    if report.dry_run and is_something:
        return command_lines("Carry this out:", next_command)

    lines = []
    if report.has_failures:
        text = "All else is there. Importing again is safe and brings in the rest."
        lines += [Line(""), Line(text), _keep_the_store()]
    elif is_something:
        title = "Check that all is there, and whether the old store can be deleted:"
        lines += command_lines(title, next_command)
    elif report.projects_skipped:
        lines += [Line(""), Line("Nothing is left to import.")]

    return lines


def _keep_the_store() -> Line:
    return Line("Keep the old store: what could not be brought across is only there.")


def _plan(report: Report) -> list[Line]:
    """Return what a dry run found for each project: what needs a look comes first."""
    failed = {
        problem.project for problem in report.problems if problem.severity == "failed"
    }
    exceptions = sorted(
        filter(_is_exception, report.projects),
        key=lambda item: (item.id not in failed, item.id),
    )
    ordinary = [item for item in report.projects if not _is_exception(item)]
    coming = [item for item in ordinary if not _is_there(item)]
    present = [item for item in ordinary if _is_there(item)]
    lines = [Line("Dry run: nothing was written. An import would do this:", "title")]
    if exceptions:
        lines += [Line(""), Line("Not, or not whole:", "alarm")]
        lines += _table([(item.id, _exception_of(item)) for item in exceptions])
    if coming:
        lines += [Line(""), Line(f"Whole, {many(len(coming), 'project')}:", "title")]
        lines += _table([(item.id, _parts_of(item)) for item in coming])
    if present:
        named = ", ".join(shorten(item.id) for item in present[:PROJECTS_NAMED])
        more = len(present) - PROJECTS_NAMED
        rest = f" and {more:,} more" if more > 0 else ""
        text = f"There already, {many(len(present), 'project')}: {named}{rest}"
        lines += [Line(""), Line(text)]
    if report.free_bytes is not None:
        verdict = "" if report.has_room else ": TOO LITTLE SPACE"
        text = (
            f"{format_bytes(report.transcript_bytes)} needed for transcripts, "
            f"{format_bytes(report.free_bytes)} free there{verdict}"
        )
        lines += [Line(""), counted("Space:", text)]

    return lines


def _is_exception(item: ProjectResult) -> bool:
    return bool(
        item.why
        or item.project in ("conflicting", "invalid")
        or item.orchestrator == "skipped"
        or item.transcript in ("missing", "failed")
    )


def _is_there(item: ProjectResult) -> bool:
    return (
        item.project == "present"
        and item.orchestrator in ("present", "absent")
        and item.transcript in ("present", None)
    )


def _table(rows: Sequence[tuple[str, str]]) -> list[Line]:
    from rich.cells import cell_len

    names = [shorten(project_id) for project_id, _ in rows]
    width = max(map(cell_len, names), default=0)

    return [
        Line(f"  {name}{' ' * (width - cell_len(name))}  {text}", hang=width + 4)
        for name, (_, text) in zip(names, rows, strict=True)
    ]


def _exception_of(item: ProjectResult) -> str:
    why = "; ".join(item.why)
    if item.project in ("conflicting", "invalid"):
        return f"left out: {why.removeprefix('not imported: ')}"

    return f"{_parts_of(item)}{f'; {why}' if why else ''}"


def _parts_of(item: ProjectResult) -> str:
    """Return what comes of a project, in few words."""
    parts = ["project" if item.project == "imported" else "project there already"]
    orchestrator = {
        "imported": "orchestrator",
        "present": "orchestrator there already",
        "skipped": "no orchestrator",
    }.get(item.orchestrator)
    transcript = {
        "relocated": f"transcript ({format_bytes(item.transcript_bytes)})",
        "present": "transcript there already",
        "missing": "no transcript",
        "failed": "NO TRANSCRIPT",
    }.get(item.transcript or "")

    return ", ".join([*parts, *filter(None, (orchestrator, transcript))])
