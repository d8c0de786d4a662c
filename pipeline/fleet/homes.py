"""The homes of a fleet: paths and patterns in, each directory once, with its file server."""

from __future__ import annotations

__all__ = ("Home", "find_homes", "server_of")

import glob
import os
from collections.abc import Iterable, Mapping

import msgspec
import psutil


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """One home directory, and what has to serve the reading and writing of it."""

    path: str  # absolute
    server: str  # a host for a network mount, else the device


def find_homes(words: Iterable[str]) -> tuple[Home, ...]:
    """Return the homes that paths and patterns name, sorted, each directory once.

    A path that leads to no directory stays: its import is what says so. Of what a pattern
    finds only directories count, as `/home/*` finds files too.

    :raises ValueError: a pattern finds no directory.
    """
    paths = {os.path.abspath(path) for word in words for path in _expand(word)}
    homes: dict[tuple[int, int] | str, str] = {}
    for path in sorted(paths):
        homes.setdefault(_identity(path), path)

    # Afterwards: a mount that waits for its first visitor is there by now.
    mounts = {mount.mountpoint: mount.device for mount in psutil.disk_partitions(True)}
    return tuple(
        Home(path=path, server=server_of(os.path.realpath(path), mounts))
        for path in homes.values()
    )


def server_of(path: str, mounts: Mapping[str, str]) -> str:
    """Return who serves a path: the host of `host:/export` or `//host/share`, or the device."""
    place = path
    while place not in mounts and place != os.path.dirname(place):
        place = os.path.dirname(place)
    device = mounts.get(place, "")
    if device.startswith("//"):
        return device[2:].partition("/")[0]

    return device.partition(":/")[0]


def _expand(word: str) -> list[str]:
    path = os.path.expanduser(word)
    if os.path.lexists(path) or not glob.has_magic(path):
        return [path]

    found = [place for place in glob.glob(path) if os.path.isdir(place)]
    if not found:
        raise ValueError(f"no directory matches {word!r}")
    return found


def _identity(path: str) -> tuple[int, int] | str:
    """Return what two names of one directory share."""
    try:
        info = os.stat(path)
    except (OSError, ValueError):  # a name that no system could have
        return path

    return (info.st_dev, info.st_ino) if info.st_ino else path
