"""The commands that only look: what there is to import, and whether it has arrived."""

from __future__ import annotations

__all__ = ("status_command", "verify_command")

from pathlib import Path

import click

from pipeline.terminal.invocation import command_line, run
from pipeline.terminal.options import (
    CLAUDE_DIR,
    INCLUDE_ENDED,
    JSON,
    PROGRESS,
    PROJECT,
    QUIET,
    READERS,
    STORE,
    VERBOSE,
)
from pipeline.terminal.output import print_json
from pipeline.terminal.statuses import STATUS_FAILED


@click.command("status")
@STORE
@JSON
def status_command(
    root: Path | None, config: Path | None, data_dir: Path | None, as_json: bool
) -> None:
    """Show whether there is anything to import, and what has been.

    Reads only, also beside a live daemon; the session records are not read.

    \b
    Examples:
      ao-import status
      ao-import status --from /backup/.agent-orchestrator --json

    \b
    Exit status:
      0    always, also for a broken store: "error" says what is wrong with it
      2    wrong use
    """
    from pipeline.options import ImportOptions
    from pipeline.probing import probe
    from pipeline.terminal.progress_display import show
    from pipeline.terminal.summary import format_probe
    from stages.floor.text import plain

    options = ImportOptions(root=root, config=config, data_dir=data_dir)
    found = run(probe(options))
    if as_json:
        print_json(
            {
                "available": found.available,
                "root": plain(found.root),
                "projects": found.projects,
                "imported": found.imported,
                "pending": found.pending,
                "daemon": found.daemon,
                "error": found.error,
            }
        )
    else:
        next_command = command_line("import", options, "--dry-run")
        show(format_probe(found, next_command=next_command))


@click.command("verify")
@STORE
@CLAUDE_DIR
@PROJECT
@INCLUDE_ENDED
@JSON
@READERS
@PROGRESS
@QUIET
@VERBOSE
def verify_command(
    root: Path | None,
    config: Path | None,
    data_dir: Path | None,
    claude_dir: Path | None,
    projects: tuple[str, ...],
    include_ended: bool,
    as_json: bool,
    readers: int,
    shows_progress: bool | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Check that everything has arrived, field by field and byte by byte.

    Reads only. It plans as an import would, and compares the plan with the database and
    the transcripts. A row that is there and differs is listed as changed, which is no
    fault: the application goes on living. A transcript is right if it begins with what
    its source holds.

    \b
    Examples:
      ao-import verify
      ao-import verify --project app --verbose
      ao-import verify --json

    \b
    Exit status:
      0    everything has arrived
      1    rows or transcripts are missing or different, or it could not be checked
      2    wrong use
      130  interrupted
    """
    from pipeline.options import ImportOptions
    from pipeline.terminal.progress_display import open_progress, show
    from pipeline.terminal.summary import format_faults, format_verification
    from pipeline.verifying import verify

    options = ImportOptions(
        root=root,
        config=config,
        data_dir=data_dir,
        claude_dir=claude_dir,
        projects=projects,
        include_ended=include_ended,
        readers=readers,
    )
    with open_progress(shows_progress, is_silent=quiet or as_json) as on_progress:
        result = run(verify(options, on_progress=on_progress))
    if as_json:
        print_json(result)
    elif not quiet:
        next_command = command_line("import", options)
        show(format_verification(result, is_verbose=verbose, next_command=next_command))
    elif result.faults:
        click.echo(format_faults(result.faults), err=True)
    if result.faults:
        raise click.exceptions.Exit(STATUS_FAILED)
