"""The command line as a user runs it: in a process of its own, with a home of its own."""

from __future__ import annotations

__all__ = ("REPOSITORY", "Result", "ao_import", "environment", "install", "on_terminal")

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).parents[2]
TIMEOUT_SECONDS = 120


class Result(NamedTuple):
    """How a command ended, and all that it wrote."""

    status: int
    stdout: str
    stderr: str


def environment(home: Path, **changes: str) -> dict[str, str]:
    """Return an environment in which nothing of the developer's own is found."""
    ours = (
        "AO_",
        "CLAUDE_",
        "XDG_",
        "_AO_IMPORT",
        "NO_COLOR",
        "COLUMNS",
        "FORCE_COLOR",
    )
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(ours)
    }
    search_path = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]

    return {
        **kept,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "PYTHONPATH": os.pathsep.join(filter(None, search_path)),
        "PYTHONUTF8": "1",
        **changes,
    }


def ao_import(
    home: Path,
    *arguments: str | bytes,
    env: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> Result:
    """Run a command without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        env=environment(home, **(env or {})),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )

    return Result(done.returncode, done.stdout.decode(encoding), done.stderr.decode())


def install(directory: Path) -> Path:
    """Write a program `ao-import`, as an installer does, and return where it is."""
    program = directory / "ao-import"
    program.write_text(
        f"#!{sys.executable}\nfrom pipeline.terminal.cli import main\n\nmain()\n",
        encoding="utf-8",
    )
    program.chmod(0o755)

    return program


def on_terminal(
    home: Path,
    *arguments: str,
    columns: int = 80,
    answers: Sequence[tuple[str, str]] = (),
    env: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run a command on a terminal; return its status and all that the terminal got.

    Each answer is typed when the text before it has appeared.
    """
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    fcntl = pytest.importorskip("fcntl")
    termios = pytest.importorskip("termios")

    def take_terminal() -> None:
        """Let this terminal control a session of its own: so Ctrl-C reaches it."""
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, columns))
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        env=environment(home, **{"TERM": "xterm-256color", **(env or {})}),
        cwd=home,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        preexec_fn=take_terminal,
    )
    os.close(terminal)
    pending = list(answers)
    seen = b""
    with process, os.fdopen(controller, "rb+", buffering=0) as stream:
        while True:
            try:
                data = stream.read(65_536)
            except OSError:  # what Linux says when the other end has closed
                break
            if not data:
                break
            seen += data
            if pending and pending[0][0].encode() in seen:
                stream.write(pending.pop(0)[1].encode())
        status = process.wait(TIMEOUT_SECONDS)

    return status, seen.decode().replace("\r\n", "\n")
