"""The registry of stores without one: what the old layout's pointers lead to (rule C7)."""

from __future__ import annotations

__all__ = ("Pointed", "follow_pointers")

import os

from stages.discover.behaviour import Defaults, read_defaults
from stages.discover.session_places import V1Directories
from stages.discover.yaml_text import Node, YamlError, parse_yaml
from stages.floor.files import read_regular, reason
from stages.floor.text import plain, quote
from stages.messages import Note
from stages.notes import note

POINTER_NAME = ".origin"
POINTER_LIMIT = 65_536  # bytes
POINTED_LIMIT = 16 * 1024 * 1024  # bytes
BARE_LENGTH = 12


class Pointed:
    """A project that a pointer led to."""

    def __init__(self, node: Node, file: str, defaults: Defaults) -> None:
        self.node, self.file, self.defaults = node, file, defaults
        self.bare_directories: list[str] = []
        self.notes: list[Note] = []  # on other entries with its id


def follow_pointers(
    directories: V1Directories,
) -> tuple[dict[str, Pointed], list[Note]]:
    """Return the projects by id, in the order of the directories, and notes."""
    projects: dict[str, Pointed] = {}
    notes: list[Note] = []
    read: dict[str, tuple[list[str], str]] = {}  # by file: its ids, or what is wrong
    for name in directories.names:
        pointer = os.path.join(directories.path(name), POINTER_NAME)
        try:
            os.lstat(pointer)
        except PermissionError:
            pass  # reading it says so
        except OSError:
            continue

        file, problem = _target(pointer)
        ids: list[str] = []
        if not problem:
            same = os.path.realpath(file)
            if same not in read:
                root, problem = _load(file)
                read[same] = _register(root, file, projects), problem
            ids, problem = read[same]
        if problem:
            notes.append(_failed(pointer, file, problem))
        elif len(name) == BARE_LENGTH:
            for project_id in ids:
                projects[project_id].bare_directories.append(name)

    return projects, notes


def _target(pointer: str) -> tuple[str, str]:
    """Return the path that the pointer holds, and what is wrong with it."""
    try:
        text = read_regular(pointer, POINTER_LIMIT).decode("utf-8-sig")
    except OSError as error:
        return "", reason(error)
    except UnicodeDecodeError:
        return "", "it is no UTF-8"

    file = text.split("\n", 1)[0].strip()
    if not os.path.isabs(file) or "\0" in file:
        return "", "it holds no absolute path"

    return os.path.normpath(file), ""


def _load(file: str) -> tuple[dict[str, Node], str]:
    """Return the wrapped file's mapping, or what is wrong with it."""
    try:
        root = parse_yaml(read_regular(file, POINTED_LIMIT)).root
    except OSError as error:
        return {}, reason(error)
    except YamlError as error:
        return {}, str(error)

    if not isinstance(root, dict) or not isinstance(root.get("projects"), dict):
        return {}, "it registers no projects"

    return root, ""


def _register(
    root: dict[str, Node], file: str, projects: dict[str, Pointed]
) -> list[str]:
    """Add the projects of a file; an id that is there already counts once."""
    entries = root.get("projects")
    defaults = read_defaults(root.get("defaults"))
    added = []
    for project_id, node in entries.items() if isinstance(entries, dict) else ():
        if project_id not in projects:
            projects[project_id] = Pointed(node, file, defaults)
            added.append(project_id)
            continue

        first = projects[project_id].file
        projects[project_id].notes.append(
            note(
                "registered-twice",
                project_id,
                f"registered twice: the entry of {quote(first)} counts, "
                f"the one of {quote(file)} was left out",
                file,
            )
        )

    return added


def _failed(pointer: str, file: str, problem: str) -> Note:
    leads = f" leads to {quote(file)}, which" if file else ""

    return note(
        "pointer",
        None,
        f"{plain(pointer)}{leads} does not load: {plain(problem)}",
        pointer,
    )
