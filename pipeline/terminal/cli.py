"""The command line: options, the question, exit statuses; everything else is behind it."""

from __future__ import annotations

__all__ = ("main",)

import io
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

# What does the work is imported where it is used: `--help` answers at once.
if TYPE_CHECKING:
    from pipeline.options import ImportOptions
    from pipeline.report import Report

T = TypeVar("T")

STATUS_FAILED = 1
STATUS_WRONG_USE = 2
STATUS_INCOMPLETE = 3
STATUS_INTERRUPTED = 130

GARBAGE_THRESHOLD = 20_000  # objects, between two looks for garbage

IMPORT_QUESTION = "Import projects and orchestrator sessions from {root}? [Y/n] "


class _Commands(click.Group):
    """The commands; a mistyped one is answered with what it resembles."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from difflib import get_close_matches

            nearest = get_close_matches(name, self.list_commands(ctx), n=2)
            hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
            ctx.fail(f"There is no command {name!r}.{hint}")

        return super().resolve_command(ctx, args)


def _path(*, is_directory: bool) -> click.Path:
    # Whether it can be read is found out where that says what to do about it.
    return click.Path(
        file_okay=not is_directory,
        dir_okay=is_directory,
        readable=False,
        path_type=Path,
    )


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
_INCLUDE_ENDED = click.option(
    "--include-ended",
    is_flag=True,
    help="Where no orchestrator of a project is live, bring the one that was terminated.",
)
_READERS = click.option(
    "--readers",
    metavar="N",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="At most so many threads read session records; of these, as many do as have to "
    "wait for the disk.",
)
_PROGRESS = click.option(
    "--progress/--no-progress",
    "shows_progress",
    default=None,
    help="Progress on stderr: bars on a terminal, else a line every few seconds.  "
    "[default: on a terminal, unless -q or --json]",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON on stdout, no text.")
_QUIET = click.option(
    "-q", "--quiet", is_flag=True, help="Only what failed, on stderr."
)
_VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, help="Every note by itself, and times."
)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="ao-import", prog_name="ao-import")
def commands() -> None:
    """Bring the projects of a legacy Agent Orchestrator into the new application.

    The legacy store is only ever read. Importing again is safe: what is there already is
    left as it is. Nothing is dropped without a note.

    \b
    Examples:
      ao-import demo               try it on a made-up store
      ao-import status             is there anything to import?
      ao-import import --dry-run   look at the plan, project by project
      ao-import import             import, after a question
      ao-import verify             check that everything has arrived

    \b
    Exit status:
      0    done
      1    it could not be done; for verify: something is missing or different
      2    wrong use: a bad option, a live daemon, another import at work
      3    done, but something that should have come could not; the summary says what
      130  interrupted; running again continues

    \b
    Completion of commands and options by the Tab key:
      bash  echo 'eval "$(_AO_IMPORT_COMPLETE=bash_source ao-import)"' >> ~/.bashrc
      zsh   echo 'eval "$(_AO_IMPORT_COMPLETE=zsh_source ao-import)"' >> ~/.zshrc
      fish  echo '_AO_IMPORT_COMPLETE=fish_source ao-import | source' \\
              > ~/.config/fish/completions/ao-import.fish
    """


@commands.command("import")
@_STORE
@_CLAUDE_DIR
@_PROJECT
@_INCLUDE_ENDED
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
      130  interrupted; nothing is half-written, running again continues

    \b
    Environment:
      AO_DATA_DIR        data dir of the new application
      AO_GLOBAL_CONFIG   the legacy configuration
      AO_RUN_FILE        the daemon's run-file (~/.ao/running.json)
      CLAUDE_CONFIG_DIR  home of Claude Code (~/.claude)
      XDG_CONFIG_HOME    where the legacy configuration may be, too
      NO_COLOR           no colours
    """
    from pipeline.importing import run_import
    from pipeline.options import ImportOptions
    from pipeline.terminal.progress_display import open_progress

    options = ImportOptions(
        root=root,
        config=config,
        data_dir=data_dir,
        claude_dir=claude_dir,
        projects=projects,
        include_ended=include_ended,
        dry_run=dry_run,
        readers=readers,
    )
    if report_file is not None:
        _require_writable(report_file)
    asks = sys.stdin is not None and sys.stdin.isatty() and not (yes or dry_run)
    if asks and not _wants_import(options):
        return

    with open_progress(shows_progress, is_silent=quiet or as_json) as on_progress:
        report = _run(run_import(options, on_progress=on_progress))
    try:
        if report_file is not None:
            from pipeline.terminal.report_file import write_report

            _run(write_report(report, report_file))
    finally:  # what was done is shown, whatever becomes of the file
        _show_report(report, options, as_json=as_json, quiet=quiet, verbose=verbose)
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
    found = _run(probe(options))
    if as_json:
        _print_json(
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
        next_command = _command_line("import", options, "--dry-run")
        show(format_probe(found, next_command=next_command))


@commands.command("verify")
@_STORE
@_CLAUDE_DIR
@_PROJECT
@_INCLUDE_ENDED
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
        result = _run(verify(options, on_progress=on_progress))
    if as_json:
        _print_json(result)
    elif not quiet:
        next_command = _command_line("import", options)
        show(format_verification(result, is_verbose=verbose, next_command=next_command))
    elif result.faults:
        click.echo(format_faults(result.faults), err=True)
    if result.faults:
        raise click.exceptions.Exit(STATUS_FAILED)


@commands.command("start", context_settings={"allow_interspersed_args": False})
@_STORE
@_CLAUDE_DIR
@click.option("--no-import", is_flag=True, help="Offer nothing.")
@click.argument("command", nargs=-1, metavar="[-- COMMAND [ARG]...]")
def start_command(
    root: Path | None,
    config: Path | None,
    data_dir: Path | None,
    claude_dir: Path | None,
    no_import: bool,
    command: tuple[str, ...],
) -> None:
    """Offer an import on the first start, then become COMMAND.

    Where legacy projects exist and the new application has none yet, it asks on a
    terminal and says so elsewhere. Then COMMAND takes the place of this process.

    \b
    Examples:
      ao-import start -- ao serve
      ao-import start --no-import -- ao serve
    """
    from pipeline.terminal import start

    if not no_import:
        from pipeline.options import ImportOptions

        start.offer_import(
            ImportOptions(
                root=root, config=config, data_dir=data_dir, claude_dir=claude_dir
            )
        )
    if command:
        raise click.exceptions.Exit(start.replace_process(command))


@commands.command("demo")
def demo_command() -> None:
    """Import a small made-up store, to see what an import does.

    It writes a legacy store into a new temporary directory, imports it into a database
    there, and shows the summary and where to look. Nothing else is touched.

    \b
    Examples:
      ao-import demo
    """
    from pipeline.terminal.demo import run_demo
    from pipeline.terminal.progress_display import show

    show(_run(run_demo(_program())))


def main() -> None:
    """Run the command line and end the process with the status of the contract."""
    import gc
    from contextlib import suppress

    # Modules that load make much and drop nothing: to look through it all several times
    # was measured to be 6 % of a small import.
    gc.set_threshold(GARBAGE_THRESHOLD)
    is_verbose = "-v" in sys.argv or "--verbose" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        # A name that the encoding cannot hold must not end the run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
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


def _show_report(
    report: Report,
    options: ImportOptions,
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    from pipeline.terminal.progress_display import show
    from pipeline.terminal.summary import format_failures, format_plan, format_report

    if as_json:
        _print_json(report)
    elif any(problem.kind == "nothing-to-import" for problem in report.problems):
        for note in report.notes:
            show(note)
    elif quiet:
        if failures := format_failures(report.problems):
            click.echo(failures, err=True)
    else:
        if report.dry_run:
            show(f"{format_plan(report)}\n")
        next_command = _command_line("import" if report.dry_run else "verify", options)
        show(format_report(report, is_verbose=verbose, next_command=next_command))


def _command_line(command: str, options: ImportOptions, *more: str) -> str:
    """Return how to call another command on the same places."""
    import shlex

    words = [command]
    for name, value in (
        ("--from", options.root),
        ("--config", options.config),
        ("--data-dir", options.data_dir),
        ("--claude-dir", options.claude_dir),
        *(("--project", project) for project in options.projects),
    ):
        words += [name, str(value)] if value is not None else []
    words += ["--include-ended"] if options.include_ended else []

    return f"{_program()} {shlex.join([*words, *more])}"


def _program() -> str:
    """Return how the user calls us."""
    import shlex
    import shutil

    called = sys.argv[0]
    if Path(called).name == "__main__.py":
        return "python -m pipeline"

    return "ao-import" if shutil.which("ao-import") == called else shlex.quote(called)


def _require_writable(file: Path) -> None:
    """Refuse a report's place now rather than after the import."""
    directory = file.absolute().parent
    if not os.path.isdir(directory):
        problem = f"there is no directory {str(directory)!r}"
    elif not os.access(directory, os.W_OK | os.X_OK):
        problem = f"nothing can be written in {str(directory)!r}"
    else:
        return

    raise click.BadParameter(problem, param_hint="'--report'")


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

    # Bytes, as JSON is UTF-8 whatever the encoding of the terminal.
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))
