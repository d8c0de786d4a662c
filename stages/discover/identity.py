"""Identity: what an entry of the registry says of itself, read whole (P1, P2, S1, B7)."""

from __future__ import annotations

__all__ = ("RegisteredProject", "fit_for_ids", "read_identity", "with_whole_prefix")

import os
import re
from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec.structs import replace

from stages.discover.behaviour import Defaults
from stages.discover.candidates import Candidate
from stages.discover.fields import Fields
from stages.discover.session_places import clean_path, legacy_prefix_of
from stages.discover.yaml_text import Node
from stages.floor.json_text import mend
from stages.floor.text import quote
from stages.floor.times import from_epoch_seconds
from stages.messages import Note
from stages.notes import note

PREFIX_LENGTH = 12  # of an id, where no prefix is set

_VALID_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_REFUSED_IN_PREFIX = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")
_UNFIT_FOR_IDS = re.compile(r"[^A-Za-z0-9_-]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|[\w.-]+@[\w.-]+:")
_DRIVE = re.compile(r"[A-Za-z]:")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]|%[A-Za-z_][A-Za-z0-9_]*%")
# Of what the legacy application's last line writes, and no earlier one.
_REGISTRY_FIELDS = frozenset({"projectId", "source", "registeredAt", "storageKey"})


# Without `gc` 10,000 of them make a garbage collection, which holds all threads, a third
# shorter (48 to 32 ms); nothing in them can lead back to them.
class RegisteredProject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A valid entry of the registry; its behaviour is still as it was read."""

    id: str
    path: str
    real_path: str  # with its links followed (rule P5)
    origin_url: str
    display_name: str  # of the entry alone
    registered_at: datetime | None  # of the entry alone
    default_branch: str | None
    session_prefix: str | None  # what is stored (rules S1, B7)
    prefix: str  # of the new application's ids
    legacy_prefixes: tuple[str, ...]  # of legacy files
    storage_key: str
    mapping: dict[str, Node]
    is_registry_entry: bool  # identity alone: its behaviour stands elsewhere (rule C2)
    source: str  # the file that it stands in
    defaults: Defaults
    current_directories: tuple[str, ...]  # names below projects/, beside its own
    v1_directories: tuple[str, ...]  # names
    stopped_stems: frozenset[str]  # rule S7
    notes: tuple[Note, ...]


def read_identity(
    candidate: Candidate, home: str, resolve: Callable[[str], str]
) -> RegisteredProject | Note:
    """Return the project that an entry registers, or the note on why it is none (P1).

    `resolve` follows the links of a path. Which directories are the project's is not
    known yet.
    """
    node, source = candidate.node, candidate.source
    if not isinstance(node, dict):
        return _invalid(candidate, "its entry is no mapping")
    if not _VALID_ID.fullmatch(candidate.id) or ".." in candidate.id:
        return _invalid(candidate, "the new application refuses this id")
    path, problem = _read_path(node.get("path"), os.path.dirname(source), home)
    if path is None:
        return _invalid(candidate, problem)

    notes = []
    if candidate.is_pointed:
        notes.append(
            note("pointed", candidate.id, f"registered by {quote(source)}", source)
        )
    fields = Fields(node)
    set_prefix = _read_prefix(fields, candidate, notes)
    old_prefix = set_prefix or candidate.id[:PREFIX_LENGTH]
    prefix = fit_for_ids(old_prefix)
    if prefix != old_prefix:
        notes.append(_changed_prefix(candidate.id, old_prefix, prefix, source))
    seconds = fields.number("registeredAt")
    registered_at = None if seconds is None else from_epoch_seconds(seconds)
    if seconds is not None and registered_at is None:
        fields.wrong.append("registeredAt")
    project = RegisteredProject(
        id=candidate.id,
        path=path,
        real_path=resolve(path),
        origin_url=_read_origin(fields, node),
        display_name=fields.filled("displayName") or fields.filled("name") or "",
        registered_at=registered_at,
        default_branch=fields.trimmed("defaultBranch"),
        session_prefix=prefix if prefix != old_prefix else set_prefix,
        prefix=prefix,
        legacy_prefixes=tuple(
            dict.fromkeys(filter(None, (old_prefix, legacy_prefix_of(path))))
        ),
        storage_key=fields.trimmed("storageKey") or "",
        mapping=node,
        is_registry_entry=not _REGISTRY_FIELDS.isdisjoint(node),
        source=source,
        defaults=candidate.defaults,
        current_directories=(),
        v1_directories=tuple(candidate.bare_directories),
        stopped_stems=frozenset(),
        notes=(),
    )

    return replace(
        project,
        notes=(*notes, *candidate.notes, *fields.notes(candidate.id, source)),
    )


def with_whole_prefix(project: RegisteredProject, other_id: str) -> RegisteredProject:
    """Return a project whose prefix another one has, with its whole id for one (S1)."""
    prefix = fit_for_ids(project.id)
    text = (
        f"sessionPrefix {quote(prefix)} was set, as the sessions of the project "
        f"{quote(other_id)} are called {quote(project.prefix)} too"
    )
    changed = note("session-id", project.id, text, project.source)

    return replace(
        project,
        session_prefix=prefix,
        prefix=prefix,
        notes=(*project.notes, changed),
    )


def fit_for_ids(prefix: str) -> str:
    """Return the prefix in the characters that the new application starts (rule S1)."""
    return _UNFIT_FOR_IDS.sub("-", prefix)


def _read_path(node: Node, base: str, home: str) -> tuple[str | None, str]:
    """Return the absolute path of an entry, or what is wrong with it (rule P1)."""
    if not isinstance(node, str) or not node.strip():
        return None, "its entry has no path"

    text = node.strip()
    # Only a relative path of this system can still become one that is meant.
    if os.sep == "/" and (_DRIVE.match(text) or "\\" in text):
        return None, "its path is one of another system"
    if _URL.match(text):
        return None, "its path is a URL"
    if _VARIABLE.search(text):
        return None, "its path holds a variable, which nothing replaces"
    path = clean_path(text, base, home)
    if path is None or "\0" in path:
        return None, "its path holds a NUL character"
    if mend(path) != path:  # of a home directory, say
        return None, "its path is no UTF-8"
    return path, ""


def _read_prefix(fields: Fields, candidate: Candidate, notes: list[Note]) -> str | None:
    """Return the session prefix that is set, None for one that is refused (rule B7)."""
    prefix = fields.trimmed("sessionPrefix")
    if not prefix or not (prefix in (".", "..") or _REFUSED_IN_PREFIX.search(prefix)):
        return prefix

    text = f"sessionPrefix {quote(prefix)} is refused by the new application"
    notes.append(note("refused-value", candidate.id, text, candidate.source))
    return None


def _read_origin(fields: Fields, mapping: dict[str, Node]) -> str:
    repo = mapping.get("repo")
    origin = None
    if isinstance(repo, dict):
        origin = fields.block("repo").trimmed("originUrl")
    elif repo is not None and not isinstance(repo, str):
        fields.wrong.append("repo")

    return origin or fields.trimmed("originUrl") or ""


def _changed_prefix(project_id: str, old: str, new: str, source: str) -> Note:
    text = (
        f"sessionPrefix {quote(new)} was set, as the new application starts no session "
        f"called {quote(old)}"
    )

    return note("session-id", project_id, text, source)


def _invalid(candidate: Candidate, problem: str) -> Note:
    text = f"not imported: {problem}"

    return note("invalid-project", candidate.id, text, candidate.source)
