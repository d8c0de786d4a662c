"""Reads session directories: every record, once, in batches that the disk can look ahead.

This is the hot path. One call does a whole directory, inside a thread: find, open 64,
tell the system, read, look at the role, decode what may be an orchestrator.
"""

from __future__ import annotations

__all__ = ("Finding", "SessionReader")

import errno
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from stages.decode.choice import Choice, Names
from stages.decode.record import (
    decode_orchestrator,
    decode_record,
    has_role,
    is_v1_worker,
    probe_role,
)
from stages.errors import StoreUnreadable
from stages.floor.files import (
    CAN_OPEN_AT,
    DIRECTORY_FLAGS,
    READ_BYTES,
    DiskWatch,
    NotRegular,
    TooLarge,
    open_regular,
    read_all,
    read_many,
    read_rest,
    reason,
)
from stages.floor.text import NAMES_SHOWN
from stages.floor.times import from_file_time
from stages.messages import Entry, Severity

RECORD_LIMIT = 16 * 1024 * 1024  # bytes
# Measured: 64 cost 2 to 7 % warm and save three quarters cold; 256 save no more.
FILES_AT_ONCE = 64

_Files = Iterator[tuple[str, int, bytes]]  # name, descriptor, what a first read gave
_PASSED_OVER = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV})


class Finding:
    """What went wrong with files of one directory: a few names, and how many."""

    def __init__(self, kind: str, severity: Severity, problem: str) -> None:
        self.kind, self.severity, self.problem = kind, severity, problem
        self.files: list[str] = []
        self.count = 0

    def add(self, file: str) -> None:
        self.count += 1
        self.files.append(file)
        if len(self.files) > 4 * NAMES_SHOWN:
            self.files = sorted(self.files)[: 2 * NAMES_SHOWN]


class SessionReader:
    """Reads the session directories of one project, and keeps the best orchestrator."""

    def __init__(self, entry: Entry, check: Callable[[], None]) -> None:
        self._entry = entry
        self._check = check
        self._names = Names(entry)
        self.choice = Choice(self._names, includes_ended=entry.includes_ended)
        self.sessions_read = 0
        self.names_seen = 0
        # Files that hold a record, or that may as they could not be read (rule S2).
        self.files_that_count = 0
        self.findings: dict[tuple[str, str], Finding] = {}

    def read_current(self, directory: str) -> None:
        """Read a directory of the current layout: JSON records (rule S3).

        :raises OSError: it cannot be listed.
        """
        self._read(directory, is_v1=False)

    def read_v1(self, directory: str) -> None:
        """Read a directory of the old layout: key=value records, or JSON (rule S3).

        :raises OSError: it cannot be listed.
        """
        self._read(directory, is_v1=True)

    def read_standalone(self, file: str) -> None:
        """Read the orchestrator's file of the time before sessions had any (rule S4)."""
        try:
            if not os.path.isfile(file):
                return
            fd, info = open_regular(file)
        except NotRegular:
            return
        except OSError as error:
            self._fail(file, error)
            return

        try:
            data = read_all(fd, info.st_size, RECORD_LIMIT)
        except OSError as error:
            self._fail(file, error)
            return
        finally:
            os.close(fd)

        if data:
            self._take(data, file, "orchestrator", info, is_ours=True, is_v1=False)

    def _read(self, directory: str, *, is_v1: bool) -> None:
        names_of, look = (_v1_names, self._look_v1) if is_v1 else (_names, self._look)
        disk = DiskWatch()
        # A descriptor of the directory saves each `open` the walk along the path.
        at = os.open(directory, DIRECTORY_FLAGS) if CAN_OPEN_AT else None
        try:
            with os.scandir(directory if at is None else at) as entries:
                while some := list(islice(entries, FILES_AT_ONCE)):
                    self._check()
                    self.names_seen += len(some)
                    files = read_many(
                        directory,
                        at,
                        names_of(some),
                        partial(self._not_read, directory),
                        # As these names or the files before them came from the disk,
                        # so will these files.
                        announce=disk.was_read() is not False,
                    )
                    try:
                        look(directory, files)
                    except OSError as error:
                        problem = f"{reason(error)}; allow more open files (ulimit -n)"
                        raise StoreUnreadable(Path(directory), problem) from error
        finally:
            if at is not None:
                os.close(at)

    def _look(self, directory: str, files: _Files) -> None:
        for name, fd, data in files:
            # Nearly every file is a worker's and whole; the others get a second look.
            if (
                "-orchestrator" in name
                or len(data) >= READ_BYTES
                or probe_role(data) is not False
            ):
                self._look_again(directory, name, fd, data)
            else:
                self.sessions_read += 1
                self.files_that_count += 1

    def _look_again(self, directory: str, name: str, fd: int, data: bytes) -> None:
        whole = self._whole(directory, name, fd, data)
        if whole is None:
            return

        data, info = whole
        by_name = self._names.is_orchestrator(name[:-5])
        if not by_name and probe_role(data) is False:
            self.sessions_read += 1
            self.files_that_count += 1
            return

        file = os.path.join(directory, name)
        self._take(data, file, name[:-5], info, is_ours=by_name, is_v1=False)

    def _look_v1(self, directory: str, files: _Files) -> None:
        for name, fd, data in files:
            whole = self._whole(directory, name, fd, data)
            if whole is None:
                continue

            data, info = whole
            stem = name.removesuffix(".json")
            by_name = self._names.is_orchestrator(stem)
            if not by_name and is_v1_worker(data):
                self.sessions_read += 1
                self.files_that_count += 1
                continue

            file = os.path.join(directory, name)
            self._take(data, file, stem, info, is_ours=by_name, is_v1=True)

    def _take(
        self,
        data: bytes,
        file: str,
        stem: str,
        info: os.stat_result,
        *,
        is_ours: bool,
        is_v1: bool,
    ) -> None:
        """Count a record, and consider it if it is an orchestrator's.

        `is_ours`: its name alone makes it one; else its role can.
        """
        record, is_key_value = decode_record(data)
        if record is None:
            self._damaged(file, is_canonical=is_ours)
            return

        self.sessions_read += 1
        self.files_that_count += 1
        if is_ours or has_role(record):
            is_v1 = is_v1 or is_key_value
            self._consider(record, file, stem, info.st_mtime_ns, is_v1=is_v1)

    def _whole(
        self, directory: str, name: str, fd: int, data: bytes
    ) -> tuple[bytes, os.stat_result] | None:
        """Return all of a file; None if it is empty, no regular file or unreadable."""
        try:
            data, info = read_rest(fd, data, RECORD_LIMIT)
        except NotRegular:
            return None
        except OSError as error:
            self._not_read(directory, name, error)
            return None

        return (data, info) if data else None

    def _not_read(self, directory: str, name: str, error: OSError) -> None:
        if error.errno not in _PASSED_OVER:
            self._fail(os.path.join(directory, name), error)

    def _consider(
        self,
        record: dict[str, object],
        file: str,
        stem: str,
        modified_nanoseconds: int,
        *,
        is_v1: bool,
    ) -> None:
        project = record.get("project")
        is_foreign = isinstance(project, str) and project != self._entry.id
        if is_foreign and project in self._entry.registered_ids:
            return  # it stands in a directory that several share (rule S2)

        self.choice.consider(
            decode_orchestrator(
                record,
                stem=stem,
                file=file,
                modified_at=from_file_time(modified_nanoseconds),
                is_v1=is_v1,
                inherited_agent=self._entry.behaviour.orchestrator.agent or "",
                v1_directories=self._entry.v1_directories,
                stopped_stems=self._entry.stopped_stems,
            )
        )

    def _damaged(self, file: str, *, is_canonical: bool) -> None:
        severity: Severity = "failed" if is_canonical else "lossy"
        self._find("record-damaged", severity, "is no session record", file)

    def _fail(self, file: str, error: OSError) -> None:
        self.files_that_count += 1
        if isinstance(error, TooLarge):
            self._find(
                "record-oversized", "failed", f"was not read: {error.strerror}", file
            )
        else:
            problem = f"could not be read: {reason(error)}"
            self._find("record-unreadable", "failed", problem, file)

    def _find(self, kind: str, severity: Severity, problem: str, file: str) -> None:
        key = (kind + severity, problem)
        if key not in self.findings:
            self.findings[key] = Finding(kind, severity, problem)
        self.findings[key].add(file)


# The legacy application reads no other names; those are what killed writes left behind.
_is_current_name = re.compile(r"[A-Za-z0-9_-]+\.json").fullmatch
_is_v1_name = re.compile(r"[A-Za-z0-9_-]+(?:\.json)?").fullmatch


def _names(entries: list[os.DirEntry[str]]) -> list[str]:
    return [
        each.name for each in entries if _is_current_name(each.name) and _is_file(each)
    ]


def _v1_names(entries: list[os.DirEntry[str]]) -> list[str]:
    return [each.name for each in entries if _is_v1_name(each.name) and _is_file(each)]


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a regular file or a link to one; opening it looks again."""
    try:
        return entry.is_file()
    except OSError as error:  # a link that leads in circles, or where we may not look
        return error.errno not in _PASSED_OVER
