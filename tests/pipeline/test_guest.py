"""A good guest: cancelled at any moment it leaves nothing, and it holds up nobody."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import threading
import time
import warnings
from asyncio import Task
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from anyio import create_task_group

from bench.generate_store import StoreShape, generate
from pipeline import (
    ImportOptions,
    Report,
    UnsupportedBackend,
    first_boot,
    probe,
    run_import,
    verify,
)
from stages.errors import ConfigBroken, DatabaseUnusable, WriteFailed

T = TypeVar("T")

MOMENTS = 40
FIRST_MOMENTS = 12
PROJECTS = 8
TRANSCRIPTS = 4
ENDING_SECONDS = 10  # a thread may be in its last lines still


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a few projects of each kind."""
    made = tmp_path_factory.mktemp("made")
    generate(
        made, StoreShape(projects=PROJECTS, records=8, transcripts=TRANSCRIPTS, git=0.2)
    )

    return made


@pytest.fixture(autouse=True)
def _no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AO_RUN_FILE", str(tmp_path / "running.json"))


def options(made: Path, data_dir: Path) -> ImportOptions:
    return ImportOptions(
        root=made / "root", data_dir=data_dir, claude_dir=made / "claude"
    )


class Leftovers:
    """What there was before, to be compared with what there is."""

    def __init__(self, made: Path) -> None:
        self._made = made
        self._tasks = asyncio.all_tasks()
        self._threads = set(threading.enumerate())
        self._descriptors = count_descriptors()

    def check(self, data_dir: Path) -> None:
        """Fail if a run has left anything but its data."""
        for thread in set(threading.enumerate()) - self._threads:
            thread.join(ENDING_SECONDS)
            assert not thread.is_alive()

        assert asyncio.all_tasks() == self._tasks
        assert count_descriptors() == self._descriptors
        if data_dir.exists():
            assert set(os.listdir(data_dir)) <= {
                "ao.db",
                ".import.lock",
                ".import-notes.json",
            }
        buckets = self._made / "claude"
        assert [name for name in buckets.rglob(".*") if "ao-import" in name.name] == []


def count_descriptors() -> int:
    """Return how many are open, where that is a number that can be had."""
    count: Callable[[], int] = getattr(psutil.Process(), "num_fds", lambda: 0)

    return count()


async def clock(work: Coroutine[Any, Any, Report]) -> float:
    """Run the work, and return how many seconds it took."""
    started = time.perf_counter()
    await work

    return time.perf_counter() - started


async def start(work: Coroutine[Any, Any, T], turns: int, seconds: float) -> Task[T]:
    """Start the work, and let it run for some turns of the loop and then some time."""
    task = asyncio.create_task(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.wait([task], timeout=seconds)

    return task


async def test_cancelled_at_any_moment_it_leaves_nothing_and_the_next_run_completes(
    made: Path, tmp_path: Path
) -> None:
    await probe(options(made, tmp_path / "none"))  # all modules are loaded after this
    seconds = await clock(run_import(options(made, tmp_path / "whole")))
    leftovers = Leftovers(made)
    expected = rows(tmp_path / "whole")
    cancelled = 0
    for moment in range(MOMENTS):
        data_dir = tmp_path / f"data-{moment}"
        # The first moments turn by turn, where all is opened, then evenly over the run.
        late = max(moment - FIRST_MOMENTS, 0)
        task = await start(
            run_import(options(made, data_dir)),
            min(moment, FIRST_MOMENTS),
            seconds * late / (MOMENTS - FIRST_MOMENTS),
        )
        task.cancel()
        await asyncio.wait([task])
        cancelled += task.cancelled()

        leftovers.check(data_dir)
        assert rows(data_dir) <= expected
        report = await run_import(options(made, data_dir))
        assert report.projects_imported + report.projects_skipped == PROJECTS
        assert report.transcripts_relocated + report.transcripts_present == TRANSCRIPTS
        assert rows(data_dir) == expected
        leftovers.check(data_dir)

    # Where the last moments fall, the run may have ended.
    assert cancelled >= FIRST_MOMENTS


def rows(data_dir: Path) -> set[tuple[str, str | None]]:
    """Return the projects with their sessions, after a look that all is sound."""
    file = data_dir / "ao.db"
    if not file.exists() or not file.stat().st_size:
        return set()

    connection = sqlite3.connect(file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return set(
            connection.execute(
                "SELECT p.id, s.id FROM projects p LEFT JOIN sessions s"
                " ON s.project_id = p.id"
            )
        )
    except sqlite3.OperationalError:  # no table: stopped before they were made
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (
            0,
        )
        return set()
    finally:
        connection.close()


async def test_cancelling_again_and_again_does_not_cut_short_what_must_end(
    made: Path, tmp_path: Path
) -> None:
    await probe(options(made, tmp_path / "none"))
    seconds = await clock(run_import(options(made, tmp_path / "whole")))
    leftovers = Leftovers(made)
    for moment in range(8):
        data_dir = tmp_path / f"data-{moment}"
        work = run_import(options(made, data_dir))
        task = await start(work, moment, seconds * moment / 8)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)

        leftovers.check(data_dir)


async def test_a_run_that_waits_for_another_writer_can_be_cancelled(
    made: Path, tmp_path: Path
) -> None:
    await run_import(options(made, tmp_path))
    leftovers = Leftovers(made)
    writer = sqlite3.connect(tmp_path / "ao.db", isolation_level=None)
    writer.execute("DELETE FROM sessions")
    writer.execute("BEGIN IMMEDIATE")
    has_begun = asyncio.Event()
    work = run_import(
        options(made, tmp_path), on_progress=lambda progress: has_begun.set()
    )
    task = asyncio.create_task(work)
    await has_begun.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    writer.close()
    leftovers.check(tmp_path)


async def test_a_timeout_of_the_host_is_its_own(made: Path, tmp_path: Path) -> None:
    leftovers = Leftovers(made)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await run_import(options(made, tmp_path))

    leftovers.check(tmp_path)


async def test_other_tasks_go_on_during_an_import(
    made: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.perf_counter())
            await asyncio.sleep(0.001)

    async with create_task_group() as tasks:
        tasks.start_soon(beat)
        await run_import(options(made, tmp_path))
        tasks.cancel_scope.cancel()

    longest = max(after - before for before, after in pairwise(beats))
    record_property("longest_stall_milliseconds", round(longest * 1000, 1))
    # A run that held the loop would leave it the time between its own steps alone.
    assert len(beats) > 10


def test_event_loops_one_after_the_other_work(made: Path, tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    for name in ("first", "second"):
        report = asyncio.run(run_import(options(made, tmp_path / name)), debug=True)
        assert report.projects_imported == PROJECTS
        assert asyncio.run(verify(options(made, tmp_path / name))).faults == ()

    for thread in set(threading.enumerate()) - threads:
        thread.join(ENDING_SECONDS)
        assert not thread.is_alive()


async def test_two_imports_into_two_places_run_side_by_side(
    made: Path, tmp_path: Path
) -> None:
    places = [tmp_path / "one", tmp_path / "other"]
    reports = await asyncio.gather(
        *(run_import(options(made, place)) for place in places)
    )

    assert [report.projects_imported for report in reports] == [PROJECTS, PROJECTS]
    assert rows(places[0]) == rows(places[1])


async def test_no_warning_waits_for_the_garbage_collector(
    made: Path, tmp_path: Path
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await run_import(options(made, tmp_path))
        task = asyncio.create_task(run_import(options(made, tmp_path)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        gc.collect()

    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        pytest.param(
            "root/config.yaml", "projects: [", ConfigBroken, id="configuration"
        ),
        pytest.param("data/ao.db", "no database", DatabaseUnusable, id="database"),
        pytest.param("data", "no directory", WriteFailed, id="data-dir"),
    ],
)
async def test_an_error_is_the_one_cause_and_not_a_group(
    tmp_path: Path, file: str, content: str, expected: type[Exception]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "config.yaml").write_text("projects: {app: {path: /app}}")
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(content)
    leftovers = Leftovers(tmp_path)

    with pytest.raises(expected) as raised:
        await run_import(ImportOptions(root=root, data_dir=tmp_path / "data"))

    assert raised.value.__cause__ is not None
    assert raised.value.__context__ is raised.value.__cause__
    leftovers.check(tmp_path / "nowhere")


async def test_an_error_in_the_midst_of_the_stages_comes_out_alone(
    made: Path, tmp_path: Path
) -> None:
    await run_import(options(made, tmp_path))
    connection = sqlite3.connect(tmp_path / "ao.db")
    connection.execute("DELETE FROM change_log")
    connection.execute("DELETE FROM sessions")
    connection.execute("DELETE FROM projects")
    connection.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON projects WHEN new.id LIKE 'a%'"
        " BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
    )
    connection.commit()
    connection.close()
    leftovers = Leftovers(made)

    with pytest.raises(WriteFailed, match="a rule that refuses a row") as raised:
        await run_import(options(made, tmp_path))

    assert isinstance(raised.value.__cause__, sqlite3.IntegrityError)
    leftovers.check(tmp_path)


async def test_an_error_of_the_hosts_own_comes_out_as_it_is(
    made: Path, tmp_path: Path
) -> None:
    def on_progress(progress: object) -> None:
        raise ZeroDivisionError

    leftovers = Leftovers(made)

    with pytest.raises(ZeroDivisionError):
        await run_import(options(made, tmp_path), on_progress=on_progress)

    leftovers.check(tmp_path)


@pytest.mark.parametrize("entry", ["run_import", "probe", "verify", "first_boot"])
def test_another_event_loop_gets_a_clear_error(tmp_path: Path, entry: str) -> None:
    async def ask(found: object) -> bool:
        return True

    told = ImportOptions(root=tmp_path, data_dir=tmp_path / "data")
    entries: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "run_import": lambda: run_import(told),
        "probe": lambda: probe(told),
        "verify": lambda: verify(told),
        "first_boot": lambda: first_boot(told, ask=ask),
    }
    work = entries[entry]()

    # Whatever drives it, it is not asyncio.
    with pytest.raises(UnsupportedBackend, match="runs under asyncio only"):
        work.send(None)

    assert list(tmp_path.iterdir()) == []
