"""The portfolio files: display names and registration times; damaged ones are empty."""

from __future__ import annotations

__all__ = ("OVERLAY_LIMIT", "Overlays", "read_overlays")

from collections.abc import Callable
from datetime import datetime

from stages.floor.json_text import decode_object, mend
from stages.floor.times import parse_time

OVERLAY_LIMIT = 16 * 1024 * 1024  # bytes


class Overlays:
    """Names by project id; times by project id and by clean path."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.times_by_id: dict[str, datetime] = {}
        self.times_by_path: dict[str, datetime] = {}


def read_overlays(
    preferences: bytes, registered: bytes, clean_path: Callable[[str], str | None]
) -> Overlays:
    """Return what `preferences.json` and `registered.json` say, field by field."""
    overlays = Overlays()
    projects = (decode_object(preferences) or {}).get("projects")
    for project_id, settings in projects.items() if isinstance(projects, dict) else ():
        name = settings.get("displayName") if isinstance(settings, dict) else None
        if isinstance(name, str) and name.strip():
            overlays.names[mend(project_id)] = mend(name)

    entries = (decode_object(registered) or {}).get("projects")
    for entry in entries if isinstance(entries, list) else ():
        added_at = parse_time(entry.get("addedAt")) if isinstance(entry, dict) else None
        if added_at is None:
            continue

        for key in ("id", "configProjectKey"):
            if isinstance(entry.get(key), str):
                overlays.times_by_id.setdefault(entry[key], added_at)
        path = entry.get("path")
        if isinstance(path, str) and (clean := clean_path(path)):
            overlays.times_by_path.setdefault(clean, added_at)

    return overlays
