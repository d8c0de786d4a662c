"""The command line: options, the question, exit statuses; everything else is behind it."""

from __future__ import annotations

__all__ = ("main",)

import sys
from collections.abc import Callable, Coroutine
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

# What does the work is imported where it is used: `--help` answers at once.
if TYPE_CHECKING:
    from pipeline.graph import OnProgress
    from pipeline.options import ImportOptions

T = TypeVar("T")

STATUS_FAILED = 1
STATUS_WRONG_USE = 2
STATUS_INCOMPLETE = 3
STATUS_INTERRUPTED = 130

IMPORT_QUESTION = "Import projects and orchestrator sessions from {root}? [Y/n] "


class _Commands(click.Group):
    """The commands; a mistyped one is answered with what it resembles."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            nearest = get_close_matches(name, self.list_commands(ctx), n=2)
            hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
            ctx.fail(f"There is no command {name!r}.{hint}")

        return super().resolve_command(ctx, args)


def _path(*, is_directory: bool) -> click.Path:
    return click.Path(file_okay=not is_directory, dir_okay=is_directory, path_type=Path)


def _options(*options: Callable[[T], T]) -> Callable[[T], T]:
    def decorate(command: T) -> T:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_STORE = _options(
    click.option(
        "--from",
        "root",
        metavar="DIR",
        type=_path(is_directory=True),
        help="Legacy state root.  [default: ~/.agent-orchestrator]",
    ),
    click.option(
        "--config",
        metavar="FILE",
        type=_path(is_directory=False),
        help="The legacy configuration, if it is not config.yaml in the root.",
    ),
    click.option(
        "--data-dir",
        metavar="DIR",
        type=_path(is_directory=True),
        help="Data dir of the new application.  [default: $AO_DATA_DIR or ~/.ao/data]",
    ),
)
_CLAUDE_DIR = click.option(
    "--claude-dir",
    metavar="DIR",
    type=_path(is_directory=True),
    help="Claude Code's transcripts.  "
    "[default: $CLAUDE_CONFIG_DIR/projects or ~/.claude/projects]",
)
_PROJECT = click.option(
    "--project",
    "projects",
    metavar="ID",
    multiple=True,
    help="Only this project; may be given several times.",
)
_READERS = click.option(
    "--readers",
    metavar="N",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Threads that read session records; more help where opening a file is slow, "
    "as on a network file system.",
)
_PROGRESS = click.option(
    "--progress/--no-progress",
    "shows_progress",
    default=None,
    help="Live progress on stderr.  [default: only on a terminal]",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON on stdout, no text.")
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Errors only.")
_VERBOSE = click.option("-v", "--verbose", is_flag=True, help="Every note, ungrouped.")


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="ao-import", prog_name="ao-import")
def commands() -> None:
    """Bring the projects of a legacy Agent Orchestrator into the new application.

    The legacy store is only ever read. Importing again is safe: what is there already is
    left as it is. Nothing is dropped without a note.
    """


@commands.command("import")
@_STORE
@_CLAUDE_DIR
@_PROJECT
@click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_JSON
@click.option(
    "--report",
    "report_file",
    metavar="FILE",
    type=_path(is_directory=False),
    help="Write the report as JSON into this file as well.",
)
@_READERS
@_PROGRESS
@_QUIET
@_VERBOSE
def import_command(
    root: Path | None,
    config: Path | None,
    data_dir: Path | None,
    claude_dir: Path | None,
    projects: tuple[str, ...],
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

    Exit status: 0 done, 1 it could not be done, 2 wrong use or a live daemon, 3 done but
    something that should have come could not, 130 interrupted.

    \b
    Examples:
      ao-import import --dry-run          look first
      ao-import import                    import, after a question
      ao-import import --from /backup/.agent-orchestrator --yes
      ao-import import --project app --json > report.json
    """
    from pipeline.importing import run_import
    from pipeline.options import ImportOptions
    from pipeline.summary import format_plan, format_report

    options = ImportOptions(
        root=root,
        config=config,
        data_dir=data_dir,
        claude_dir=claude_dir,
        projects=projects,
        dry_run=dry_run,
        readers=readers,
    )
    if report_file is not None and not report_file.absolute().parent.is_dir():
        raise click.BadParameter(
            f"there is no directory {str(report_file.absolute().parent)!r}",
            param_hint="--report",
        )
    if sys.stdin.isatty() and not yes and not dry_run and not _wants_import(options):
        return

    with _progress(shows_progress, is_silent=quiet or as_json) as on_progress:
        report = _run(run_import(options, on_progress=on_progress))
    if report_file is not None:
        from pipeline.reportfile import write_report

        _run(write_report(report, report_file))
    if as_json:
        _print_json(report)
    elif any(problem.kind == "nothing-to-import" for problem in report.problems):
        for note in report.notes:
            click.echo(note)
    elif not quiet:
        if report.dry_run and report.planned_projects:
            click.echo(format_plan(report) + "\n")
        click.echo(format_report(report, is_verbose=verbose))
    if report.has_failures:
        raise click.exceptions.Exit(STATUS_INCOMPLETE)


@commands.command("status")
@_STORE
@_JSON
def status_command(
    root: Path | None, config: Path | None, data_dir: Path | None, as_json: bool
) -> None:
    """Show whether there is anything to import, and what has been.

    Reads only, also beside a live daemon; the session records are not read.
    """
    from pipeline.options import ImportOptions
    from pipeline.probing import probe
    from pipeline.summary import format_probe

    options = ImportOptions(root=root, config=config, data_dir=data_dir)
    found = _run(probe(options))
    if as_json:
        _print_json(
            {
                "available": found.available,
                "root": found.root,
                "projects": found.projects,
                "imported": found.imported,
                "pending": found.pending,
                "daemon": found.daemon,
                "error": found.error,
            }
        )
    else:
        click.echo(format_probe(found))


@commands.command("verify")
@_STORE
@_CLAUDE_DIR
@_PROJECT
@_JSON
@_READERS
@_PROGRESS
@_QUIET
@_VERBOSE
def verify_command(
    root: Path | None,
    config: Path | None,
    data_dir: Path | None,
    claude_dir: Path | None,
    projects: tuple[str, ...],
    as_json: bool,
    readers: int,
    shows_progress: bool | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Check that everything has arrived, field by field and byte by byte.

    Reads only. What is missing or differs in a transcript is a fault (status 1). A row
    that is there and differs is listed as changed: the application goes on living.
    """
    from pipeline.options import ImportOptions
    from pipeline.summary import format_verification
    from pipeline.verifying import verify

    options = ImportOptions(
        root=root,
        config=config,
        data_dir=data_dir,
        claude_dir=claude_dir,
        projects=projects,
        readers=readers,
    )
    with _progress(shows_progress, is_silent=quiet or as_json) as on_progress:
        result = _run(verify(options, on_progress=on_progress))
    if as_json:
        _print_json(result)
    elif not quiet:
        click.echo(format_verification(result, is_verbose=verbose))
    if result.faults:
        raise click.exceptions.Exit(STATUS_FAILED)


@commands.command("demo")
def demo_command() -> None:
    """Import a small made-up store, to see what an import does.

    It writes a legacy store into a temporary directory and imports it into another one.
    """
    from pipeline.demo import run_demo

    click.echo(_run(run_demo()))


def main() -> None:
    """Run the command line and end the process with the status of the contract."""
    from contextlib import suppress

    is_verbose = "-v" in sys.argv or "--verbose" in sys.argv
    try:
        # Outside of its standalone mode a command's `Exit` comes back as a number.
        status = commands.main(prog_name="ao-import", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "\nInterrupted. Nothing is half-written; importing again continues.",
            err=True,
        )
        sys.exit(STATUS_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; what was imported is there all the same.
        with suppress(OSError):
            sys.stdout.close()
        sys.exit(STATUS_FAILED)
    except Exception as error:
        sys.exit(_say_error(error, is_verbose=is_verbose))
    sys.exit(status if isinstance(status, int) else 0)


def _say_error(error: Exception, *, is_verbose: bool) -> int:
    from stages.errors import DaemonRunning, ImportFailed, ImportRunning, UnknownProject

    if isinstance(error, ImportFailed):
        click.echo(f"error: {error}", err=True)
        wrong_use = isinstance(error, DaemonRunning | ImportRunning | UnknownProject)
        return STATUS_WRONG_USE if wrong_use else STATUS_FAILED

    click.echo(
        f"error: this should not have happened: {type(error).__name__}: {error}. What was "
        "imported before stays; -v shows more.",
        err=True,
    )
    if is_verbose:
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True)
    return STATUS_FAILED


def _run(work: Coroutine[Any, Any, T]) -> T:
    import asyncio

    return asyncio.run(work)


def _wants_import(options: ImportOptions) -> bool:
    """Ask on the terminal; where there is nothing to import there is nothing to ask."""
    from pipeline.probing import probe

    found = _run(probe(options))
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


def _print_json(value: object) -> None:
    import msgspec

    encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
    click.echo(encoded.decode())


class _progress:
    """Shows live progress on a terminal while an import runs."""

    def __init__(self, wanted: bool | None, *, is_silent: bool) -> None:
        self._is_wanted = (
            wanted if wanted is not None else sys.stderr.isatty() and not is_silent
        )

    def __enter__(self) -> OnProgress | None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None
