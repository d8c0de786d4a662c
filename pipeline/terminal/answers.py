"""What the commands that only look answer: status, verify, notes, explain, list."""

from __future__ import annotations

__all__ = (
    "explain_kind",
    "list_projects",
    "summarize_faults",
    "summarize_notes",
    "summarize_probe",
    "summarize_verification",
)

from collections.abc import Sequence

from pipeline.kept_notes import KeptNotes
from pipeline.probing import Probe
from pipeline.report import Problem, Verification
from pipeline.terminal.grouping import Detail, group_lines, many, short_lines
from pipeline.terminal.rendering import Line, format_bytes
from pipeline.terminal.summary import (
    FAILED_TITLE,
    PROGRAM,
    by_severity,
    command_lines,
    counted,
    fitted,
    workers_and_ended,
)
from stages.floor.text import plain
from stages.notes import KINDS

FAULTS_TITLE = "Missing or different:"


def summarize_probe(found: Probe, *, next_command: str) -> list[Line]:
    """Return what there is to import."""
    projects = f"{found.projects}, of them {found.imported} imported and {found.pending} pending"
    if found.left_out:
        projects = (
            f"{found.projects}, of them {found.imported} imported, {found.pending} "
            f"pending and {found.left_out} left out"
        )
    daemon = f"running (pid {found.daemon})" if found.daemon else "not running"
    lines = [
        counted("Legacy store:", plain(found.root)),
        counted("Projects:", projects),
        counted("Database:", plain(found.database)),
        counted("Daemon:", daemon),
    ]
    if found.error:
        lines.append(counted("Error:", found.error))
    elif found.pending and found.daemon:
        lines += command_lines("Stop the daemon, then look at the plan:", next_command)
    elif found.pending or found.left_out:
        lines += command_lines("Look at the plan:", next_command)

    return lines


def list_projects(found: Probe) -> list[Line]:
    """Return each project's id with its state."""
    from rich.cells import cell_len

    names = [plain(project.id) for project in found.states]
    width = max(map(cell_len, names), default=0)

    return [
        Line(f"{name}{' ' * (width - cell_len(name))}  {project.state}")
        for name, project in zip(names, found.states, strict=True)
    ]


def summarize_verification(
    result: Verification,
    *,
    is_verbose: bool = False,
    next_command: str = f"{PROGRAM} import",
) -> list[Line]:
    """Return what is missing or different, what has changed since, what never came."""

    def summary(detail: Detail) -> list[Line]:
        ended = [each for each in result.changed if each.kind == "session-ended"]
        changed = [each for each in result.changed if each.kind != "session-ended"]
        failed, left_out = by_severity(result.not_there)
        return [
            *_verification_counts(result, is_verbose=is_verbose),
            *_entries(Line(FAULTS_TITLE, "alarm"), result.faults, detail),
            *_entries(Line("Not there, as it cannot come:", "alarm"), failed, detail),
            *_entries(
                Line("Ended by the new application since:", "alarm"), ended, detail
            ),
            *_entries(
                Line("Not there, as the rules leave it out:", "title"), left_out, detail
            ),
            *_entries(
                Line("Changed since the import, which is no fault:", "title"),
                changed,
                detail,
            ),
            *_entries(
                Line("Legacy worktrees that are still there:", "title"),
                result.worktrees,
                detail,
            ),
            *_verdict(result, next_command),
        ]

    return summary("all") if is_verbose else fitted(summary)


def summarize_faults(result: Verification) -> list[Line]:
    """Return what is missing, different or cannot come, a line for each kind."""
    failed, _ = by_severity(result.not_there)
    lines = []
    if faults := short_lines(result.faults):
        lines += [Line(FAULTS_TITLE, "alarm"), *faults]
    if others := short_lines(failed):
        lines += [Line(FAILED_TITLE, "alarm"), *others]

    return lines


def summarize_notes(
    kept: KeptNotes, problems: Sequence[Problem], *, is_verbose: bool = False
) -> list[Line]:
    """Return the notes of past imports, as their summary showed them."""

    def summary(detail: Detail) -> list[Line]:
        failed, lossy = by_severity(problems)
        when = kept.written_at and kept.written_at.strftime("%Y-%m-%d %H:%M:%S %Z")
        lines = [counted("Last import:", f"{when} from {plain(kept.root)}")]
        lines += _entries(Line(FAILED_TITLE, "alarm"), failed, detail)
        lines += _entries(Line("Notes:", "title"), lossy, detail)
        if not problems:
            lines += [Line(""), Line("There are no notes.")]
        if kept.cut:
            counts = ", ".join(f"{count} of {kind}" for kind, count in kept.cut.items())
            lines += [Line(""), Line(f"There was no room to keep more: {counts}.")]
        return lines

    return summary("all") if is_verbose else fitted(summary)


def explain_kind(kind: str) -> list[Line]:
    """Return what a kind of note means, and what to do about it."""
    found = KINDS[kind]
    grave = {
        (
            "failed",
            "import",
        ): "failed: something that should have come did not (status 3)",
        ("lossy", "import"): "lossy: it did not come, or not exactly as it was",
        ("failed", "verification"): "a fault that `verify` finds (status 1)",
        ("lossy", "verification"): "what `verify` finds changed, which is no fault",
    }[found.severity, found.of]

    return [
        counted("Kind:", kind),
        counted("Means:", found.says),
        counted("Severity:", grave),
        counted("To do:", found.to_do or "nothing"),
    ]


def _entries(title: Line, problems: Sequence[Problem], detail: Detail) -> list[Line]:
    lines = group_lines(problems, detail)

    return [Line(""), title, *lines] if lines else []


def _verification_counts(result: Verification, *, is_verbose: bool) -> list[Line]:
    missing = sum(fault.kind.endswith("-missing") for fault in result.faults)
    classes = ", ".join(
        f"{count} {word}"
        for count, word in (
            (result.projects_present, "there"),
            (result.projects_missing, "missing"),
            (result.projects_conflicting, "conflicting"),
            (result.projects_invalid, "invalid"),
        )
        if count or word == "there"
    )
    total = result.projects_checked + result.projects_invalid
    lines = [
        counted(
            "Checked:",
            f"{many(total, 'project')} ({classes}), "
            f"{format_bytes(result.transcript_bytes)} of transcripts",
        ),
        counted("Missing:", str(missing)),
        counted("Different:", str(len(result.faults) - missing)),
        counted("Changed since:", str(len(result.changed))),
        counted("Not there:", str(len(result.not_there))),
    ]
    if result.sessions_left:
        lines.append(counted("Stay behind:", workers_and_ended(result.sessions_left)))
    if result.daemon is not None:
        lines.append(counted("Daemon:", f"running (pid {result.daemon})"))
    if is_verbose:
        lines.append(counted("Took:", f"{result.seconds:.1f} s"))

    return lines


def _verdict(result: Verification, next_command: str) -> list[Line]:
    """Return whether all has arrived, and whether the old store can be deleted."""
    if any(fault.kind.endswith("-missing") for fault in result.faults):
        lines = command_lines("Bring in what is missing:", next_command)
        return [*lines, Line("Keep the old store until this command finds no fault.")]
    if result.faults:
        return [Line(""), Line("Keep the old store: what is different is only there.")]
    if not result.projects_checked and not result.not_there:
        return [Line(""), Line("There was nothing to check.")]

    stays = result.sessions_left or result.not_there
    if not stays:
        verdict = "Everything has arrived."
    elif result.has_failures:
        verdict = "What could come has arrived; what is listed above could not."
    else:
        verdict = "Everything that comes across has arrived."
    return [Line(""), Line(verdict), Line(_deletion(result))]


def _deletion(result: Verification) -> str:
    """Return whether the old store can be deleted."""
    if result.has_failures:
        return "Keep the old store: what could not come is only there."
    if result.worktrees:
        count = many(len(result.worktrees), "worktree")
        return f"Keep the old store until the work in {count} (named above) is saved."

    return "The old store is no longer needed, but for what never comes across."
