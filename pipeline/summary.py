"""What people read at the end: counts, what failed, what was left out, what comes next."""

from __future__ import annotations

__all__ = (
    "format_bytes",
    "format_plan",
    "format_probe",
    "format_report",
    "format_verification",
)

from collections.abc import Iterable, Sequence

from pipeline.probing import Probe
from pipeline.report import PlannedItem, Problem, Report, Verification
from stages.text import plain

PROJECTS_NAMED = 3
LABEL_WIDTH = 16

# What to do about a failure, by the kind of its note.
_REMEDIES = {
    "invalid-project": "correct the entry in the registry and import again",
    "own-file": "mend that file before the new application reads it",
    "pointer": "restore the file that it points to, or remove the pointer",
    "record-damaged": "restore the record from a backup and import again",
    "record-oversized": "look what filled it; a session record has a few KiB",
    "record-unreadable": "make it readable and import again",
    "directory-unreadable": "make it readable and import again",
    "session-taken": "change one of the prefixes and import again",
    "transcript-failed": "see to the cause and import again; the rest stays",
}


def format_report(report: Report, *, is_verbose: bool = False) -> str:
    """Return the summary of an import or a dry run."""
    lines = []
    if report.dry_run:
        lines += ["Dry run: nothing was written. An import would come to this:", ""]
    lines += _counts(report)
    lines += _problems(report.problems, is_verbose=is_verbose)

    return "\n".join([*lines, *_next_step(report)])


def format_plan(report: Report) -> str:
    """Return what a dry run found for each project, and the room that it needs."""
    width = max((len(item.id) for item in report.planned_projects), default=0)
    lines = [
        f"  {item.id:<{width}}  {_plan_of(item)}" for item in report.planned_projects
    ]
    if report.transcripts_relocated:
        need = format_bytes(report.transcript_bytes)
        lines += ["", f"The transcripts need {need}{_beside(report)}."]

    return "\n".join(lines)


def format_probe(found: Probe) -> str:
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

    return "\n".join(lines)


def format_verification(result: Verification, *, is_verbose: bool = False) -> str:
    """Return what is missing and what has changed."""
    lines = [
        f"{'Checked:':<{LABEL_WIDTH}}{_many(result.projects_checked, 'project')}, "
        f"{format_bytes(result.transcript_bytes)} of transcripts",
        f"{'Faults:':<{LABEL_WIDTH}}{len(result.faults)}",
        f"{'Changed since:':<{LABEL_WIDTH}}{len(result.changed)}",
    ]
    lines += _section("Faults:", result.faults, is_verbose=is_verbose)
    lines += _section("Changed since:", result.changed, is_verbose=is_verbose)
    lines += ["", "Import again to bring in what is missing." if result.faults else ""]

    return "\n".join(lines).rstrip()


def format_bytes(size_bytes: int) -> str:
    """Return a size as people read it, in units of 1,024."""
    size = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024

    return f"{size:.1f} TiB"


def _counts(report: Report) -> list[str]:
    projects = f"{report.projects_imported} imported, {report.projects_skipped} already present"
    orchestrators = (
        f"{report.orchestrators_imported} imported, {report.orchestrators_skipped} skipped, "
        f"{report.orchestrators_absent} absent"
    )
    transcripts = f"{report.transcripts_relocated} relocated"
    for count, word in (
        (report.transcripts_present, "already present"),
        (report.transcripts_missing, "missing"),
        (report.transcripts_failed, "failed"),
    ):
        transcripts += f", {count} {word}" if count else ""
    if report.transcript_bytes:
        transcripts += f" ({format_bytes(report.transcript_bytes)})"
    if report.projects_invalid:
        projects += f", {report.projects_invalid} invalid"

    return [
        f"{'Projects:':<{LABEL_WIDTH}}{projects}",
        f"{'Orchestrators:':<{LABEL_WIDTH}}{orchestrators}",
        f"{'Transcripts:':<{LABEL_WIDTH}}{transcripts}",
    ]


def _problems(problems: Sequence[Problem], *, is_verbose: bool) -> list[str]:
    failed = [problem for problem in problems if problem.severity == "failed"]
    lossy = [problem for problem in problems if problem.severity == "lossy"]

    return [
        *_section("Could not be brought across:", failed, is_verbose=is_verbose),
        *_section("Notes:", lossy, is_verbose=is_verbose),
    ]


def _section(title: str, problems: Sequence[Problem], *, is_verbose: bool) -> list[str]:
    if not problems:
        return []

    return ["", title, *_items(problems, is_verbose=is_verbose)]


def _items(problems: Iterable[Problem], *, is_verbose: bool) -> list[str]:
    """Return a line for each note; the same note for many projects is one line."""
    groups: dict[tuple[str, str, str | None], list[Problem]] = {}
    for problem in problems:
        own = problem.project if is_verbose or problem.project is None else None
        groups.setdefault((problem.kind, problem.text, own), []).append(problem)

    lines = []
    for (kind, text, _), group in groups.items():
        remedy = _REMEDIES.get(kind) if group[0].severity == "failed" else None
        lines.append(f"  - {_whose(group)}{text}{f'; {remedy}' if remedy else ''}")

    return lines


def _whose(group: Sequence[Problem]) -> str:
    names = [plain(problem.project) for problem in group if problem.project is not None]
    if not names:
        return ""
    if len(names) <= PROJECTS_NAMED:
        return f"{', '.join(names)}: "

    first = ", ".join(names[:PROJECTS_NAMED])
    return f"{len(names)} projects ({first} …): "


def _next_step(report: Report) -> list[str]:
    if report.dry_run:
        return ["", "Import without --dry-run to carry this out."]
    if report.has_failures:
        return [
            "",
            "All else is in place. Importing again is safe and brings in the rest.",
        ]
    if report.projects_imported or report.orchestrators_imported:
        return [
            "",
            "Start the new application; `ao-import verify` checks that all is there.",
        ]

    return []


def _plan_of(item: PlannedItem) -> str:
    project = {
        "imported": "import",
        "skipped": "is there already",
        "conflict": "leave out: its path is another project's",
    }[item.project]
    parts = [project]
    parts += {
        "imported": ["import its orchestrator"],
        "skipped": ["leave its orchestrator"],
    }.get(item.orchestrator, [])
    if item.transcript == "relocated":
        parts.append(f"copy its transcript ({format_bytes(item.transcript_bytes)})")
    elif item.transcript is not None:
        parts.append(f"transcript {item.transcript}")

    return ", ".join(parts)


def _beside(report: Report) -> str:
    if report.free_bytes is None:
        return ""

    free = f" and there are {format_bytes(report.free_bytes)} free"
    return (
        free if report.free_bytes > report.transcript_bytes else f"{free}: TOO LITTLE"
    )


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
