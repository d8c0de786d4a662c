"""Candidates: what registers a project, and the ways to it where no config.yaml does (C7, C8)."""

from __future__ import annotations

__all__ = (
    "Candidate",
    "PointedFile",
    "PointedFiles",
    "find_candidates",
    "read_pointer",
)

import os
from collections.abc import Callable, Iterator

import msgspec

from stages.discover.behaviour import Defaults, read_defaults
from stages.discover.own_file import OWN_FILE_NAMES
from stages.discover.session_places import StoreDirectories, clean_path
from stages.discover.yaml_text import Node, YamlError, parse_yaml
from stages.floor.buckets import real_path
from stages.floor.files import read_regular, reason
from stages.floor.json_text import decode_object
from stages.floor.text import plain, quote
from stages.messages import Note
from stages.notes import note

POINTER_NAME = ".origin"
POINTER_LIMIT = 65_536  # bytes; of a run-file and of a worktree's `.git`, too
POINTED_LIMIT = 16 * 1024 * 1024  # bytes
# Of all files that pointers lead to, together: as much as a configuration may have.
TOTAL_LIMIT = 64 * 1024 * 1024
BARE_LENGTH = 12

Check = Callable[[], None]


class Candidate:
    """An entry that may become a project, and the file that it stands in."""

    def __init__(
        self,
        id: str,
        node: Node,
        source: str,
        defaults: Defaults,
        *,
        is_pointed: bool = False,
    ) -> None:
        self.id, self.node, self.source, self.defaults = id, node, source, defaults
        self.is_pointed = is_pointed  # it is in no config.yaml
        self.bare_directories: list[str] = []  # whose pointer led here (rule C7)
        self.notes: list[Note] = []  # on other entries with its id


class PointedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a pointer leads to."""

    real_path: str
    entries: dict[str, Node]  # none where it is flat, or does not load
    defaults: Defaults
    paths: frozenset[str]  # of the entries, resolved
    problem: str = ""  # why it registers nothing


class PointedFiles:
    """Reads each file that pointers lead to, once, and no more than may be in memory."""

    def __init__(self, home: str, check: Check) -> None:
        self._home, self._check = home, check
        self._read: dict[str, PointedFile] = {}
        self._bytes_left = TOTAL_LIMIT

    def read(self, file: str) -> PointedFile:
        """Return what the file registers; a problem is part of it. Blocks."""
        try:
            real = real_path(file)
        except OSError as error:
            return _nothing(file, reason(error))

        if real not in self._read:
            self._check()
            self._read[real] = self._load(file, real)
        return self._read[real]

    def _load(self, file: str, real: str) -> PointedFile:
        # A pointer leads anywhere; only what is meant by it is opened at all.
        if not {os.path.basename(file), os.path.basename(real)} <= set(OWN_FILE_NAMES):
            return _nothing(real, f"its name is none of {', '.join(OWN_FILE_NAMES)}")

        try:
            data = read_regular(real, min(POINTED_LIMIT, self._bytes_left))
            self._bytes_left -= len(data)
            root = parse_yaml(data, self._check).root
        except OSError as error:
            return _nothing(real, reason(error))
        except YamlError as error:
            return _nothing(real, str(error))

        entries = root.get("projects") if isinstance(root, dict) else None
        if not isinstance(root, dict) or not isinstance(entries, dict):
            return _nothing(real, "it registers no projects")
        return PointedFile(
            real_path=real,
            entries=entries,
            defaults=read_defaults(root.get("defaults")),
            paths=frozenset(self._paths(entries, os.path.dirname(file))),
        )

    def _paths(self, entries: dict[str, Node], base: str) -> Iterator[str]:
        for node in entries.values():
            path = node.get("path") if isinstance(node, dict) else None
            clean = (
                clean_path(path, base, self._home) if isinstance(path, str) else None
            )
            if clean and "\0" not in clean:
                try:
                    yield real_path(clean)
                except OSError:
                    yield clean


def find_candidates(
    directories: StoreDirectories, files: PointedFiles, check: Check
) -> tuple[dict[str, Candidate], list[Note]]:
    """Return the projects that the rest of the store leads to, by id, and notes.

    First the pointers of the old layout (rule C7), then those of directories that were
    moved, what the legacy application last ran with, and the checkouts that its worktrees
    belong to (rule C8). Blocks.
    """
    found: dict[str, Candidate] = {}
    notes: list[Note] = []
    seen: set[str] = set()
    for name in (*directories.v1, *directories.migrated):
        check()
        pointer = os.path.join(directories.v1_path(name), POINTER_NAME)
        file, problem = read_pointer(pointer)
        if not file and not problem:
            continue
        pointed = files.read(file)
        if problem or pointed.problem:
            notes.append(_failed(pointer, file, problem or pointed.problem))
            continue
        _register(file, pointed, found, seen)
        if len(name) == BARE_LENGTH:
            _give_bare(name, pointed, found)

    for file in (*_last_configuration(directories), *_checkouts(directories, check)):
        check()
        pointed = files.read(file)
        if not pointed.problem:
            _register(file, pointed, found, seen)

    return found, notes


def read_pointer(pointer: str) -> tuple[str, str]:
    """Return the path that a pointer holds, and what is wrong with it.

    Neither: there is no pointer.
    """
    try:
        os.lstat(pointer)
        text = read_regular(pointer, POINTER_LIMIT).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return "", "there is no such file" if os.path.islink(pointer) else ""
    except OSError as error:
        return "", reason(error)
    except UnicodeDecodeError:
        return "", "it is no UTF-8"

    file = text.split("\n", 1)[0].strip()
    if not os.path.isabs(file) or "\0" in file:
        return "", "it holds no absolute path"
    return os.path.normpath(file), ""


def _register(
    file: str, pointed: PointedFile, found: dict[str, Candidate], seen: set[str]
) -> None:
    """Add the projects of a file; an id that is there already counts once."""
    if pointed.real_path in seen:
        return

    seen.add(pointed.real_path)
    for project_id, node in pointed.entries.items():
        first = found.get(project_id)
        if first is None:
            found[project_id] = Candidate(
                project_id, node, file, pointed.defaults, is_pointed=True
            )
            continue
        text = (
            f"registered twice: the entry of {quote(first.source)} counts, "
            f"the one of {quote(file)} was left out"
        )
        first.notes.append(note("registered-twice", project_id, text, file))


def _give_bare(name: str, pointed: PointedFile, found: dict[str, Candidate]) -> None:
    """Let a directory without a name be read for the projects that it led to."""
    for project_id in pointed.entries:
        candidate = found[project_id]
        if real_path(candidate.source) == pointed.real_path:
            candidate.bare_directories.append(name)


def _last_configuration(directories: StoreDirectories) -> list[str]:
    """Return the configuration that the legacy application last ran with (rule C8)."""
    try:
        data = read_regular(
            os.path.join(directories.root, "running.json"), POINTER_LIMIT
        )
    except OSError:
        return []

    path = (decode_object(data) or {}).get("configPath")
    is_path = isinstance(path, str) and os.path.isabs(path) and "\0" not in path
    return [os.path.normpath(path)] if isinstance(path, str) and is_path else []


def _checkouts(directories: StoreDirectories, check: Check) -> Iterator[str]:
    """Yield the own files of the checkouts that legacy worktrees belong to (rule C8)."""
    seen: set[str] = set()
    for name in directories.current:
        place = os.path.join(directories.current_path(name), "worktrees")
        try:
            worktrees = sorted(os.listdir(place))
        except OSError:
            continue
        for worktree in worktrees:
            check()
            checkout = _main_checkout(os.path.join(place, worktree))
            if checkout is None or checkout in seen:
                continue
            seen.add(checkout)
            for own in OWN_FILE_NAMES:
                file = os.path.join(checkout, own)
                if os.path.lexists(file):
                    yield file
                    break


def _main_checkout(worktree: str) -> str | None:
    """Return the checkout that a linked worktree's `.git` file leads to."""
    try:
        text = read_regular(os.path.join(worktree, ".git"), POINTER_LIMIT).decode()
    except (OSError, UnicodeDecodeError):
        return None

    key, _, value = text.partition(":")
    if key.strip() != "gitdir" or "\0" in value:
        return None
    administration = os.path.normpath(os.path.join(worktree, value.strip()))
    git, worktrees = os.path.split(os.path.dirname(administration))
    is_linked = worktrees == "worktrees" and os.path.basename(git) == ".git"
    return os.path.dirname(git) if is_linked else None


def _nothing(file: str, problem: str) -> PointedFile:
    return PointedFile(
        real_path=file,
        entries={},
        defaults=Defaults(),
        paths=frozenset(),
        problem=problem,
    )


def _failed(pointer: str, file: str, problem: str) -> Note:
    leads = f" leads to {quote(file)}, which" if file else ""
    text = f"{plain(pointer)}{leads} does not load: {plain(problem)}"

    return note("pointer", None, text, pointer)
