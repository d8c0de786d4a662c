"""Whether the places of a run are fit for it: sources are there, destinations are no sources."""

from __future__ import annotations

__all__ = ("refuse_destinations", "refuse_report", "require_sources")

import os
import stat
from pathlib import Path

import msgspec

from pipeline.lock import LOCK_NAME
from pipeline.options import Settings
from stages.database.connecting import DATABASE_NAME
from stages.errors import PlaceRefused
from stages.floor.files import read_regular, reason

REPORT_LIMIT = 256 * 1024 * 1024  # bytes; a report of 50,000 projects has a tenth
_OURS_IN_DATA_DIR = (DATABASE_NAME, ".import")  # how our files there begin
_CLAUDE_HOME_BUCKETS = "projects"

assert LOCK_NAME.startswith(_OURS_IN_DATA_DIR)


def require_sources(settings: Settings) -> None:
    """Go on only if the sources that were named are directories. Blocks.

    A root that is missing is none: there is nothing to import, and that is said.

    :raises PlaceRefused: one is none, or is the home of the transcripts' directory.
    """
    root, buckets = settings.places.root, settings.buckets
    if settings.root_is_named and _is_no_directory(root, if_missing=False):
        to_do = "name the directory that holds the legacy application's state"
        raise PlaceRefused(root, "is no directory", to_do)

    if not settings.buckets_are_named:
        return
    if _is_no_directory(buckets, if_missing=True):
        to_do = "name the directory that holds Claude Code's transcripts"
        raise PlaceRefused(buckets, "is no directory", to_do)
    # No bucket is called so: their names begin with what the root of a path becomes.
    if os.path.isdir(buckets / _CLAUDE_HOME_BUCKETS):
        problem = "is the home of Claude Code, not the directory of its transcripts"
        to_do = f"name {buckets / _CLAUDE_HOME_BUCKETS}"
        raise PlaceRefused(buckets, problem, to_do)


def refuse_destinations(settings: Settings) -> None:
    """Go on only if nothing is written into the legacy store (rule G2). Blocks.

    :raises PlaceRefused: the data dir or the transcripts' directory lies in it.
    """
    root = settings.places.root
    for option, place in (
        ("--data-dir", settings.data_dir),
        ("--claude-dir", settings.buckets),
    ):
        if _is_within(place, root):
            problem = f"lies in the legacy store {root}, which is only ever read"
            raise PlaceRefused(place, problem, f"choose another {option}")


def refuse_report(file: Path, settings: Settings) -> None:
    """Go on only if a report may be written there (rule G2). Blocks.

    It may take the place of an earlier report and of nothing else.

    :raises PlaceRefused: it may not, or could not.
    """
    to_do = "choose another file for the report"
    if problem := _report_problem(file, settings):
        raise PlaceRefused(file, problem, to_do)


def _is_no_directory(path: Path, *, if_missing: bool) -> bool:
    """Whether it is something else; of what cannot be looked at, reading says why."""
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return if_missing
    except OSError:
        return False


def _report_problem(file: Path, settings: Settings) -> str | None:
    directory = file.absolute().parent
    if not os.path.isdir(directory):
        return f"cannot be written: there is no directory {directory}"
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"cannot be written: nothing can be written in {directory}"
    if _is_within(file, settings.places.root):
        return "lies in the legacy store, which is only ever read"
    if _is_within(file, settings.buckets):
        return "lies among the transcripts"
    if _is_same(directory, settings.data_dir) and file.name.casefold().startswith(
        _OURS_IN_DATA_DIR
    ):
        return "is a file of the new store"
    if _is_same(file, settings.places.config):
        return "is the legacy configuration"

    try:
        info = file.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be looked at: {reason(error)}"
    if not stat.S_ISREG(info.st_mode):
        return "is there and is no regular file"
    if not _is_report(file):
        return "is there and is no earlier report"

    return None


class _EarlierReport(msgspec.Struct, rename="camel"):
    """What tells a report from any other JSON."""

    projects_imported: int
    transcripts_relocated: int


def _is_report(file: Path) -> bool:
    try:
        msgspec.json.decode(read_regular(str(file), REPORT_LIMIT), type=_EarlierReport)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False

    return True


def _is_within(path: Path, directory: Path) -> bool:
    """Whether a path is a directory or would lie in it, whatever names lead there."""
    real = Path(os.path.realpath(path))

    return any(_is_same(place, directory) for place in (real, *real.parents))


def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths are one file. Names do not tell: `A` may be `a`, or a link."""
    try:
        return os.path.samefile(path, other)
    except FileNotFoundError:
        real, other_real = map(os.path.realpath, (path, other))
        return os.path.normcase(real) == os.path.normcase(other_real)
    except (OSError, ValueError):
        return False
