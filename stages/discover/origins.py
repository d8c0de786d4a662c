"""Asks git for the origin of a checkout: no prompts, no hooks, no network, no waiting."""

from __future__ import annotations

__all__ = ("Git", "find_git", "is_in_repository")

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping

import msgspec

GIT_TIMEOUT_SECONDS = 10
POLL_SECONDS = 0.1
ORIGIN_LIMIT = 65_536  # bytes; a longer answer is no URL

_OPTIONS = (
    "--no-pager",
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "protocol.allow=never",
)


class Git(msgspec.Struct, frozen=True, kw_only=True):
    """The program, and the environment that it runs in."""

    program: str
    environment: dict[str, str]
    home: str

    def origin(self, path: str, check: Callable[[], None]) -> str:
        """Return what git calls the origin of this directory, or the empty text.

        Blocks for at most ten seconds; `check` is called meanwhile and may raise.
        """
        command = (self.program, "-C", path, *_OPTIONS, "remote", "get-url", "origin")
        try:
            process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            return ""

        with process:
            try:
                answer = _wait(process, check)
            finally:
                process.kill()

        if process.returncode != 0 or len(answer) > ORIGIN_LIMIT:
            return ""
        lines = answer.decode("utf-8", "replace").splitlines()
        return lines[0].strip() if lines else ""


def find_git(environment: Mapping[str, str], home: str) -> Git | None:
    """Return git as it is to be asked, or None where it is missing (no error)."""
    program = shutil.which("git", path=environment.get("PATH"))
    if program is None:
        return None

    kept = {name: value for name, value in environment.items() if name[:4] != "GIT_"}
    return Git(
        program=os.path.abspath(program),
        # A repository of dotfiles in the home directory answers for nothing below it.
        environment=kept
        | {"GIT_CEILING_DIRECTORIES": home, "GIT_TERMINAL_PROMPT": "0"},
        home=home,
    )


def is_in_repository(path: str, home: str) -> bool:
    """Whether git could find a repository from here; it is not asked otherwise.

    Asking costs a process; most paths of an old store are gone or were never one.
    """
    if not os.path.isdir(path):
        return False
    if os.path.isfile(os.path.join(path, "HEAD")):  # a bare repository
        return True

    here, ceiling = os.path.realpath(path), os.path.realpath(home)
    while True:
        if os.path.lexists(os.path.join(here, ".git")):
            return True

        here, below = os.path.dirname(here), here
        if here in (below, ceiling):
            return False


def _wait(process: subprocess.Popen[bytes], check: Callable[[], None]) -> bytes:
    for _ in range(round(GIT_TIMEOUT_SECONDS / POLL_SECONDS)):
        try:
            return process.communicate(timeout=POLL_SECONDS)[0]
        except subprocess.TimeoutExpired:
            check()

    return b""
