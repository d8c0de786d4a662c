"""The command line: its commands, and the exit statuses that errors come to."""

from __future__ import annotations

__all__ = ("commands", "main")

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from pipeline.terminal.fleet_command import fleet_command
from pipeline.terminal.import_command import import_command
from pipeline.terminal.invocation import program, run
from pipeline.terminal.options import CLAUDE_DIR, STORE
from pipeline.terminal.output import close_output, prepare_output, say
from pipeline.terminal.report_commands import (
    explain_command,
    list_command,
    notes_command,
    status_command,
    verify_command,
)
from pipeline.terminal.signals import Interrupted, end_on_signals, ignore_signals
from pipeline.terminal.statuses import (
    STATUS_FAILED,
    STATUS_INCOMPLETE,
    STATUS_INTERRUPTED,
    STATUS_WRONG_USE,
)

INTERRUPTED = "\nInterrupted. Nothing is half-written; importing again continues."
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
      130  interrupted; running again continues (143 by SIGTERM, 129 by SIGHUP)

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

    end_on_signals()
    # Modules that load make much and drop nothing: to look through it all several times
    # was measured to be 6 % of a small import.
    gc.set_threshold(GARBAGE_THRESHOLD)
    prepare_output()
    status = _run_command()
    lost = close_output()
    if lost is not None and status in (0, STATUS_INCOMPLETE):
        status = _say_lost(lost)
    # From here on Python takes itself apart, its own handlers first.
    ignore_signals()
    sys.exit(status)


def _run_command() -> int:
    """Return the status that a command, or what went wrong in it, comes to."""
    is_verbose = "-v" in sys.argv or "--verbose" in sys.argv
    stdout = sys.stdout
    try:
        # Outside of its standalone mode a command's `Exit` comes back as a number.
        status = commands.main(prog_name="ao-import", standalone_mode=False)
    except click.ClickException as error:
        with suppress(OSError):  # nobody reads it; the status says it too
            error.show()
        return error.exit_code
    except Interrupted as interrupted:
        say(INTERRUPTED)
        return interrupted.status
    except (KeyboardInterrupt, click.Abort):
        say(INTERRUPTED)
        return STATUS_INTERRUPTED
    except SystemExit as ended:  # click's end of a completion, or of a broken pipe
        if sys.stdout is not stdout:  # it puts another in the place of a broken one
            return _say_lost(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))
        return ended.code if isinstance(ended.code, int) else 0
    except OSError as error:
        # Only what we write to has no name.
        if error.filename is None:
            return _say_lost(error)
        return _say_error(error, is_verbose=is_verbose)
    except Exception as error:
        return _say_error(error, is_verbose=is_verbose)

    return status if isinstance(status, int) else 0


def _say_lost(error: OSError) -> int:
    say(
        f"error: the output could not be written: {error.strerror or error}. "
        "What was imported is there all the same."
    )
    return STATUS_FAILED


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
        say(f"error: {error}")
        is_wrong_use = isinstance(
            error, DaemonRunning | ImportRunning | PlaceRefused | UnknownProject
        )
        return STATUS_WRONG_USE if is_wrong_use else STATUS_FAILED

    say(
        f"error: this should not have happened: {type(error).__name__}: {error}. What was "
        "imported before stays; -v shows more."
    )
    if is_verbose:
        import traceback

        say("".join(traceback.format_exception(error)))
    return STATUS_FAILED
