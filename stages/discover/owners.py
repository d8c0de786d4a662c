"""Whose sessions a directory holds, where its name alone does not say (rule S2)."""

from __future__ import annotations

__all__ = ("Owners", "find_owners")

import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from stages.discover.candidates import POINTER_NAME, PointedFiles, read_pointer
from stages.discover.identity import RegisteredProject
from stages.discover.own_file import read_own_file
from stages.discover.session_places import StoreDirectories, holds_records
from stages.floor.buckets import real_path
from stages.floor.files import read_regular
from stages.floor.json_text import decode_object, is_json_object

RECORD_LIMIT = 16 * 1024 * 1024  # bytes

_QUICK_START_END = re.compile(r"_[0-9a-f]{10}")
_PROJECT_LINE = re.compile(rb"^[ \t]*project[ \t]*=(.*)$", re.MULTILINE)

Check = Callable[[], None]


class _Owned(msgspec.Struct):
    # `object`, not `str`: a project of another type must not cost the record.
    project: object = None


_decode_owned = msgspec.json.Decoder(_Owned).decode


class Owners:
    """The directories of each project, beside the one that has its id."""

    def __init__(self) -> None:
        self.v1: dict[str, set[str]] = defaultdict(set)  # projects by directory
        self.current: dict[str, set[str]] = defaultdict(set)
        self._v1_of: dict[str, set[str]] = defaultdict(set)  # directories by project
        self._current_of: dict[str, set[str]] = defaultdict(set)

    def add_v1(self, name: str, project_id: str) -> None:
        self.v1[name].add(project_id)
        self._v1_of[project_id].add(name)

    def add_current(self, name: str, project_id: str) -> None:
        self.current[name].add(project_id)
        if name != project_id:
            self._current_of[project_id].add(name)

    def v1_of(self, project_id: str) -> tuple[str, ...]:
        return tuple(sorted(self._v1_of.get(project_id, ())))

    def current_of(self, project_id: str) -> tuple[str, ...]:
        return tuple(sorted(self._current_of.get(project_id, ())))


def find_owners(
    directories: StoreDirectories,
    projects: Sequence[RegisteredProject],
    files: PointedFiles,
    ids: Collection[str],
    check: Check,
) -> Owners:
    """Return which directories are which project's. Blocks; `check` may end it.

    `ids` are all that are registered, the invalid ones too.
    """
    owners = Owners()
    paths = {project.real_path for project in projects}
    for project in projects:
        names = directories.of_key(project.storage_key) or [
            name
            for name in directories.of_name(project.id, project.path)
            if _is_of(project, directories.v1_path(name), files, paths)
        ]
        for name in (*names, *project.v1_directories):
            owners.add_v1(name, project.id)

    unregistered = [name for name in directories.current if name not in ids]
    for project_id in ids:
        owners.current[project_id].add(project_id)
    if unregistered:
        _find_unregistered(directories, unregistered, projects, owners, check)

    return owners


def _is_of(
    project: RegisteredProject, directory: str, files: PointedFiles, paths: set[str]
) -> bool:
    """Whether an old directory of a project's name is not another repository's."""
    file, _ = read_pointer(os.path.join(directory, POINTER_NAME))
    if not file or file == project.source:
        return True
    checkout = _resolved(os.path.dirname(file))
    if checkout == project.real_path:
        return True

    pointed = files.read(file)
    if not pointed.problem:  # one file for several repositories
        return project.real_path in pointed.paths
    return checkout not in paths and not os.path.lexists(file)


def _find_unregistered(
    directories: StoreDirectories,
    names: list[str],
    projects: Sequence[RegisteredProject],
    owners: Owners,
    check: Check,
) -> None:
    """Find whose the directories below projects/ are that have no project's id."""
    by_start = defaultdict(list)
    for project in projects:
        if _QUICK_START_END.fullmatch(project.id[-11:]):
            by_start[project.id[:-11]].append(project.id)
    valid = frozenset(project.id for project in projects)
    left = set()
    for name in names:
        path = directories.current_path(name)
        if not holds_records(path):
            continue
        found = {*by_start.get(name, ()), *_named_by_records(path, valid, check)}
        for project_id in found:
            owners.add_current(name, project_id)
        if not found:
            left.add(name)

    # Last, as it reads the own file of every project, which is read again later.
    for project in projects if left else ():
        check()
        own = read_own_file(project.path, project.id, frozenset(), check)
        if own is not None and own.entry_key in left:
            owners.add_current(own.entry_key, project.id)


def _named_by_records(
    directory: str, ids: frozenset[str], check: Check
) -> Iterator[str]:
    """Yield the projects that the records of a directory name."""
    seen: set[str] = set()
    try:
        with os.scandir(os.path.join(directory, "sessions")) as entries:
            for entry in entries:
                check()
                project = _project_of(entry)
                if project in ids and project not in seen:
                    seen.add(project)
                    yield project
    except OSError:
        return


def _project_of(entry: os.DirEntry[str]) -> str:
    if not entry.name.endswith(".json"):
        return ""
    try:
        if not stat.S_ISREG(entry.stat().st_mode):
            return ""
        data = read_regular(entry.path, RECORD_LIMIT)
    except OSError:
        return ""

    found: object
    try:
        found = _decode_owned(data).project
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        if is_json_object(data[:64].decode("utf-8", "replace")):
            found = (decode_object(data) or {}).get("project")
        else:
            lines = _PROJECT_LINE.findall(data)
            found = lines[-1].strip().decode("utf-8", "replace") if lines else ""

    return found if isinstance(found, str) else ""


def _resolved(path: str) -> str:
    try:
        return real_path(path)
    except OSError:
        return path
