from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from stages.floor.directories import Directory, LinkRefused


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


has_modes = pytest.mark.skipif(
    os.name != "posix", reason="this system has no modes of files"
)


@has_modes
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_modes_are_exact_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with Directory.open(str(tmp_path)) as directory:
            with directory.make("new", 0o750):
                pass
            with directory.creating("file", 0o600):
                pass
    finally:
        os.umask(before)

    assert mode_of(tmp_path / "new") == 0o750
    assert mode_of(tmp_path / "file") == 0o600


def test_link_to_a_directory_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real", target_is_directory=True)

    with (
        Directory.open(str(tmp_path)) as directory,
        pytest.raises(LinkRefused) as caught,
    ):
        directory.enter("link")

    assert caught.value.filename == str(tmp_path / "link")


def test_only_directories_are_entered(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with Directory.open(str(tmp_path)) as directory:
        with pytest.raises(NotADirectoryError):
            directory.enter("file")
        with pytest.raises(FileNotFoundError):
            directory.enter("gone")


def test_kinds_are_those_of_the_names_themselves(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("file")

    with Directory.open(str(tmp_path)) as directory:
        kinds = {entry.name: directory.kind(entry.name) for entry in directory.names()}
        gone = directory.kind("gone")

    assert kinds == {
        "file": stat.S_IFREG,
        "directory": stat.S_IFDIR,
        "link": stat.S_IFLNK,
    }
    assert gone is None


def test_finished_file_gets_its_name(tmp_path: Path) -> None:
    (tmp_path / "work").write_bytes(b"new")

    with Directory.open(str(tmp_path)) as directory:
        directory.publish_file("work", "final")

    assert [file.name for file in tmp_path.iterdir()] == ["final"]
    assert (tmp_path / "final").read_bytes() == b"new"


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_finished_file_never_takes_the_place_of_another(
    tmp_path: Path, kind: str
) -> None:
    (tmp_path / "work").write_bytes(b"new")
    final = tmp_path / "final"
    if kind == "file":
        final.write_bytes(b"old")
    elif kind == "link":
        final.symlink_to("nowhere")
    else:
        final.mkdir()

    with Directory.open(str(tmp_path)) as directory, pytest.raises(FileExistsError):
        directory.publish_file("work", "final")

    assert sorted(file.name for file in tmp_path.iterdir()) == ["final", "work"]
    assert (tmp_path / "work").read_bytes() == b"new"


def test_new_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere")

    with (
        Directory.open(str(tmp_path)) as directory,
        pytest.raises(FileExistsError),
        directory.creating("link", 0o600),
    ):
        pass

    assert not (tmp_path / "elsewhere").exists()


def test_whole_directories_and_links_are_discarded_but_not_what_links_lead_to(
    tmp_path: Path,
) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / "file").touch()
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "keep")
    (tmp_path / "link").symlink_to("keep")

    with Directory.open(str(tmp_path)) as directory:
        directory.discard("tree")
        directory.discard("link")
        directory.discard("gone")
        directory.discard_if_empty("keep")

    assert [place.name for place in tmp_path.iterdir()] == ["keep"]
    assert (tmp_path / "keep" / "file").exists()


def test_file_is_read_through_a_link_only_where_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")

    with Directory.open(str(tmp_path)) as directory:
        with directory.reading("link", follow=True) as (fd, info):
            assert os.read(fd, 10) == b"x"
            assert info.st_size == 1
        with (
            pytest.raises(OSError, match=r"."),
            directory.reading("link", follow=False),
        ):
            pass
