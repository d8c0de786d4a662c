"""`python -m pipeline`, and the console script: signals first, then the command line."""

from pipeline.terminal.signals import end_on_signals


def main() -> None:
    """Run the command line. A signal that comes while it loads ends it like any other."""
    end_on_signals()
    from pipeline.terminal.cli import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
