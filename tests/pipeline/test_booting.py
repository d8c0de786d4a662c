"""`first_boot`: when it asks, what it does then, and that a bad store is a value."""

from __future__ import annotations

import os
import sqlite3
from asyncio import to_thread
from pathlib import Path

import pytest

from pipeline import FirstBoot, ImportOptions, Probe, first_boot, probe
from tests.support import Store


class Asked:
    """Answers, and keeps what it was asked about."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.probes: list[Probe] = []

    async def __call__(self, found: Probe) -> bool:
        self.probes.append(found)

        return self.answer


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("AO_RUN_FILE", str(tmp_path / ".ao" / "running.json"))
    store = Store(tmp_path)
    store.project()
    store.record()
    store.buckets.mkdir(parents=True)

    return store


def options(store: Store) -> ImportOptions:
    return ImportOptions(
        root=store.root, data_dir=store.data_dir, claude_dir=store.buckets
    )


async def test_a_yes_imports(store: Store) -> None:
    before = await probe(options(store))
    asked = Asked(True)

    done = await first_boot(options(store), ask=asked)

    assert asked.probes == [before]
    assert (done.outcome, done.probe, done.error) == ("imported", before, None)
    assert done.report is not None
    assert (done.report.projects_imported, done.report.orchestrators_imported) == (1, 1)
    assert store.rows("SELECT id FROM projects") == [("app",)]


async def test_a_no_does_nothing(store: Store) -> None:
    before = await probe(options(store))

    done = await first_boot(options(store), ask=Asked(False))

    assert done == FirstBoot(outcome="declined", probe=before, report=None, error=None)
    assert not store.data_dir.exists()


async def test_a_second_boot_asks_nothing(store: Store) -> None:
    await first_boot(options(store), ask=Asked(True))
    asked = Asked(True)

    done = await first_boot(options(store), ask=asked)

    assert (done.outcome, asked.probes) == ("not-offered", [])


async def test_archived_projects_do_not_stand_in_the_way(store: Store) -> None:
    await first_boot(options(store), ask=Asked(True))
    connection = sqlite3.connect(store.database)
    connection.execute("UPDATE projects SET archived_at = registered_at")
    connection.commit()
    connection.close()

    done = await first_boot(options(store), ask=Asked(True))

    assert done.outcome == "imported"
    assert done.report is not None
    assert done.report.projects_skipped == 1


async def test_without_a_store_nothing_is_asked(store: Store) -> None:
    store.config.unlink()
    asked = Asked(True)

    done = await first_boot(options(store), ask=asked)

    assert (done.outcome, done.error, asked.probes) == ("not-offered", None, [])
    assert not store.data_dir.exists()


async def test_beside_a_live_daemon_nothing_is_asked(store: Store) -> None:
    store.write(".ao/running.json", {"pid": os.getpid(), "port": 1})
    asked = Asked(True)

    done = await first_boot(options(store), ask=asked)

    assert (done.outcome, done.error, asked.probes) == ("not-offered", None, [])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        pytest.param(".agent-orchestrator/config.yaml", "projects: [", id="store"),
        pytest.param(".ao/running.json", "{", id="run-file"),
        pytest.param(".ao/data/ao.db", "this is no database", id="database"),
    ],
)
async def test_what_cannot_be_read_is_an_error_as_a_value(
    store: Store, file: str, content: str
) -> None:
    place = store.write(file, content)
    asked = Asked(True)

    done = await first_boot(options(store), ask=asked)

    assert (done.outcome, done.report, asked.probes) == ("failed", None, [])
    assert done.error is not None
    assert done.error.startswith(str(place))


@pytest.mark.parametrize("file", [".ao/running.json", ".ao/data/ao.db"])
async def test_without_a_store_nothing_else_can_be_wrong(
    store: Store, file: str
) -> None:
    store.config.unlink()
    store.write(file, "{")

    done = await first_boot(options(store), ask=Asked(True))

    assert done.outcome == "not-offered"


async def test_an_import_that_fails_is_an_error_as_a_value(store: Store) -> None:
    async def ask(found: Probe) -> bool:
        run_file = {"pid": os.getpid(), "port": 1}
        await to_thread(store.write, ".ao/running.json", run_file)
        return True

    done = await first_boot(options(store), ask=ask)

    assert (done.outcome, done.report) == ("failed", None)
    assert done.error is not None
    assert done.error.startswith(f"the AO daemon is running (pid {os.getpid()})")


async def test_an_error_nobody_thought_of_is_a_value_and_logged(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def on_progress(progress: object) -> None:
        raise ZeroDivisionError("in the host's own code")

    done = await first_boot(options(store), ask=Asked(True), on_progress=on_progress)

    assert done.outcome == "failed"
    assert done.error is not None
    assert done.error.endswith("ZeroDivisionError: in the host's own code")
    assert [record.name for record in caplog.records] == ["pipeline.booting"]


async def test_an_error_in_the_question_is_raised(store: Store) -> None:
    async def ask(found: Probe) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await first_boot(options(store), ask=ask)
