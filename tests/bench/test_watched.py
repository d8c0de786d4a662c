"""The simulated slow file system: it sees what a store is opened for, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.generate_store import StoreShape
from bench.measure import Store, import_command, run
from bench.watched import watched_command

pytestmark = pytest.mark.skipif(
    not hasattr(os, "wait4"), reason="measures by what the system tells of a child"
)


def count_opened(store: Store, place: Path, *flags: str) -> int:
    command = import_command(store, place / "data", "--dry-run", *flags)
    count_file = place / "opened"
    run(watched_command(store, count_file, 0, command))

    return int(count_file.read_text())


def test_every_record_is_counted_and_of_one_project_only_its_own(
    tmp_path: Path,
) -> None:
    shape = StoreShape(
        projects=5, records=30, transcripts=0, v1_share=0, damaged_share=0
    )
    store = Store.make(tmp_path / "store", shape)
    chosen = next((store.root / "projects").iterdir()).name
    every = count_opened(store, tmp_path)
    one = count_opened(store, tmp_path, "--project", chosen)

    assert every >= 150
    assert 30 <= one < 60
