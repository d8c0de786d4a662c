"""The commands that only look: what there is, what was said, whether it has arrived."""

from __future__ import annotations

__all__ = (
    "explain_command",
    "list_command",
    "notes_command",
    "status_command",
    "verify_command",
)

import os
from typing import Any

import click

from pipeline.terminal.invocation import command_line, run
from pipeline.terminal.options import (
    CLAUDE_DIR,
    EXCLUDE,
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
from pipeline.terminal.statuses import STATUS_FAILED, STATUS_INCOMPLETE


@click.command("status")
@STORE
@CLAUDE_DIR
@PROJECT
@EXCLUDE
@INCLUDE_ENDED
@JSON
def status_command(as_json: bool, **places: Any) -> None:
    """Show whether there is anything to import, and what has been.

    Reads only, also beside a live daemon; the session records are not read. It takes the
    options of `import` that say what and where.

    \b
    Examples:
      ao-import status
      ao-import status --from /backup/.agent-orchestrator --json

    \b
    Exit status:
      0    always, also for a broken store: "error" says what is wrong with it
      2    wrong use
    """
    from pipeline.destinations import require_sources
    from pipeline.options import ImportOptions, resolve
    from pipeline.probing import probe
    from pipeline.terminal.answers import summarize_probe
    from pipeline.terminal.rendering import show
    from stages.floor.text import plain

    options = ImportOptions(**places)
    require_sources(resolve(options, os.environ))
    found = run(probe(options))
    if as_json:
        print_json(
            {
                "available": found.available,
                "root": plain(found.root),
                "projects": found.projects,
                "imported": found.imported,
                "pending": found.pending,
                "leftOut": found.left_out,
                "database": plain(found.database),
                "daemon": found.daemon,
                "error": found.error,
            }
        )
    else:
        next_command = command_line("import", options, "--dry-run")
        show(summarize_probe(found, next_command=next_command))


@click.command("list")
@STORE
@CLAUDE_DIR
@PROJECT
@EXCLUDE
@INCLUDE_ENDED
@JSON
def list_command(as_json: bool, **places: Any) -> None:
    """List the projects of the legacy store, each with its state.

    Imported: the database has it. Pending: an import would bring it. Conflicting: its
    path is another project's. Invalid: its entry has no usable id or path.

    \b
    Examples:
      ao-import list
      ao-import list --json

    \b
    Exit status:
      0    done
      1    the store cannot be read
      2    wrong use
    """
    from pipeline.options import ImportOptions
    from pipeline.probing import probe
    from pipeline.terminal.answers import list_projects
    from pipeline.terminal.rendering import show

    found = run(probe(ImportOptions(**places)))
    if as_json:
        print_json({"projects": found.states, "error": found.error})
    elif found.states:
        show(list_projects(found))
    if found.error:
        click.echo(f"error: {found.error}", err=True)
        raise click.exceptions.Exit(STATUS_FAILED)


@click.command("notes")
@STORE
@CLAUDE_DIR
@PROJECT
@click.option(
    "--kind",
    "kinds",
    metavar="KIND",
    multiple=True,
    help="Only notes of this kind; may be given several times.",
)
@JSON
@VERBOSE
def notes_command(
    kinds: tuple[str, ...],
    projects: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    **places: Any,
) -> None:
    """Show again what imports have said, each with what to do.

    Notes about a row are said once, by the import that inserts it; they are kept in the
    data dir, and this shows them as often as you like.

    \b
    Examples:
      ao-import notes
      ao-import notes --kind permissions-unset
      ao-import notes --project app --json

    \b
    Exit status:
      0    done, also where no import has left notes
      1    the notes cannot be read
      2    wrong use
    """
    import os

    from pipeline.kept_notes import NOTES_NAME, read_notes
    from pipeline.options import ImportOptions, resolve
    from pipeline.terminal.answers import summarize_notes
    from pipeline.terminal.rendering import Line, show
    from stages.floor.text import plain

    for kind in kinds:
        _require_kind(kind)
    data_dir = resolve(ImportOptions(**places), os.environ).data_dir
    kept = read_notes(data_dir)
    problems = [
        problem
        for problem in (kept.problems if kept else ())
        if (not kinds or problem.kind in kinds)
        and (not projects or problem.project in projects)
    ]
    if as_json:
        print_json(
            {
                "writtenAt": kept and kept.written_at,
                "problems": problems,
                "cut": kept.cut if kept else {},
            }
        )
    elif kept is None:
        file = plain(str(data_dir / NOTES_NAME))
        show([Line(f"No import has left notes: there is no {file}.")])
    else:
        show(summarize_notes(kept, problems, is_verbose=verbose))


@click.command("explain")
@click.argument("kind", metavar="KIND")
def explain_command(kind: str) -> None:
    """Say what a kind of note means, and what to do about it.

    The kind is the word in brackets behind a note.

    \b
    Examples:
      ao-import explain worktree-stays

    \b
    Exit status:
      0    done
      2    there is no such kind
    """
    from pipeline.terminal.answers import explain_kind
    from pipeline.terminal.rendering import show

    _require_kind(kind)
    show(explain_kind(kind))


@click.command("verify")
@STORE
@CLAUDE_DIR
@PROJECT
@EXCLUDE
@INCLUDE_ENDED
@JSON
@READERS
@PROGRESS
@QUIET
@VERBOSE
def verify_command(
    as_json: bool,
    shows_progress: bool | None,
    quiet: bool,
    verbose: bool,
    **places: Any,
) -> None:
    """Check that everything has arrived, field by field and byte by byte.

    Reads only. It plans as an import would, and compares the plan with the database and
    the transcripts. A row that is there and differs is listed as changed, which is no
    fault: the application goes on living. A transcript is right if it begins with what
    its source holds. What an import could not bring is listed as not there.

    \b
    Examples:
      ao-import verify
      ao-import verify --project app --verbose
      ao-import verify --json

    \b
    Exit status:
      0    there are no faults, and nothing failed
      1    rows or transcripts are missing or different, or it could not be checked
      2    wrong use
      3    what an import can bring is there, but something failed to come
      130  interrupted
    """
    from pipeline.options import ImportOptions
    from pipeline.terminal.answers import summarize_faults, summarize_verification
    from pipeline.terminal.progress_display import open_progress
    from pipeline.terminal.rendering import show
    from pipeline.verifying import verify

    options = ImportOptions(**places)
    with open_progress(shows_progress, is_silent=quiet or as_json) as on_progress:
        result = run(verify(options, on_progress=on_progress))
    if as_json:
        print_json(result)
    elif quiet:
        if faults := summarize_faults(result):
            show(faults, is_error=True)
    else:
        next_command = command_line("import", options)
        show(
            summarize_verification(
                result, is_verbose=verbose, next_command=next_command
            )
        )
    if result.faults:
        raise click.exceptions.Exit(STATUS_FAILED)
    if result.has_failures:
        raise click.exceptions.Exit(STATUS_INCOMPLETE)


def _require_kind(kind: str) -> None:
    """Refuse a word that is no kind of note, with those that it resembles."""
    from stages.floor.text import quote, resembling
    from stages.notes import KINDS

    if kind not in KINDS:
        nearest = resembling(kind, KINDS, most=3)
        hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        raise click.UsageError(f"There is no kind of note {quote(kind)}.{hint}")
