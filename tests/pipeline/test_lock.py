"""One import at a time on a data dir, and what else its lock can meet."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anyio import fail_after

from pipeline.lock import LOCK_NAME, only_import
from stages.errors import ImportRunning, WriteFailed
from stages.floor.workers import Workers
from tests.support import STAGE_SECONDS

fcntl = pytest.importorskip("fcntl")


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with Workers(1, "test-lock") as made:
        yield made


async def hold(data_dir: Path, workers: Workers) -> None:
    with fail_after(STAGE_SECONDS):
        async with only_import(data_dir, workers):
            pass


async def test_second_import_is_refused_until_the_first_has_ended(
    tmp_path: Path, workers: Workers
) -> None:
    async with only_import(tmp_path, workers):
        with pytest.raises(ImportRunning):
            await hold(tmp_path, workers)

    await hold(tmp_path, workers)
    assert stat.S_IMODE((tmp_path / LOCK_NAME).stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
async def test_fifo_in_the_place_of_the_lock_hangs_nobody(
    tmp_path: Path, workers: Workers
) -> None:
    os.mkfifo(tmp_path / LOCK_NAME)

    with pytest.raises(WriteFailed, match="not a regular file"):
        await hold(tmp_path, workers)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_file_system_without_locks_is_named_with_a_way_out(
    tmp_path: Path, workers: Workers, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)

    with pytest.raises(
        WriteFailed, match=r"no locks .* on a local disk with --data-dir"
    ):
        await hold(tmp_path, workers)
