"""Take the README's pictures of a terminal: the program is run in one, and drawn as SVG.

    python -m bench.terminal

Runs a dry run, an import and a verification of the demo's store in a pseudo-terminal of
80 columns, and writes what it showed to `bench/pictures/`, for light and dark pages; the
same at 40 columns is printed, to look at. Needs a system with pseudo-terminals.
"""

from __future__ import annotations

__all__ = ("main", "record")

import contextlib
import fcntl
import io
import os
import pty
import shlex
import shutil
import struct
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import NIGHT_OWLISH, SVG_EXPORT_THEME
from rich.text import Text

from pipeline.terminal.demo import write_demo_store

PICTURES = Path(__file__).parent / "pictures"
COLUMNS = 80
COMMANDS = ("import --dry-run", "import --yes", "verify")
THEMES = {"light": NIGHT_OWLISH, "dark": SVG_EXPORT_THEME}


def main() -> None:
    directory = write_demo_store()
    try:
        home = directory / "home"
        wide = _session(home, COLUMNS)
        shutil.rmtree(home / ".ao")
        narrow = _session(home, 40)
    finally:
        shutil.rmtree(directory)

    PICTURES.mkdir(exist_ok=True)
    for name, theme in THEMES.items():
        console = Console(
            record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True
        )
        console.print(Text.from_ansi(wide), soft_wrap=True)
        file = PICTURES / f"terminal-{name}.svg"
        console.save_svg(str(file), title="ao-import", theme=theme, unique_id=name)
        sys.stdout.write(f"{file}: {file.stat().st_size} bytes\n")
    sys.stdout.write(f"\n{narrow}\n")


def record(command: list[str], columns: int, environment: dict[str, str]) -> str:
    """Return all that a command writes to a terminal of so many columns."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, environment)

    size = struct.pack("HHHH", 40, columns, 0, 0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
    shown = b""
    with contextlib.suppress(OSError):  # what Linux says when the other end has closed
        while data := os.read(terminal, 65_536):
            shown += data
    os.close(terminal)
    os.waitpid(pid, 0)

    return shown.decode().replace("\r\n", "\n")


def _session(home: Path, columns: int) -> str:
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }
    script = "import sys; sys.argv[0] = 'ao-import'; from pipeline.terminal.cli import main; main()"
    pieces = []
    for words in COMMANDS:
        command = [sys.executable, "-c", script, *shlex.split(words)]
        shown = record(command, columns, environment)
        pieces.append(f"\x1b[1;32m$\x1b[0m ao-import {words}\n{shown}")

    # The demo's own directory says nothing to a reader.
    return "\n".join(pieces).replace(str(home), "/home/ada").rstrip()


if __name__ == "__main__":
    main()
