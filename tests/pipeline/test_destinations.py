"""Destinations are no sources, and what was named is there (rule G2)."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from pipeline import ImportOptions, PlaceRefused, run_import, verify
from pipeline.destinations import refuse_destinations, refuse_report, require_sources
from pipeline.report import Report
from tests.support import Store, snapshot


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.project()
    store.record()
    store.buckets.mkdir(parents=True, exist_ok=True)
    store.data_dir.mkdir(parents=True)

    return store


def refusal_of_report(store: Store, file: Path) -> str | None:
    try:
        refuse_report(file, store.settings())
    except PlaceRefused as error:
        return error.problem

    return None


@pytest.mark.parametrize("place", ["", "data", "projects/app/sessions", "no/such/../x"])
def test_a_data_dir_in_the_legacy_store_is_refused(store: Store, place: str) -> None:
    with pytest.raises(PlaceRefused, match="lies in the legacy store"):
        refuse_destinations(store.settings(data_dir=store.root / place))


def test_transcripts_in_the_legacy_store_are_refused(store: Store) -> None:
    with pytest.raises(PlaceRefused, match="choose another --claude-dir"):
        refuse_destinations(store.settings(buckets=store.root / "claude"))


def test_a_name_that_leads_into_the_legacy_store_is_refused(store: Store) -> None:
    link = store.home / "link"
    link.symlink_to(store.root / "projects")

    with pytest.raises(PlaceRefused):
        refuse_destinations(store.settings(data_dir=link / "data"))


def test_places_beside_the_legacy_store_are_fit(store: Store) -> None:
    refuse_destinations(store.settings())
    refuse_destinations(store.settings(data_dir=Path(f"{store.root}-new")))


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_import_writes_nothing_into_the_legacy_store(
    store: Store, dry_run: bool
) -> None:
    before = snapshot(store.home)
    data_dir = str(store.root / "data")
    options = ImportOptions(root=str(store.root), data_dir=data_dir, dry_run=dry_run)
    with pytest.raises(PlaceRefused):
        await run_import(options)

    assert snapshot(store.home) == before


@pytest.mark.parametrize("call", [run_import, verify])
async def test_a_root_that_was_named_must_be_a_directory(
    store: Store, call: Callable[[ImportOptions], Awaitable[object]]
) -> None:
    with pytest.raises(PlaceRefused, match=r"config\.yaml is no directory"):
        await call(ImportOptions(root=store.config, data_dir=store.data_dir))


async def test_a_root_that_is_missing_has_nothing_to_import(store: Store) -> None:
    options = ImportOptions(root=store.home / "typo", data_dir=store.data_dir)
    report = await run_import(options)

    assert [problem.kind for problem in report.problems] == ["nothing-to-import"]


def test_a_place_that_nobody_named_need_not_be_there(store: Store) -> None:
    store.buckets.rmdir()

    require_sources(store.settings())
    with pytest.raises(PlaceRefused):
        require_sources(store.settings(buckets_are_named=True))


def test_the_home_of_claude_code_is_refused_with_the_right_place(store: Store) -> None:
    home = store.home / "claude"
    (home / "projects").mkdir(parents=True)

    with pytest.raises(PlaceRefused) as caught:
        require_sources(store.settings(buckets=home, buckets_are_named=True))
    assert caught.value.to_do == f"name {home / 'projects'}"


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        pytest.param(
            "{root}/report.json",
            "lies in the legacy store, which is only ever read",
            id="in-the-store",
        ),
        pytest.param(
            "{buckets}/report.json", "lies among the transcripts", id="bucket"
        ),
        pytest.param("{data_dir}/ao.db", "is a file of the new store", id="database"),
        pytest.param("{data_dir}/ao.db-wal", "is a file of the new store", id="log"),
        pytest.param("{data_dir}/AO.DB", "is a file of the new store", id="other-case"),
        pytest.param(
            "{data_dir}/.import.lock", "is a file of the new store", id="lock"
        ),
        pytest.param(
            "{data_dir}/.import-notes.json", "is a file of the new store", id="notes"
        ),
        pytest.param("{home}", "is there and is no regular file", id="directory"),
        pytest.param(os.devnull, "is there and is no regular file", id="device"),
        pytest.param("{home}/report.json", None, id="new"),
        pytest.param("{data_dir}/report.json", None, id="new-in-the-data-dir"),
    ],
)
def test_a_report_has_its_own_place(
    store: Store, place: str, problem: str | None
) -> None:
    file = Path(
        place.format(
            root=store.root,
            buckets=store.buckets,
            data_dir=store.data_dir,
            home=store.home,
        )
    )

    assert refusal_of_report(store, file) == problem


def test_a_report_is_not_written_over_a_configuration_elsewhere(store: Store) -> None:
    config = store.home / "config.yaml"
    store.config.rename(config)
    settings = store.settings(
        places=msgspec.structs.replace(store.places(), config=config)
    )

    with pytest.raises(PlaceRefused, match="is the legacy configuration"):
        refuse_report(config, settings)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(msgspec.json.encode(Report()), None, id="earlier-report"),
        pytest.param(b"notes of mine", "is there and is no earlier report", id="text"),
        pytest.param(b"{}", "is there and is no earlier report", id="other-json"),
        pytest.param(b"", "is there and is no earlier report", id="empty"),
        pytest.param(b"[" * 9999, "is there and is no earlier report", id="deep"),
    ],
)
def test_a_report_replaces_an_earlier_one_alone(
    store: Store, content: bytes, problem: str | None
) -> None:
    file = store.home / "report.json"
    file.write_bytes(content)

    assert refusal_of_report(store, file) == problem


def test_a_report_is_not_written_through_a_link(store: Store) -> None:
    file = store.home / "report.json"
    file.symlink_to(store.home / "other.json")

    assert refusal_of_report(store, file) == "is there and is no regular file"
