"""What the state root holds: the directories of both layouts, by name (rule S2)."""

from __future__ import annotations

__all__ = (
    "StoreDirectories",
    "clean_path",
    "holds_records",
    "legacy_prefix_of",
    "list_directories",
)

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from stages.errors import StoreUnreadable
from stages.floor.files import reason

_V1_NAME = re.compile(r"[0-9a-f]{12}(?:-(.+))?", re.DOTALL)
_KEY_START = re.compile(r"[0-9a-f]{12}")
_RECORD_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.json)?")
_MIGRATED = ".migrated"
_OBSERVABILITY = "observability"
_MIGRATION_MARK = ".migration-in-progress"
_SUFFIX_START = 13  # behind twelve digits and a dash


def clean_path(text: str, base: str, home: str) -> str | None:
    """Return an absolute clean path, links in it left alone; None for a blank one.

    Only `~` and `~/` are the home directory; a relative path counts from `base`.
    """
    text = text.strip()
    if not text:
        return None

    if text == "~" or text.startswith("~/"):
        text = home + text[1:]
    path = os.path.normpath(os.path.join(base, text))
    # Two slashes at the beginning mean something only to POSIX; normpath keeps them.
    return path[1:] if path.startswith("//") else path


def legacy_prefix_of(path: str) -> str:
    """Return the prefix that the legacy application made of a path (rule S1)."""
    name = unicodedata.normalize("NFC", os.path.basename(path))
    capitals = re.sub("[^A-Z]", "", name)
    if len(name) <= 4:
        prefix = name
    elif len(capitals) >= 2:
        prefix = capitals
    elif "-" in name or "_" in name:
        words = name.split("-" if "-" in name else "_")
        prefix = "".join(word[:1] for word in words)
    else:
        prefix = name[:3]

    return prefix.lower()


class StoreDirectories:
    """The directories of a state root that can hold sessions."""

    def __init__(
        self, root: str, names: list[str], current: list[str], *, is_migrating: bool
    ) -> None:
        self.root = root
        self.is_migrating = is_migrating  # it was begun, and did not come to its end
        # In the order of pointers (rule C7); others are found by a storage key alone.
        self.v1 = sorted(
            name
            for name in names
            if _V1_NAME.fullmatch(name) and not name.endswith(_MIGRATED)
        )
        self.migrated = sorted(name for name in names if name.endswith(_MIGRATED))
        self.current = sorted(current)  # below projects/
        self._all = frozenset(names) - frozenset(self.migrated)
        self._by_suffix: dict[str, list[str]] = defaultdict(list)
        for name in self.v1:
            suffix = unicodedata.normalize("NFC", name[_SUFFIX_START:])
            self._by_suffix[suffix].append(name)

    def of_key(self, storage_key: str) -> list[str]:
        """Return the old directory that a storage key names, if it is there."""
        return [storage_key] if storage_key in self._all else []

    def of_name(self, project_id: str, path: str) -> list[str]:
        """Return the old directories named after a project's id or directory."""
        found: set[str] = set()
        for suffix in {
            project_id,
            unicodedata.normalize("NFC", os.path.basename(path)),
        }:
            found.update(self._by_suffix.get(suffix, ()) if suffix else ())

        return sorted(found)

    def unclaimed_v1(self, claimed: set[str]) -> list[str]:
        """Return the names of old directories that belong to no project."""
        return [
            name
            for name in self.v1
            if name not in claimed and name[_SUFFIX_START:] != _OBSERVABILITY
        ]

    def v1_path(self, name: str) -> str:
        return os.path.join(self.root, name)

    def current_path(self, name: str) -> str:
        return os.path.join(self.root, "projects", name)


def list_directories(root: Path) -> StoreDirectories:
    """Look for the directories of both layouts.

    :raises StoreUnreadable: the state root is there and cannot be listed.
    """
    try:
        names = _directories(str(root), lambda name: bool(_KEY_START.match(name)))
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise StoreUnreadable(root, reason(error)) from error
    try:
        current = _directories(str(root / "projects"), lambda name: name[0] != ".")
    except OSError:  # what is registered is looked for by its own name, and noted then
        current = []
    is_migrating = os.path.lexists(root / _MIGRATION_MARK)

    return StoreDirectories(str(root), names, current, is_migrating=is_migrating)


def holds_records(directory: str) -> bool:
    """Whether a directory of either layout has a session record, judged by the names."""
    if os.path.isfile(os.path.join(directory, "orchestrator.json")):
        return True

    try:
        with os.scandir(os.path.join(directory, "sessions")) as entries:
            return any(
                _RECORD_NAME.fullmatch(entry.name)
                and entry.is_file()
                and entry.stat().st_size > 0
                for entry in entries
            )
    except OSError:
        return False


def _directories(path: str, is_wanted: Callable[[str], bool]) -> list[str]:
    with os.scandir(path) as entries:
        return [each.name for each in entries if is_wanted(each.name) and _is_dir(each)]


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in circles, or where we may not look
        return False
