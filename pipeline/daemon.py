"""Who else is at work: the daemon, which owns the database, and the legacy application.

Each says so by a run-file, in which the process id is what counts (rules G1, G3).
"""

from __future__ import annotations

__all__ = ("find_daemon", "find_legacy_application", "refuse_daemon")

import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import cast

from stages.errors import DaemonRunning, RunFileBroken
from stages.floor.files import read_regular, reason
from stages.floor.json_text import decode_object
from stages.floor.workers import Workers
from stages.messages import Note
from stages.notes import note

RUN_FILE_LIMIT = 65_536  # bytes
LEGACY_RUN_FILE = "running.json"

_open_process = cast("Callable[[int], int] | None", getattr(os, "pidfd_open", None))


async def find_daemon(run_file: Path, workers: Workers) -> int | None:
    """Return the process id of the daemon if it lives.

    :raises RunFileBroken: the run-file is there and does not say.
    """
    return await workers.submit(_find, run_file)


async def refuse_daemon(run_file: Path, workers: Workers) -> None:
    """Go on only if no daemon lives.

    :raises DaemonRunning: one does.
    :raises RunFileBroken: the run-file is there and does not say.
    """
    pid = await find_daemon(run_file, workers)
    if pid is not None:
        raise DaemonRunning(pid)


async def find_legacy_application(root: Path, workers: Workers) -> tuple[Note, ...]:
    """Return a note if the legacy application lives, as it goes on changing its store.

    Its run-file may be broken or unreadable: then nothing is known, and nothing hangs
    on it.
    """
    run_file = root / LEGACY_RUN_FILE
    try:
        pid = await workers.submit(_find, run_file)
    except RunFileBroken:
        return ()
    if pid is None:
        return ()

    text = (
        f"the legacy application is running (pid {pid}); what it changes from now on is "
        "not imported"
    )
    return (note("legacy-running", None, text, str(run_file)),)


def _find(run_file: Path) -> int | None:
    try:
        data = read_regular(str(run_file), RUN_FILE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunFileBroken(run_file, reason(error)) from error

    content = decode_object(data)
    if content is None:
        raise RunFileBroken(run_file, "it holds no JSON object")
    pid = content.get("pid")
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        raise RunFileBroken(run_file, 'its "pid" is no positive whole number')

    return pid if _is_alive(pid) else None


def _is_alive(pid: int) -> bool:
    """Whether a process runs, and has not merely not been waited for.

    The system is asked itself where it can be. `/proc` may not be there, or hide what
    belongs to others.
    """
    if _open_process is None:
        return _is_known(pid)

    try:
        fd = _open_process(pid)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # an old kernel, or one that forbids it
        return _is_known(pid)
    try:
        ended = select.poll()
        ended.register(fd, select.POLLIN)
        return not ended.poll(0)
    finally:
        os.close(fd)


def _is_known(pid: int) -> bool:
    import psutil  # slow to load, and only needed where there is a run-file

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.AccessDenied:  # it is there, and somebody else's
        return True
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
