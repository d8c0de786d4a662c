"""The project's own file in its checkout: flat or wrapped, or why it does not load (B1, C3)."""

from __future__ import annotations

__all__ = ("OWN_FILE_NAMES", "OwnFile", "read_own_file")

import errno
import os
from collections.abc import Callable

from stages.discover.behaviour import IDENTITY_FIELDS, Defaults, read_defaults
from stages.discover.yaml_text import Bounds, Node, YamlError, parse_yaml
from stages.floor.files import NotRegular, read_regular, reason

OWN_FILE_NAMES = ("agent-orchestrator.yaml", "agent-orchestrator.yml")
OWN_FILE_LIMIT = 16 * 1024 * 1024  # bytes
# Far fewer than a registry's, as several are read at once.
OWN_FILE_BOUNDS = Bounds(nodes=20_000, repeated=4 * 1024 * 1024)
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


class OwnFile:
    """What a project's own file says; `problem` is set where it does not load."""

    def __init__(
        self,
        path: str,
        *,
        fields: dict[str, Node] | None = None,
        defaults: Defaults | None = None,
        problem: str = "",
        entry_key: str = "",
    ) -> None:
        self.path = path
        self.fields = fields or {}
        self.defaults = defaults  # None: those of the registry count
        self.problem = problem
        self.entry_key = entry_key  # of a wrapped file: what the entry is called there


def read_own_file(
    directory: str,
    project_id: str,
    read_already: frozenset[str],
    check: Callable[[], None],
) -> OwnFile | None:
    """Return the project's own file, or None if it has none. Blocks; `check` may end it.

    `read_already` are files that were read as the registry (rule C7), resolved.
    """
    for name in OWN_FILE_NAMES:
        path = os.path.join(directory, name)
        try:
            os.lstat(path)
        except OSError as error:
            if error.errno in _ABSENT:
                continue
            # Whether there is one cannot be known: it may not be looked at, or not be read.
            return OwnFile(path, problem=reason(error))
        if read_already and os.path.realpath(path) in read_already:
            return None

        try:
            if not _is_inside(path, directory):
                return OwnFile(
                    path, problem="it is a link that leads out of the project"
                )
            content = read_regular(path, OWN_FILE_LIMIT)
            root = parse_yaml(content, check, OWN_FILE_BOUNDS).root
        except NotRegular:
            return OwnFile(path, problem="it is no regular file")
        except OSError as error:
            return OwnFile(path, problem=reason(error))
        except YamlError as error:
            return OwnFile(path, problem=str(error))
        return _unwrapped(path, root, project_id)

    return None


def _is_inside(path: str, directory: str) -> bool:
    # Nearly all of them are no link at all, and two calls of realpath cost more.
    if not os.path.islink(path):
        return True

    home = os.path.realpath(directory)
    return os.path.realpath(path).startswith(os.path.join(home, ""))


def _unwrapped(path: str, root: Node, project_id: str) -> OwnFile:
    if root is None:
        return OwnFile(path, problem="it is empty")
    if not isinstance(root, dict):
        return OwnFile(path, problem="it is no mapping")
    if "projects" not in root:
        return OwnFile(path, fields=_without_identity(root))

    projects = root["projects"]
    key, entry = project_id, None
    if isinstance(projects, dict):
        if project_id not in projects and len(projects) == 1:
            [key] = projects
        entry = projects.get(key)
    if not isinstance(entry, dict):
        return OwnFile(path, problem="it has no entry for this project")

    node = root.get("defaults")
    defaults = None if node is None else read_defaults(node)
    return OwnFile(
        path, fields=_without_identity(entry), defaults=defaults, entry_key=key
    )


def _without_identity(fields: dict[str, Node]) -> dict[str, Node]:
    # Identity is the registry's; here it is passed over, whatever it holds (C3).
    return {name: node for name, node in fields.items() if name not in IDENTITY_FIELDS}
