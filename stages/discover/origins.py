"""Asks git for the origin of a checkout: no prompts, no hooks, no network, no waiting."""

from __future__ import annotations

__all__ = ("Git", "Repositories", "find_git")

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
    "-c",
    "safe.directory=*",  # a checkout of another user answers, too; nothing of it is run
)
# What is written, which `remote get-url` may answer rewritten by `insteadOf`.
_QUESTION = ("config", "--local", "--includes", "--get-all", "remote.origin.url")


class Git(msgspec.Struct, frozen=True, kw_only=True):
    """The program, and the environment that it runs in."""

    program: str
    environment: dict[str, str]
    home: str

    def origin(self, path: str, check: Callable[[], None]) -> str | None:
        """Return what git calls the origin of this directory, or the empty text.

        None: it gave no answer in time, or could not be started. Blocks for at most ten
        seconds; `check` is called meanwhile and may raise.
        """
        command = (self.program, "-C", path, *_OPTIONS, *_QUESTION)
        try:
            process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            return None

        with process:
            try:
                answer = _wait(process, check)
            finally:
                process.kill()

        if answer is None:
            return None
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


class Repositories:
    """Tells where git could find a repository; it is asked nowhere else.

    Asking costs a process, and most paths of an old store are gone or were never one.
    What was seen of a directory is kept, as many projects lie in the same one.
    """

    def __init__(self, home: str) -> None:
        self._ceiling = os.path.realpath(home)
        self._seen: dict[str, bool] = {}

    def has(self, path: str) -> bool:
        """Whether a directory is in a repository, or is a bare one."""
        if not os.path.isdir(path):
            return False
        if os.path.lexists(os.path.join(path, ".git")):
            return True
        if os.path.isfile(os.path.join(path, "HEAD")):  # a bare repository
            return True

        if os.path.islink(path):
            path = os.path.realpath(path)
        return self._is_below(path)

    def _is_below(self, directory: str) -> bool:
        """Whether a directory above is one's top; the home directory and up are not."""
        above = os.path.dirname(directory)
        if above not in self._seen:
            real = os.path.realpath(above)
            self._seen[above] = real not in (directory, self._ceiling) and (
                os.path.lexists(os.path.join(real, ".git")) or self._is_below(real)
            )

        return self._seen[above]


def _wait(process: subprocess.Popen[bytes], check: Callable[[], None]) -> bytes | None:
    for _ in range(round(GIT_TIMEOUT_SECONDS / POLL_SECONDS)):
        try:
            return process.communicate(timeout=POLL_SECONDS)[0]
        except subprocess.TimeoutExpired:
            check()

    return None
