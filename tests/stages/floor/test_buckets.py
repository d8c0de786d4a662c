from __future__ import annotations

import ctypes
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.floor.buckets import (
    LONGEST_PATH,
    SLUG_LENGTH,
    Resolver,
    bucket_of,
    bucket_path,
    is_uuid,
    newest_uuid,
    real_path,
    slug_of,
)
from tests.support import OTHER_UUID, UUID


@pytest.mark.parametrize(
    ("directory", "slug"),
    [
        pytest.param("/home/me/my.app_1", "-home-me-my-app-1", id="T1-plain"),
        pytest.param("/", "-", id="T1-root"),
        pytest.param("/a b", "-a-b", id="T1-blank"),
        pytest.param("/é", "--", id="T1-composed"),
        pytest.param("/e\u0301", "--", id="T1-decomposed-is-composed-first"),
        pytest.param("/𝕏", "---", id="T1-beyond-the-basic-plane-becomes-two"),
        pytest.param("/Ａ１", "---", id="T1-wide-letters-are-no-letters"),
        pytest.param("/" + "a" * 199, "-" + "a" * 199, id="T1-200-units"),
        pytest.param("/" + "a" * 200, "-" + "a" * 199 + "-b6ymvl", id="T1-201-units"),
    ],
)
def test_slug(directory: str, slug: str) -> None:
    assert slug_of(directory) == slug


def plain_slug(directory: str) -> str:
    """The rule in other words: by characters, not by units (rule T1)."""
    text = unicodedata.normalize("NFC", directory)
    slug, hash_ = "", ctypes.c_int32(0)
    for character in text:
        code = ord(character)
        units = [code]
        if code > 0xFFFF:
            units = [0xD800 + ((code - 0x10000) >> 10), 0xDC00 + (code & 0x3FF)]
        is_kept = character.isascii() and character.isalnum()
        slug += character if is_kept else "-" * len(units)
        for unit in units:
            hash_.value = hash_.value * 31 + unit
    if len(slug) <= 200:
        return slug

    rest, digits = abs(hash_.value), ""
    while rest or not digits:
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % 36] + digits
        rest //= 36
    return f"{slug[:200]}-{digits}"


@given(st.text(max_size=60) | st.text(min_size=190, max_size=400))
def test_slug_of_any_text_agrees_with_the_rule_in_other_words(directory: str) -> None:
    assert slug_of(directory) == plain_slug(directory)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(UUID, True, id="T2-small"),
        pytest.param(OTHER_UUID, True, id="T2-mixed-case"),
        pytest.param("", False, id="T2-empty"),
        pytest.param(UUID.replace("-", ""), False, id="T2-without-dashes"),
        pytest.param(f"{{{UUID}}}", False, id="T2-braces"),
        pytest.param(f"{UUID}\n", False, id="T2-line-end"),
        pytest.param(f"../{UUID}", False, id="T2-path"),
        pytest.param(UUID.replace("0", "０", 1), False, id="T2-wide-digit"),
    ],
)
def test_only_the_usual_form_is_a_uuid(text: str, expected: bool) -> None:
    assert is_uuid(text) is expected


@pytest.mark.parametrize(
    "path",
    [
        "real/app",
        "real/gone/app/app",
        "gone/../link/app",
        "link/app",
        "link/./app/..",
        "to-file/app",
        "loop/app",
        "d/" * 300 + "app",
        "",
    ],
)
def test_paths_are_resolved_as_one_by_one(tmp_path: Path, path: str) -> None:
    (tmp_path / "real" / "app").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real", target_is_directory=True)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    (tmp_path / "to-file").symlink_to("file")
    resolver = Resolver()

    for tried in (path, f"{path}/more", path):
        whole = os.path.join(str(tmp_path), tried)
        assert resolver.resolve(whole) == os.path.realpath(whole)


@pytest.mark.parametrize("resolve", [real_path, Resolver().resolve])
def test_path_longer_than_any_system_has_is_not_looked_for(
    resolve: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lstat(path: str) -> os.stat_result:
        raise AssertionError(path)

    monkeypatch.setattr(os, "lstat", lstat)
    path = f"{os.sep}d" * (LONGEST_PATH + 1)

    assert resolve(f"{path}{os.sep}.") == path


def test_worktree_that_is_not_absolute_has_no_bucket(tmp_path: Path) -> None:
    assert bucket_of(str(tmp_path), "wt/app") is None
    assert bucket_of(str(tmp_path), "") is None
    assert bucket_of(str(tmp_path), "/wt\0/app") is None


def test_bucket_is_that_of_the_resolved_directory_even_where_its_end_is_gone(
    tmp_path: Path,
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)

    bucket = bucket_of("/buckets", str(tmp_path / "link" / "gone"))

    assert bucket == os.path.join(
        "/buckets", slug_of(str(tmp_path.resolve() / "real" / "gone"))
    )


def test_long_bucket_of_another_build_is_found_by_its_first_200_characters(
    tmp_path: Path,
) -> None:
    directory = "/" + "d" * 300
    ours = slug_of(directory)
    theirs = ours[: SLUG_LENGTH + 1] + "zzz"
    empty = ours[: SLUG_LENGTH + 1] + "aaa"
    (tmp_path / empty).mkdir()
    (tmp_path / theirs).mkdir()
    (tmp_path / theirs / f"{UUID}.jsonl").touch()

    found = bucket_path(str(tmp_path), directory, f"{UUID}.jsonl")
    new = bucket_path(str(tmp_path), directory, f"{OTHER_UUID}.jsonl")

    assert found == str(tmp_path / theirs)
    assert new == str(tmp_path / ours)


def test_newest_transcript_of_a_bucket_is_one_with_a_uuid(tmp_path: Path) -> None:
    for name, seconds in (
        (f"{UUID}.jsonl", 20),
        (f"{OTHER_UUID}.jsonl", 10),
        ("agent-77.jsonl", 30),
        (f"{UUID}.json", 40),
    ):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (seconds, seconds))
    (tmp_path / f"{UUID[:-1]}e.jsonl").mkdir()

    assert newest_uuid(str(tmp_path)) == UUID


def test_bucket_that_is_not_there_has_no_newest_transcript(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert newest_uuid(str(tmp_path / "gone")) is None
    assert newest_uuid(str(tmp_path / "file")) is None
    assert newest_uuid(str(tmp_path)) is None
