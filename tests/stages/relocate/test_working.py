from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.floor.directories import Directory
from stages.relocate.working import discard_leftovers, working
from tests.support import OTHER_UUID, UUID


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Directory]:
    with Directory.open(str(tmp_path)) as opened:
        yield opened


def names(bucket: Directory) -> list[str]:
    return sorted(
        place.relative_to(bucket.path).as_posix()
        for place in Path(bucket.path).rglob("*")
    )


def test_nothing_of_a_working_name_stays(bucket: Directory) -> None:
    with working(bucket, UUID) as work:
        with bucket.make(work.directory, 0o750):
            pass
        assert names(bucket) == sorted([work.file, work.directory])
        assert all(name.startswith(f".{UUID}.") for name in names(bucket))

    assert names(bucket) == []


def test_each_run_has_a_working_name_of_its_own(bucket: Directory) -> None:
    with working(bucket, UUID) as one, working(bucket, UUID) as other:
        assert one.file != other.file
        assert one.directory != other.directory


def test_what_a_run_works_on_is_not_taken_for_a_leftover(bucket: Directory) -> None:
    with working(bucket, UUID) as work:
        with bucket.make(work.directory, 0o750):
            pass
        before = names(bucket)
        discard_leftovers(bucket, UUID)
        assert names(bucket) == before


@pytest.mark.parametrize(
    "leftovers",
    [
        pytest.param((".{}.ao-import-part", ".{}.ao-import-d/x"), id="earlier-version"),
        pytest.param((".{}.ao-import-0a-part", ".{}.ao-import-0a-d/x/y"), id="both"),
        pytest.param((".{}.ao-import-0a-part",), id="a-file"),
        pytest.param((".{}.ao-import-0d-d/x",), id="a-directory"),
        pytest.param((".{}.ao-import-0a-part/x",), id="a-directory-for-a-file"),
    ],
)
def test_leftovers_of_killed_runs_go(
    bucket: Directory, leftovers: tuple[str, ...]
) -> None:
    for name in leftovers:
        place = Path(bucket.path, name.format(UUID))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"half")
    others = [f".{OTHER_UUID}.ao-import-0a-part", f"{UUID}.jsonl", f".{UUID}.other"]
    for name in others:
        Path(bucket.path, name).write_bytes(b"not ours")

    discard_leftovers(bucket, UUID)

    assert names(bucket) == sorted(others)


def test_where_there_are_no_locks_nobodys_work_is_taken_for_a_leftover(
    bucket: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def fail(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    with working(bucket, UUID) as work:
        discard_leftovers(bucket, UUID)
        assert names(bucket) == [work.file]

    assert names(bucket) == []


def test_working_file_that_was_cleared_away_before_it_was_locked_is_made_anew(
    bucket: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    flock = fcntl.flock
    cleared: list[str] = []

    def clear_first(fd: int, operation: int) -> None:
        if not cleared:
            cleared.extend(names(bucket))
            os.unlink(os.path.join(bucket.path, cleared[0]))
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", clear_first)
    with working(bucket, UUID) as work:
        assert names(bucket) == [work.file] != cleared
        assert os.fstat(work.fd).st_nlink == 1
