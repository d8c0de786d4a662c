"""Which homes a fleet has, and who serves them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.fleet.homes import find_homes, server_of

MOUNTS = {
    "/": "/dev/sda1",
    "/home": "nas1:/export/home",
    "/home/eve": "nas2:/export/eve",
    "/srv/v6": "[fd00::1]:/export",
    "/srv/windows": "//files/people",
}


def paths(*words: str) -> list[str]:
    return [home.path for home in find_homes(words)]


@pytest.mark.parametrize(
    ("path", "server"),
    [
        pytest.param("/home/ada", "nas1", id="the-host-of-the-nearest-mount"),
        pytest.param("/home/eve/x", "nas2", id="a-mount-inside-of-a-mount"),
        pytest.param("/homework", "/dev/sda1", id="a-name-that-only-begins-alike"),
        pytest.param("/srv/v6/ada", "[fd00::1]", id="an-address-with-colons"),
        pytest.param("/srv/windows/ada", "files", id="a-share"),
    ],
)
def test_a_path_is_served_by_what_is_mounted_there(path: str, server: str) -> None:
    assert server_of(path, MOUNTS) == server


def test_where_no_mounts_are_known_all_is_one_server() -> None:
    assert server_of("/home/ada", {}) == server_of("/srv/eve", {}) == ""


def test_a_pattern_finds_directories_alone(tmp_path: Path) -> None:
    for name in ("ada", "eve"):
        (tmp_path / name).mkdir()
    (tmp_path / "aquota.user").touch()

    assert paths(str(tmp_path / "*")) == [str(tmp_path / "ada"), str(tmp_path / "eve")]


def test_a_directory_with_two_names_is_one_home(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    try:
        (tmp_path / "link").symlink_to(tmp_path / "ada")
    except OSError:
        pytest.skip("no links can be made here")

    found = paths(str(tmp_path / "*"), str(tmp_path / "ada") + os.sep)

    assert found == [str(tmp_path / "ada")]


def test_a_name_with_the_signs_of_a_pattern_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "a[d]a").mkdir()
    (tmp_path / "ada").mkdir()

    assert paths(str(tmp_path / "a[d]a")) == [str(tmp_path / "a[d]a")]


def test_a_path_that_is_not_there_stays(tmp_path: Path) -> None:
    assert paths(str(tmp_path / "gone")) == [str(tmp_path / "gone")]


def test_a_pattern_that_finds_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ValueError, match="no directory matches"):
        find_homes([str(tmp_path / "*")])
