from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pipeline.importing import run_import_with
from pipeline.progress import Meter, Progress
from stages.discover import read_registry
from stages.discover.configuration import find_config_state
from stages.discover.registry import note_changed_config
from stages.errors import StoreUnreadable
from stages.floor.workers import Workers
from tests.support import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def projects(count: int) -> str:
    return "projects:\n" + "".join(f"  p{n}: {{path: /p{n}}}\n" for n in range(count))


class _Meddling(Workers):
    """Threads beside which others change the configuration, once it has been read."""

    def __init__(self, change: Callable[[], object], times: int) -> None:
        super().__init__(1, "test-meddling")
        self.change, self.left = change, times

    def submit(self, function, *args, **kwargs):  # type: ignore[no-untyped-def]  # as Workers.submit
        def change_and_run() -> object:
            self.change()
            return function(*args, **kwargs)

        if function is find_config_state and self.left:
            self.left -= 1
            return super().submit(change_and_run)

        return super().submit(function, *args, **kwargs)


@pytest.mark.parametrize("times", [0, 1, 2])
async def test_configuration_that_is_changed_while_it_is_read_is_read_again(
    store: Store, times: int
) -> None:
    store.write(store.config, projects(98))
    grown = iter(range(99, 200))

    def grow() -> None:
        store.config.write_text(projects(next(grown)), encoding="utf-8")

    async with _Meddling(grow, times) as workers:
        registry = await read_registry(store.places(), workers)

    assert registry.count == 98 + times


async def test_configuration_that_is_changed_all_the_time_is_an_error(
    store: Store,
) -> None:
    store.write(store.config, projects(500))
    is_done = threading.Event()

    def append() -> None:
        with store.config.open("a", encoding="utf-8") as file:
            while not is_done.is_set():
                print("# and more", file=file, flush=True)

    writer = threading.Thread(target=append)
    writer.start()
    try:
        async with Workers(1, "test-changes") as workers:
            with pytest.raises(StoreUnreadable, match="changed each time") as caught:
                await read_registry(store.places(), workers)
    finally:
        is_done.set()
        writer.join()

    assert caught.value.file == store.config


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        pytest.param(lambda config: None, [], id="nothing"),
        pytest.param(
            lambda config: config.write_text("# x"), ["config-changed"], id="written"
        ),
        pytest.param(lambda config: config.unlink(), ["config-changed"], id="removed"),
        pytest.param(
            lambda config: config.replace(config.with_name("x")).rename(config),
            [],
            id="moved-and-back",
        ),
    ],
)
async def test_configuration_that_is_changed_later_is_noted(
    store: Store, change: Callable[[Path], object], kinds: list[str]
) -> None:
    store.write(store.config, projects(1))
    async with Workers(1, "test-changes") as workers:
        registry = await read_registry(store.places(), workers)
        await workers.submit(change, store.config)
        found = await workers.submit(note_changed_config, registry, store.places())

    assert [(each.kind, each.severity) for each in found] == [
        (kind, "failed") for kind in kinds
    ]


@pytest.mark.parametrize("is_dry_run", [False, True])
async def test_import_says_that_the_configuration_was_changed_meanwhile(
    store: Store, is_dry_run: bool
) -> None:
    store.write(store.config, projects(1))

    def change(_: Progress) -> None:
        asyncio.get_running_loop().call_soon(
            partial(store.config.write_text, projects(2), encoding="utf-8")
        )

    report = await run_import_with(
        store.settings(is_dry_run=is_dry_run), on_progress=change, meter=Meter()
    )

    assert [problem.kind for problem in report.problems] == ["config-changed"]
    assert report.projects_imported == 1
