"""What people read at the end: counts, what failed, what was left out, what comes next."""

from __future__ import annotations

__all__ = (
    "PROGRAM",
    "format_failures",
    "format_faults",
    "format_plan",
    "format_probe",
    "format_report",
    "format_verification",
)

from collections.abc import Iterable, Sequence

from pipeline.probing import Probe
from pipeline.report import Problem, ProjectResult, Report, Verification
from pipeline.terminal.progress_display import format_bytes
from stages.floor.text import plain
from stages.notes import KINDS

PROGRAM = "ao-import"
FAILED_TITLE = "Could not be brought across:"
FAULTS_TITLE = "Missing or different:"
PROJECTS_NAMED = 3
NOTES_PER_KIND = 5
LABEL_WIDTH = 16
ID_WIDTH = 32


def format_report(
    report: Report,
    *,
    is_verbose: bool = False,
    next_command: str = f"{PROGRAM} verify",
) -> str:
    """Return the summary of an import or a dry run.

    `next_command` is what to run next: a verification, after a dry run the import.
    """
    lines = _counts(report)
    if is_verbose:
        lines.append(
            f"{'Read:':<{LABEL_WIDTH}}{_many(report.sessions_read, 'session record')} and "
            f"{_many(report.files_skipped, 'other file')} in {report.seconds:.1f} s"
        )
    failed, lossy = _by_severity(report.problems)
    lines += _section(FAILED_TITLE, failed, is_verbose=True)
    lines += _section("Notes:", lossy, is_verbose=is_verbose)

    return "\n".join([*lines, *_next_step(report, next_command)])


def format_failures(problems: Sequence[Problem]) -> str:
    """Return what an import could not bring across, or an empty text."""
    failed, _ = _by_severity(problems)

    return "\n".join(_section(FAILED_TITLE, failed, is_verbose=True)[1:])


def format_faults(faults: Sequence[Problem]) -> str:
    """Return what a verification found missing or different, or an empty text."""
    return "\n".join(_section(FAULTS_TITLE, faults, is_verbose=True)[1:])


def format_plan(report: Report) -> str:
    """Return what a dry run found for each project, and the room that it needs."""
    from rich.cells import cell_len

    items = report.projects
    names = [plain(item.id) for item in items]
    width = min(max(map(cell_len, names), default=0), ID_WIDTH)
    lines = ["Dry run: nothing was written. An import would do this:", ""]
    lines += [
        f"  {name}{' ' * (width - cell_len(name))}  {_plan_of(item)}"
        for name, item in zip(names, items, strict=True)
    ]
    if report.free_bytes is not None:
        verdict = "" if report.has_room else ": TOO LITTLE SPACE"
        lines += [
            "",
            f"{'Space:':<{LABEL_WIDTH}}{format_bytes(report.transcript_bytes)} needed for "
            f"transcripts, {format_bytes(report.free_bytes)} free there{verdict}",
        ]

    return "\n".join(lines)


def format_probe(found: Probe, *, next_command: str) -> str:
    """Return what there is to import."""
    lines = [
        f"{'Legacy store:':<{LABEL_WIDTH}}{plain(found.root)}",
        f"{'Projects:':<{LABEL_WIDTH}}{found.projects}, of them {found.imported} imported "
        f"and {found.pending} pending",
        f"{'Daemon:':<{LABEL_WIDTH}}"
        + (f"running (pid {found.daemon})" if found.daemon else "not running"),
    ]
    if found.error:
        lines.append(f"{'Error:':<{LABEL_WIDTH}}{found.error}")
    elif found.pending and found.daemon:
        lines += _command("Stop the daemon, then look at the plan:", next_command)
    elif found.pending:
        lines += _command("Look at the plan:", next_command)

    return "\n".join(lines)


def format_verification(
    result: Verification,
    *,
    is_verbose: bool = False,
    next_command: str = f"{PROGRAM} import",
) -> str:
    """Return what is missing, what is different, and what has changed since."""
    missing = sum(fault.kind.endswith("-missing") for fault in result.faults)
    lines = [
        f"{'Checked:':<{LABEL_WIDTH}}{_many(result.projects_checked, 'project')}, "
        f"{format_bytes(result.transcript_bytes)} of transcripts"
        + _invalid_aside(result.projects_invalid),
        f"{'Missing:':<{LABEL_WIDTH}}{missing}",
        f"{'Different:':<{LABEL_WIDTH}}{len(result.faults) - missing}",
        f"{'Changed since:':<{LABEL_WIDTH}}{len(result.changed)}",
    ]
    if is_verbose:
        lines.append(f"{'Took:':<{LABEL_WIDTH}}{result.seconds:.1f} s")
    lines += _section(FAULTS_TITLE, result.faults, is_verbose=True)
    lines += _section(
        "Changed since the import, which is no fault:",
        result.changed,
        is_verbose=is_verbose,
    )
    if missing:
        lines += _command("Bring in what is missing:", next_command)
    elif result.projects_checked and not result.faults:
        lines += ["", "Everything has arrived."]
    elif not result.faults:
        lines += ["", "There was nothing to check."]

    return "\n".join(lines)


def _invalid_aside(count: int) -> str:
    """Return what a verification cannot vouch for: it plans no invalid entry."""
    return f"; not {_many(count, 'invalid project')}" if count else ""


def _counts(report: Report) -> list[str]:
    present = report.projects_skipped - report.projects_conflicting
    projects = f"{report.projects_imported} imported, {present} already present"
    for count, word in (
        (report.projects_conflicting, "conflicting"),
        (report.projects_invalid, "invalid"),
    ):
        projects += f", {count} {word}" if count else ""
    orchestrators = f"{report.orchestrators_imported} imported"
    if report.orchestrators_present:
        orchestrators += f", {report.orchestrators_present} already present"
    left_out = report.orchestrators_skipped - report.orchestrators_present
    orchestrators += f", {left_out} skipped, {report.orchestrators_absent} absent"
    transcripts = f"{report.transcripts_relocated} relocated"
    for count, word in (
        (report.transcripts_present, "already present"),
        (report.transcripts_missing, "missing"),
        (report.transcripts_failed, "failed"),
    ):
        transcripts += f", {count} {word}" if count else ""
    if report.transcript_bytes:
        transcripts += f" ({format_bytes(report.transcript_bytes)})"

    return [
        f"{'Projects:':<{LABEL_WIDTH}}{projects}",
        f"{'Orchestrators:':<{LABEL_WIDTH}}{orchestrators}",
        f"{'Transcripts:':<{LABEL_WIDTH}}{transcripts}",
    ]


def _by_severity(problems: Iterable[Problem]) -> tuple[list[Problem], list[Problem]]:
    failed: list[Problem] = []
    lossy: list[Problem] = []
    for problem in problems:
        (failed if problem.severity == "failed" else lossy).append(problem)

    return failed, lossy


def _section(title: str, problems: Sequence[Problem], *, is_verbose: bool) -> list[str]:
    """Return a line for each note; unless verbose, those that are alike are one."""
    if not problems:
        return []

    kinds: dict[str, dict[object, list[Problem]]] = {}
    for index, problem in enumerate(problems):
        key: object = (problem.text, problem.severity == "failed" and problem.source)
        if problem.project is None or (is_verbose and problem.severity == "lossy"):
            key = index
        kinds.setdefault(problem.kind, {}).setdefault(key, []).append(problem)

    lines = []
    for kind, groups in kinds.items():
        most = len(groups) if is_verbose else NOTES_PER_KIND
        for group in list(groups.values())[:most]:
            lines += _item(group)
        if len(groups) > most:
            more = _many(len(groups) - most, "more note")
            lines.append(f"  - and {more} of the kind {kind} (-v shows all)")

    return ["", title, *lines]


def _item(group: Sequence[Problem]) -> list[str]:
    first = group[0]
    lines = [f"  - {_whose(group)}{first.text}"]
    if first.severity == "failed":
        if first.source is not None and plain(first.source) not in first.text:
            lines.append(f"    Source: {plain(first.source)}")
        if to_do := KINDS[first.kind].to_do:
            lines.append(f"    To do:  {to_do}")

    return lines


def _whose(group: Sequence[Problem]) -> str:
    names = [plain(problem.project) for problem in group if problem.project is not None]
    if not names:
        return ""
    if len(names) == 1:
        return f"{names[0]}: "

    first = ", ".join(names[:PROJECTS_NAMED])
    more = len(names) - PROJECTS_NAMED
    return f"{len(names)} projects ({first}{f' and {more} more' if more > 0 else ''}): "


def _next_step(report: Report, next_command: str) -> list[str]:
    is_something = bool(
        report.projects_imported
        or report.orchestrators_imported
        or report.transcripts_relocated
    )
    if report.dry_run and is_something:
        return _command("Carry this out:", next_command)
    if report.has_failures:
        return [
            "",
            "All else is there. Importing again is safe and brings in the rest.",
        ]
    if is_something:
        return _command("Check that all is there:", next_command)
    if report.projects_skipped:
        return ["", "Nothing is left to import."]

    return []


def _command(title: str, command: str) -> list[str]:
    return ["", title, f"  $ {command}"]


def _plan_of(item: ProjectResult) -> str:
    why = "; ".join(item.why)
    if item.project in ("conflicting", "invalid"):
        return f"leave out: {why.removeprefix('not imported: ')}"

    orchestrator = {"imported": "import", "absent": "none"}.get(
        item.orchestrator, "leave out" if why else "there already"
    )
    parts = [
        "import" if item.project == "imported" else "there already",
        f"orchestrator: {orchestrator}",
    ]
    if item.transcript is not None:
        transcript = {
            "relocated": f"copy {format_bytes(item.transcript_bytes)}",
            "present": "there already",
            "missing": "not found",
            "failed": "cannot be copied",
        }[item.transcript]
        parts.append(f"transcript: {transcript}")

    return "; ".join(parts) + (f" ({why})" if why else "")


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
