"""The command line: its commands, and the exit statuses that errors come to."""

from __future__ import annotations

__all__ = ("commands", "main")

import io
import sys
from pathlib import Path

import click

from pipeline.terminal.fleet_command import fleet_command
from pipeline.terminal.import_command import import_command
from pipeline.terminal.invocation import program, run
from pipeline.terminal.options import CLAUDE_DIR, STORE
from pipeline.terminal.report_commands import (
    explain_command,
    list_command,
    notes_command,
    status_command,
    verify_command,
)
from pipeline.terminal.statuses import (
    STATUS_FAILED,
    STATUS_INTERRUPTED,
    STATUS_WRONG_USE,
)

GARBAGE_THRESHOLD = 20_000  # objects, between two looks for garbage


@click.group(
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
      ao-import fleet '/home/*'    import the stores of many homes

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


commands.add_command(fleet_command)
commands.add_command(import_command)
commands.add_command(status_command)
commands.add_command(list_command)
commands.add_command(notes_command)
commands.add_command(explain_command)
commands.add_command(verify_command)


@commands.command("start", context_settings={"allow_interspersed_args": False})
@STORE
@CLAUDE_DIR
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
    from pipeline.terminal.rendering import show

    show(run(run_demo(program())))


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
    from stages.errors import (
        DaemonRunning,
        ImportFailed,
        ImportRunning,
        PlaceRefused,
        UnknownProject,
        exhausted_by,
    )

    error = exhausted_by(error) or error
    if isinstance(error, ImportFailed):
        click.echo(f"error: {error}", err=True)
        is_wrong_use = isinstance(
            error, DaemonRunning | ImportRunning | PlaceRefused | UnknownProject
        )
        return STATUS_WRONG_USE if is_wrong_use else STATUS_FAILED

    click.echo(
        f"error: this should not have happened: {type(error).__name__}: {error}. What was "
        "imported before stays; -v shows more.",
        err=True,
    )
    if is_verbose:
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True)
    return STATUS_FAILED
