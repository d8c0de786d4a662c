"""Databases of the new store, made by plain sqlite3, and programs that write to them."""

from __future__ import annotations

__all__ = ("TIME", "hammering", "kill_while_writing", "make", "project", "session")

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.database.connecting import DATABASE_NAME

# Enough rows that the cache spills into the file before the commit, and a journal that
# says how to undo it.
_WRITE_AND_WAIT = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 5")
database.execute("BEGIN IMMEDIATE")
for number in range(3000):
    database.execute(
        "INSERT INTO projects (id, path, registered_at) VALUES (?, ?, '')",
        (f"half-{number}", f"/half/{number}"),
    )
database.execute("UPDATE projects SET registered_at = 'x'")
print("written", flush=True)
sys.stdin.read()
"""
# As fast as it can: a transaction that changes many pages, perhaps by a connection of
# its own, as a program does that starts, writes and ends.
_HAMMER = """
import sqlite3, sys
file, mode, reopens = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
def connect():
    database = sqlite3.connect(file, isolation_level=None, timeout=60)
    database.execute(f"PRAGMA journal_mode = {mode}")
    database.execute("PRAGMA synchronous = OFF")
    return database
database = connect()
print("writing", flush=True)
for number in range(1_000_000_000):
    database.execute("BEGIN IMMEDIATE")
    database.execute("DELETE FROM projects WHERE id LIKE 'n-%'")
    database.executemany(
        "INSERT INTO projects (id, path, registered_at) VALUES (?, ?, ?)",
        [(f"n-{each}", f"/n/{each}/{number}", "x" * (number % 700)) for each in range(200)],
    )
    database.execute("COMMIT")
    if reopens:
        database.close()
        database = connect()
"""
TIME = "2026-01-01 00:00:00 +0000 UTC"


def make(data_dir: Path, *statements: str, journal_mode: str = "delete") -> Path:
    """Make a database, or change one, and close it."""
    data_dir.mkdir(exist_ok=True)
    file = data_dir / DATABASE_NAME
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal_mode}")
    for statement in ("BEGIN", *statements, "COMMIT"):
        connection.execute(statement)
    connection.close()

    return file


def project(project_id: str, path: str | None = None) -> str:
    """Return the statement that inserts a project."""
    return (
        "INSERT INTO projects (id, path, registered_at)"
        f" VALUES ('{project_id}', '{path or f'/repos/{project_id}'}', '{TIME}')"
    )


def session(session_id: str, project_id: str, number: int) -> str:
    """Return the statement that inserts a session of codex with the thread x."""
    return (
        "INSERT INTO sessions (id, project_id, num, harness, agent_session_id,"
        " activity_last_at, created_at, updated_at)"
        f" VALUES ('{session_id}', '{project_id}', {number}, 'codex', 'x', '{TIME}', '', '')"
    )


def kill_while_writing(file: Path) -> None:
    """Kill a program that has begun to write rows to a database in rollback mode."""
    with _running(_WRITE_AND_WAIT, str(file)):
        pass
    assert file.with_name(f"{file.name}-journal").stat().st_size


@contextmanager
def hammering(file: Path, journal_mode: str, *, reopens: bool) -> Iterator[None]:
    """Write to a database without a pause, in a process of its own."""
    with _running(_HAMMER, str(file), journal_mode, str(reopens)):
        yield


@contextmanager
def _running(program: str, *arguments: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "it did not start"
            yield
        finally:
            process.kill()
