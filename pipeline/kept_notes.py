"""The notes of the last imports, kept in the data dir to be read again."""

from __future__ import annotations

__all__ = ("KeptNotes", "NOTES_NAME", "keep_notes", "merge_notes", "read_notes")

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.report import Problem, Report
from stages.errors import StoreUnreadable
from stages.floor.files import read_regular, reason, write_whole
from stages.notes import KINDS

NOTES_NAME = ".import-notes.json"
NOTES_MODE = 0o600  # they quote the store
NOTES_LIMIT = (
    16 * 1024 * 1024
)  # bytes; ten notes for each of 10,000 projects have 4 MiB


class KeptNotes(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What imports into a data dir have said, as far as it still holds."""

    written_at: datetime | None
    root: str  # of the last import
    problems: tuple[Problem, ...]
    cut: dict[str, int] = {}  # how many of a kind had no room in the file


def keep_notes(data_dir: Path, report: Report, *, is_part: bool) -> None:
    """Write the notes of an import, with those of earlier ones that still hold. Blocks.

    `is_part`: the run was about some of the projects only. The file is written whole or
    not at all; the caller holds the lock of the data dir.

    :raises OSError: they could not be written; what was kept before stays.
    """
    try:
        before = read_notes(data_dir)
    except StoreUnreadable:  # nobody can read it: it may as well be replaced
        before = None
    kept = KeptNotes(
        written_at=report.started_at,
        root=report.root,
        problems=merge_notes(
            before.problems if before else (), report, is_part=is_part
        ),
        cut=before.cut if before else {},
    )
    write_whole(data_dir / NOTES_NAME, _encode(kept), NOTES_MODE)


def read_notes(data_dir: Path) -> KeptNotes | None:
    """Return the notes that are kept in a data dir; None: there are none. Blocks.

    :raises StoreUnreadable: there is something that cannot be read.
    """
    file = data_dir / NOTES_NAME
    try:
        return msgspec.json.decode(
            read_regular(str(file), 2 * NOTES_LIMIT), type=KeptNotes
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreUnreadable(file, reason(error)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreUnreadable(file, "it holds no notes of an import") from error


def merge_notes(
    before: Iterable[Problem], report: Report, *, is_part: bool
) -> tuple[Problem, ...]:
    """Return the notes that hold after a run, in the order of their projects.

    Notes about a row are given once, by the run that inserts it, and stay until it is
    inserted anew. The others are given by each run that comes to their project.
    """
    classes = {result.id: result.project for result in report.projects}
    said = {(each.project, each.kind, each.text) for each in report.problems}

    def still_holds(problem: Problem) -> bool:
        if problem.project is None or problem.kind not in KINDS:
            return False
        if (problem.project, problem.kind, problem.text) in said:
            return False

        found = classes.get(problem.project, "pending" if is_part else None)
        return found == "pending" or (
            KINDS[problem.kind].is_once and found != "imported"
        )

    merged = [*report.problems, *filter(still_holds, before)]
    return tuple(sorted(merged, key=lambda each: each.project or ""))


def _encode(kept: KeptNotes) -> bytes:
    """Return the file's content; what is too much for it is counted by kind."""
    content = msgspec.json.encode(kept)
    if len(content) <= NOTES_LIMIT:
        return content

    order = {kind: rank for rank, kind in enumerate(KINDS)}
    room = NOTES_LIMIT
    fitting, cut = [], Counter(kept.cut)
    for problem in sorted(kept.problems, key=lambda each: order.get(each.kind, 0)):
        room -= len(msgspec.json.encode(problem)) + 1
        if room >= 0:
            fitting.append(problem)
        else:
            cut[problem.kind] += 1

    return msgspec.json.encode(
        msgspec.structs.replace(kept, problems=tuple(fitting), cut=dict(cut))
    )
