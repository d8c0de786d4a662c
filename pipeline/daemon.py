"""Whether the daemon lives, by its run-file: if so it owns the database (rule G1)."""

from __future__ import annotations

__all__ = ("find_daemon", "refuse_daemon")

from pathlib import Path

from stages.errors import DaemonRunning, RunFileBroken
from stages.floor.files import read_regular, reason
from stages.floor.json_text import decode_object
from stages.floor.workers import Workers

RUN_FILE_LIMIT = 65_536  # bytes


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
    import psutil  # slow to load, and only needed where there is a run-file

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.AccessDenied:  # it is there, and somebody else's
        return True
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
