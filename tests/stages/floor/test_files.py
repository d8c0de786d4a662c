from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

import stages.floor.files
from stages.floor.files import (
    CAN_OPEN_AT,
    DIRECTORY_FLAGS,
    READ_BYTES,
    DiskWatch,
    NotRegular,
    Owner,
    TooLarge,
    flush,
    flush_directory,
    give,
    open_regular,
    opener,
    owner_above,
    read_many,
    read_regular,
    read_rest,
    reason,
)
from tests.conftest import IS_PLAIN

needs_fifo = pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="this system has no FIFOs"
)


needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 300_000])
def test_file_is_read_whole_whatever_its_size(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))

    assert read_regular(str(file), 300_000) == file.read_bytes()


def test_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 101)

    with pytest.raises(TooLarge, match="more than 100 bytes"):
        read_regular(str(file), 100)


def test_file_that_claims_no_size_is_refused_by_what_it_holds() -> None:
    endless = Path("/proc/self/maps")
    if not endless.exists() or endless.stat().st_size:
        pytest.skip("no file here claims to be smaller than it is")

    assert read_regular(str(endless), 1 << 24)
    with pytest.raises(TooLarge):
        read_regular(str(endless), 100)


def test_file_that_is_written_to_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    os.truncate(file, 64_000_000)  # long enough to be written to at each attempt
    is_growing, is_done = threading.Event(), threading.Event()

    def grow() -> None:
        with file.open("ab", buffering=0) as growing:
            while not is_done.is_set():
                growing.write(b"x")
                is_growing.set()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        is_growing.wait()
        with pytest.raises(OSError, match="changed each time"):
            read_regular(str(file), 1 << 30)
    finally:
        is_done.set()
        writer.join()


@pytest.mark.parametrize("announce", [True, False])
@needs_fifo
def test_files_are_read_and_closed_and_their_reads_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announce: bool
) -> None:
    (tmp_path / "whole").write_bytes(b"content")
    (tmp_path / "long").write_bytes(b"x" * (READ_BYTES + 1))
    os.mkfifo(tmp_path / "fifo")
    announced: list[int] = []
    monkeypatch.setattr(
        stages.floor.files, "_advise", lambda fd, *rest: announced.append(fd)
    )
    failed: list[str] = []
    at = os.open(tmp_path, DIRECTORY_FLAGS) if CAN_OPEN_AT else None
    found: dict[str, tuple[int, int | type[OSError]]] = {}
    for name, fd, data in read_many(
        str(tmp_path),
        at,
        ["whole", "long", "fifo", "gone"],
        lambda name, error: failed.append(name),
        announce=announce,
    ):
        try:
            rest = len(read_rest(fd, data, 1 << 20)[0])
        except NotRegular:
            found[name] = (len(data), NotRegular)
        else:
            found[name] = (len(data), rest)
        last = fd
    if at is not None:
        os.close(at)

    assert found == {
        "whole": (7, 7),
        "long": (READ_BYTES, READ_BYTES + 1),
        "fifo": (0, NotRegular),
    }
    assert failed == ["gone"]
    assert len(announced) == (3 if announce else 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(last)


def test_disk_is_watched_where_the_system_counts_its_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = DiskWatch()
    assert disk.was_read() in (False, None)

    monkeypatch.setattr(stages.floor.files, "_RUSAGE_THREAD", None)
    assert DiskWatch().was_read() is None


@needs_fifo
def test_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(NotRegular):
        read_regular(str(tmp_path / "fifo"), 100)


def test_directory_and_device_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"."):
        read_regular(str(tmp_path), 100)
    with pytest.raises(OSError, match=r"."):
        read_regular(os.devnull, 100)


def test_link_to_a_file_is_followed_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")

    assert read_regular(str(tmp_path / "link"), 1) == b"x"
    if no_follow := getattr(os, "O_NOFOLLOW", 0):
        with pytest.raises(OSError, match=r"."):
            open_regular(str(tmp_path / "link"), flags=no_follow)


def test_open_takes_the_opener(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    with open(tmp_path / "file", "rb", opener=opener) as file:
        assert file.read() == b"x"


def test_files_and_directories_are_flushed(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        file.write(b"x")
        file.flush()
        flush(file.fileno())
    flush_directory(str(tmp_path))

    assert stat.S_ISREG((tmp_path / "file").stat().st_mode)


def test_reason_names_no_number_and_no_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        open_regular(str(tmp_path / "gone"))

    assert reason(caught.value) == "No such file or directory"
    assert reason(OSError("spoken for itself")) == "spoken for itself"


@pytest.mark.skipif(not IS_PLAIN, reason="this run is not on the plain path")
def test_plain_path_is_what_runs() -> None:
    from tests.plain_os.sitecustomize import HIDDEN

    assert CAN_OPEN_AT is False
    assert not any(hasattr(os, name) for name in HIDDEN)


@needs_root
@pytest.mark.parametrize("below", ["", "file", "a/b/c"])
def test_what_root_makes_below_a_users_directory_is_that_users(
    tmp_path: Path, below: str
) -> None:
    os.chown(tmp_path, 1234, 5678)

    assert owner_above(tmp_path / below) == Owner(user=1234, group=5678)


def test_what_is_made_below_ones_own_directory_is_given_to_nobody(
    tmp_path: Path,
) -> None:
    assert owner_above(tmp_path / "a" / "b") is None


@needs_root
def test_files_directories_and_links_are_given_away_by_themselves(
    tmp_path: Path,
) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    owner = Owner(user=1234, group=5678)

    give(str(link), owner)
    of_file_before = file.stat().st_uid
    with file.open() as stream:
        give(stream.fileno(), owner)

    assert (link.lstat().st_uid, of_file_before) == (1234, 0)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 5678)


def test_without_an_owner_nothing_is_given(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    before = file.stat()

    give(str(file), None)

    assert file.stat().st_uid == before.st_uid
