"""What an import would run into at its end, found out by a dry run before it begins."""

from __future__ import annotations

__all__ = ("Rehearsal", "rehearse")

import os
import shutil
from pathlib import Path

import msgspec

from pipeline.options import Settings
from stages.database.connecting import DATABASE_NAME
from stages.floor.text import quote
from stages.messages import Note
from stages.notes import note


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the way of the writing."""

    free_bytes: int | None  # where the transcripts go; None: not known
    copy_problem: str  # why no transcript could be copied; empty: none is known
    notes: tuple[Note, ...]


def rehearse(settings: Settings, transcript_bytes: int) -> Rehearsal:
    """Look at the places that an import would write to, without writing. Blocks.

    `transcript_bytes` is what it would copy; with none to copy, nothing need be written
    where transcripts go.
    """
    problems = [
        _find_obstacle(settings.data_dir),
        _find_obstacle(settings.data_dir / DATABASE_NAME, is_file=True),
    ]
    copy_problem = _find_obstacle(settings.buckets) if transcript_bytes else ""
    notes = [
        note("target-unwritable", None, problem)
        for problem in dict.fromkeys([*problems, copy_problem])
        if problem
    ]
    free_bytes = _free_bytes(settings.buckets)
    if free_bytes is not None and transcript_bytes > free_bytes:
        notes.append(_too_little_space(transcript_bytes, free_bytes))

    return Rehearsal(
        free_bytes=free_bytes, copy_problem=copy_problem, notes=tuple(notes)
    )


def _find_obstacle(target: Path, *, is_file: bool = False) -> str:
    """Return what keeps us from writing there; empty: nothing that can be seen."""
    for place in (target, *target.parents):
        try:
            os.lstat(place)
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            continue  # what is no directory is one of its parents
        except OSError:
            return f"{quote(str(place))} cannot be looked into"

        has_file = is_file and place == target
        if not has_file and not place.is_dir():
            return f"{quote(str(place))} is no directory"
        if not os.access(place, os.W_OK if has_file else os.W_OK | os.X_OK):
            return f"{quote(str(place))} cannot be written to"
        return ""

    return ""


def _free_bytes(directory: Path) -> int | None:
    """Return the room where a directory is, or would be."""
    for place in (directory, *directory.parents):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError:
            return None

    return None


def _too_little_space(need_bytes: int, free_bytes: int) -> Note:
    return note(
        "too-little-space",
        None,
        f"too little space: the transcripts need {need_bytes} bytes, and where they "
        f"go {free_bytes} are free",
    )
