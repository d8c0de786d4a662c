"""`import`: the question, the import with its progress, and what is shown of it."""

from __future__ import annotations

__all__ = ("import_command",)

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.terminal.invocation import command_line, run
from pipeline.terminal.options import (
    CLAUDE_DIR,
    DRY_RUN,
    EXCLUDE,
    INCLUDE_ENDED,
    JSON,
    PATH,
    PROGRESS,
    PROJECT,
    QUIET,
    READERS,
    STORE,
    VERBOSE,
)
from pipeline.terminal.output import print_json
from pipeline.terminal.signals import Interrupted
from pipeline.terminal.statuses import STATUS_INCOMPLETE

# What does the work is imported where it is used: `--help` answers at once.
if TYPE_CHECKING:
    from pipeline.options import ImportOptions
    from pipeline.report import Report

STDOUT = Path("-")
IMPORT_QUESTION = "Import projects and orchestrator sessions from {root}? [Y/n] "


@click.command("import")
@STORE
@CLAUDE_DIR
@PROJECT
@EXCLUDE
@INCLUDE_ENDED
@DRY_RUN
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@JSON
@click.option(
    "--report",
    "report_file",
    metavar="FILE",
    type=PATH,
    help="Write the report as JSON into this file as well; - is stdout, as --json.",
)
@READERS
@PROGRESS
@QUIET
@VERBOSE
def import_command(
    root: Path | None,
    config: Path | None,
    data_dir: Path | None,
    claude_dir: Path | None,
    projects: tuple[str, ...],
    exclude: tuple[str, ...],
    include_ended: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    report_file: Path | None,
    readers: int,
    shows_progress: bool | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Bring a legacy store into the database.

    Projects, their settings and live orchestrators become rows of the new application's
    database; transcripts of Claude Code are copied to where the new sessions look for
    them. It asks first, but not without a terminal. Stop the daemon before.

    \b
    Examples:
      ao-import import --dry-run
      ao-import import
      ao-import import --from /backup/.agent-orchestrator --yes
      ao-import import --project app --project shop
      ao-import import --yes --json > report.json
      ao-import import --yes --quiet --report report.json

    \b
    Exit status:
      0    done; what was left out, and noted, is what the rules leave out
      1    it could not be done; what was committed before stays
      2    wrong use, a live daemon, or another import at work
      3    done, but something that should have come could not
      130  interrupted; nothing is half-written, running again continues (143 by
           SIGTERM, 129 by SIGHUP)

    \b
    Environment:
      AO_DATA_DIR        data dir of the new application
      AO_GLOBAL_CONFIG   the legacy configuration
      AO_RUN_FILE        the daemon's run-file (~/.ao/running.json)
      CLAUDE_CONFIG_DIR  home of Claude Code (~/.claude)
      XDG_CONFIG_HOME    where the legacy configuration may be, too
      NO_COLOR           no colours
    """
    from pipeline.destinations import refuse_report
    from pipeline.importing import run_import
    from pipeline.options import ImportOptions, resolve
    from pipeline.terminal.progress_display import open_progress
    from stages.errors import ImportFailed

    options = ImportOptions(
        root=root,
        config=config,
        data_dir=data_dir,
        claude_dir=claude_dir,
        projects=projects,
        exclude=exclude,
        include_ended=include_ended,
        dry_run=dry_run,
        readers=readers,
    )
    if report_file == STDOUT:
        report_file, as_json = None, True
    elif report_file is not None:
        refuse_report(report_file, resolve(options, os.environ))
    asks = sys.stdin is not None and sys.stdin.isatty() and not (yes or dry_run)
    if asks and not _wants_import(options):
        return

    def deliver(report: Report) -> None:
        try:
            if report_file is not None:
                from pipeline.terminal.report_file import write_report

                write_report(report, report_file)
        finally:  # what was done is shown, whatever becomes of the file
            _show_report(report, options, as_json=as_json, quiet=quiet, verbose=verbose)

    parts: list[Report] = []
    is_silent = quiet or as_json
    try:
        with open_progress(shows_progress, is_silent=is_silent) as on_progress:
            work = run_import(options, on_progress=on_progress, on_partial=parts.append)
            report = run(work)
    except (Exception, Interrupted) as error:
        part = parts[0] if parts else _failed(error)
        if as_json or report_file or part.interrupted or _has_imported(part):
            with suppress(OSError, ImportFailed):  # what ended the run is what is said
                deliver(part)
        raise
    deliver(report)
    if report.has_failures:
        raise click.exceptions.Exit(STATUS_INCOMPLETE)


def _failed(error: BaseException) -> Report:
    """Return the report of a run that ended before it could have one."""
    from pipeline.report import Report

    if isinstance(error, Exception):
        return Report(status="failed", error=str(error))

    return Report(status="interrupted", interrupted=True)


def _has_imported(report: Report) -> bool:
    return bool(
        report.projects_imported
        or report.orchestrators_imported
        or report.transcripts_relocated
    )


def _wants_import(options: ImportOptions) -> bool:
    """Ask on the terminal; where there is nothing to import there is nothing to ask."""
    from pipeline.probing import probe

    found = run(probe(options))
    if not found.available or found.daemon is not None:
        return True  # the import itself says why it does not go ahead

    if _ask(IMPORT_QUESTION.format(root=found.root)):
        return True
    click.echo("Import cancelled.")
    return False


def _ask(question: str) -> bool:
    """Whether the answer is yes, or Enter. The end of the input is a no."""
    # On stderr, as stdout may be a file or a pipe that waits for the report.
    click.echo(question, nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        click.echo(err=True)
        return False

    return answer.strip().lower() in ("", "y", "yes")


def _show_report(
    report: Report,
    options: ImportOptions,
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    from pipeline.terminal.rendering import show
    from pipeline.terminal.summary import summarize_failures, summarize_report

    if as_json:
        print_json(report)
    elif quiet:
        if failures := summarize_failures(report.problems):
            show(failures, is_error=True)
    else:
        next_command = command_line("import" if report.dry_run else "verify", options)
        show(summarize_report(report, is_verbose=verbose, next_command=next_command))
