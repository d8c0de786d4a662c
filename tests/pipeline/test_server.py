"""In a real server: the README's own lifespan imports while requests are answered."""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from bench.generate_store import StoreShape, generate
from tests.pipeline.command import REPOSITORY, TIMEOUT_SECONDS, ao_import
from tests.support import Store

PROJECTS = 60
TRANSCRIPTS = 20
REQUESTS = 200
SECTION = "## Inside a daemon\n"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A larger store at home, where the README's options look for it."""
    store = Store(tmp_path / "home")
    store.root.rmdir()
    made = tmp_path / "made"
    generate(
        made,
        StoreShape(
            projects=PROJECTS,
            records=100,
            transcripts=TRANSCRIPTS,
            transcript_bytes=1 << 20,
        ),
    )
    (made / "root").rename(store.root)
    store.buckets.parent.mkdir()
    (made / "claude").rename(store.buckets)
    for name in ("AO_DATA_DIR", "AO_GLOBAL_CONFIG", "AO_RUN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(store.home))
    monkeypatch.setenv("USERPROFILE", str(store.home))

    return store


@contextmanager
def served(app: Any) -> Iterator[httpx.Client]:
    """Serve the application in a thread, and provide a client."""
    # asyncio sends at once (TCP_NODELAY) only where the protocol is said to be TCP; else
    # each answer would wait 40 ms for the client's acknowledgement.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    host, port = listener.getsockname()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    # Requests that come before it accepts them wait in the listener.
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        with httpx.Client(
            base_url=f"http://{host}:{port}", timeout=TIMEOUT_SECONDS, trust_env=False
        ) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_SECONDS)
        listener.close()
        assert not thread.is_alive()


def readme_app() -> Any:
    """Run what the README shows, and return its application."""
    text = (REPOSITORY / "pipeline" / "README.md").read_text(encoding="utf-8")
    section = text.partition(SECTION)[2].partition("\n## ")[0]
    found = re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(found[1], "README.md", "exec"), names)

    return names["app"]


def answer(client: httpx.Client, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200

    return response.json()


def test_requests_are_answered_while_a_store_is_imported(store: Store) -> None:
    # A database without projects, which another writer holds: so the import is under way
    # for as long as this test wants.
    assert ao_import(store.home, "import", "--yes", "-q").status in (0, 3)
    writer = sqlite3.connect(store.database, isolation_level=None)
    for table in ("change_log", "sessions", "projects"):
        writer.execute(f"DELETE FROM {table}")
    writer.execute("BEGIN IMMEDIATE")
    app = readme_app()
    with served(app) as client:
        read = 0
        for _ in range(REQUESTS // 2):
            found = answer(client, "/probe")
            assert (found["projects"], found["imported"]) == (PROJECTS, 0)
            progress = answer(client, "/progress")
            read = progress["read"]["done"] if progress else 0
            assert not hasattr(app.state, "first_boot")
        assert read == PROJECTS
        writer.execute("ROLLBACK")
        writer.close()
        while not hasattr(app.state, "first_boot"):
            progress = answer(client, "/progress")
        progress = answer(client, "/progress")
        found = answer(client, "/probe")

    done = app.state.first_boot
    assert (done.outcome, done.error) == ("imported", None)
    assert done.report.projects_imported == PROJECTS
    assert (found["imported"], found["pending"]) == (PROJECTS, 0)
    assert {stage: value["done"] for stage, value in progress.items()} == {
        "read": PROJECTS,
        "write": PROJECTS,
        "relocate": PROJECTS,
    }
    assert len(store.rows("SELECT id FROM projects")) == PROJECTS


def test_a_server_that_stops_stops_the_import_with_it(store: Store) -> None:
    threads = set(threading.enumerate())
    app = readme_app()
    with served(app) as client:
        answer(client, "/probe")

    assert set(threading.enumerate()) <= threads
    report = ao_import(store.home, "import", "--yes", "-q")
    assert report.status in (0, 3)
    assert len(store.rows("SELECT id FROM projects")) == PROJECTS


def test_a_server_with_a_broken_store_serves(store: Store) -> None:
    store.config.write_text("projects: [", encoding="utf-8")
    app = readme_app()
    with served(app) as client:
        found = answer(client, "/probe")

    assert found["error"].startswith(str(store.config))
