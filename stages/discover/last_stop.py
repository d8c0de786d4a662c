"""What was live when the legacy application was stopped: it resumes these itself (S7)."""

from __future__ import annotations

__all__ = ("LastStop", "read_last_stop")

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from stages.floor.files import read_regular, reason
from stages.floor.json_text import decode_object
from stages.floor.text import plain, quote
from stages.messages import Note
from stages.notes import note

LAST_STOP_NAME = "last-stop.json"
LAST_STOP_LIMIT = 16 * 1024 * 1024  # bytes


class LastStop:
    """The sessions that were stopped together, by the project that they are listed for."""

    def __init__(self) -> None:
        self._stems: dict[str, set[str]] = defaultdict(set)
        self.is_damaged = False

    def add(self, listed: object) -> None:
        """Add one project's list; what has another shape is damage."""
        block = listed if isinstance(listed, dict) else {}
        project, stems = block.get("projectId"), block.get("sessionIds", [])
        if not isinstance(stems, list) or (stems and not isinstance(project, str)):
            self.is_damaged = True
            return

        for stem in stems:
            if isinstance(stem, str):
                self._stems[str(project)].add(stem)
            else:
                self.is_damaged = True

    def of(self, names: Iterable[str]) -> frozenset[str]:
        """Return the sessions that are listed under any of these names."""
        return frozenset().union(*(self._stems.get(name, ()) for name in names))


def read_last_stop(root: Path, notes: list[Note]) -> LastStop:
    """Return the list; damage counts as none of it, with a note. Blocks."""
    stopped = LastStop()
    file = os.path.join(root, LAST_STOP_NAME)
    try:
        content = decode_object(read_regular(file, LAST_STOP_LIMIT))
        problem = "" if content is not None else "it holds no JSON object"
    except (FileNotFoundError, NotADirectoryError):
        return stopped
    except OSError as error:
        content, problem = None, reason(error)

    if content is not None:
        stopped.add(content)
        others = content.get("otherProjects", [])
        stopped.is_damaged |= not isinstance(others, list)
        for other in others if isinstance(others, list) else ():
            stopped.add(other)
        problem = "a part of it is of another shape" if stopped.is_damaged else ""
    if problem:
        text = f"{quote(file)} does not say what was live at the last stop: {plain(problem)}"
        notes.append(note("last-stop", None, text, file))

    return stopped
