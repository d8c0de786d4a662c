"""Which directories of the state root are a project's, and what its files are called."""

from __future__ import annotations

__all__ = ("V1Directories", "clean_path", "legacy_prefix_of", "list_v1_directories")

import os
import re
import unicodedata
from collections import defaultdict
from pathlib import Path

from stages.errors import StoreUnreadable
from stages.floor.files import reason

_V1_NAME = re.compile(r"[0-9a-f]{12}(?:-(.+))?", re.DOTALL)
_KEY_START = re.compile(r"[0-9a-f]{12}")
_MIGRATED = ".migrated"
_OBSERVABILITY = "observability"


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


class V1Directories:
    """The old layout's directories in the state root, by what they are found by."""

    def __init__(self, root: str, names: list[str]) -> None:
        self.root = root
        # In the order of pointers (rule C7); others are found by a storage key alone.
        self.names = sorted(name for name in names if _V1_NAME.fullmatch(name))
        self._by_suffix: dict[str, list[str]] = defaultdict(list)
        self._all = frozenset(names)
        for name in self.names:
            suffix = name[13:]
            self._by_suffix[unicodedata.normalize("NFC", suffix)].append(name)

    def of_project(self, project_id: str, path: str, storage_key: str) -> list[str]:
        """Return the names of a project's directories, in order (rule S2)."""
        found: set[str] = set()
        for suffix in {
            project_id,
            unicodedata.normalize("NFC", os.path.basename(path)),
        }:
            found.update(self._by_suffix.get(suffix, ()) if suffix else ())
        if storage_key in self._all:
            found.add(storage_key)

        return sorted(found)

    def unclaimed(self, claimed: set[str]) -> list[str]:
        """Return the names of those that belong to no project."""
        return [
            name
            for name in self.names
            if name not in claimed and name[13:] != _OBSERVABILITY
        ]

    def path(self, name: str) -> str:
        return os.path.join(self.root, name)


def list_v1_directories(root: Path) -> V1Directories:
    """Look for the old layout's directories, and for what a storage key can name.

    :raises StoreUnreadable: the state root is there and cannot be listed.
    """
    names = []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                name = entry.name
                is_one = _KEY_START.match(name) and not name.endswith(_MIGRATED)
                if is_one and entry.is_dir():
                    names.append(name)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StoreUnreadable(root, reason(error)) from error

    return V1Directories(str(root), names)
