"""`python -m pipeline`: the command line."""

from pipeline.terminal.cli import main

if __name__ == "__main__":
    main()
