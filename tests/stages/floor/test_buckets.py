from __future__ import annotations

import ctypes
import errno
import gc
import os
import tracemalloc
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stages.floor.buckets import (
    LONGEST_PATH,
    SLUG_LENGTH,
    Buckets,
    Resolver,
    is_uuid,
    real_path,
    slug_of,
)
from stages.floor.files import COMPARED_BYTES
from stages.floor.workers import Stopped
from stages.messages import Located, TranscriptPlan
from tests.support import OTHER_UUID, UUID, never

THIRD_UUID = UUID.replace("0", "f", 1)
SAME_KEY = (
    "0b9c3f1e-2222-4444-8888-3c601d44095d",
    "0b9c3f1e-2222-4444-8888-55dfb4168d72",
)
# What a look at a path can come to, apart from there being nothing.
ERRORS = (errno.EACCES, errno.EIO, errno.ELOOP, errno.ENAMETOOLONG)


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


@pytest.mark.parametrize("error", ERRORS, ids=lambda number: os.strerror(number))
@pytest.mark.parametrize("call", ["lstat", "readlink"])
def test_link_that_cannot_be_followed_leaves_the_path_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int
) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    path = str(tmp_path.resolve() / "link" / "app")

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(error, os.strerror(error), path)

    monkeypatch.setattr(os, call, fail)

    assert real_path(path) == Resolver().resolve(path) == path


@pytest.mark.parametrize("path", ["/a\0b", "/" + "x" * 5000, "/proc/1/cwd/../x\0"])
def test_no_path_that_a_store_can_name_is_an_error(path: str) -> None:
    assert real_path(path)
    assert Resolver().resolve(path)


@pytest.fixture
def buckets(tmp_path: Path) -> Buckets:
    return Buckets(str(tmp_path / "projects"), never)


@pytest.mark.parametrize("directory", ["wt/app", "", "/wt\0/app"])
def test_worktree_that_is_not_absolute_has_no_bucket(
    buckets: Buckets, directory: str
) -> None:
    assert buckets.bucket_of(directory) is None


def test_bucket_is_that_of_the_resolved_directory_even_where_its_end_is_gone(
    tmp_path: Path, buckets: Buckets
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)

    assert buckets.bucket_of(str(tmp_path / "link" / "gone")) == slug_of(
        str(tmp_path.resolve() / "real" / "gone")
    )


def test_long_bucket_of_another_build_is_found_by_its_first_200_characters(
    tmp_path: Path, buckets: Buckets
) -> None:
    directory = "/" + "d" * 300
    ours = slug_of(directory)
    theirs = ours[: SLUG_LENGTH + 1] + "zzz"
    write(buckets, theirs, UUID, b"")
    write(buckets, ours[: SLUG_LENGTH + 1] + "aaa", OTHER_UUID, b"")

    assert buckets.bucket_of(directory, f"{UUID}.jsonl") == theirs
    assert buckets.bucket_of(directory, f"{THIRD_UUID}.jsonl") == ours


def write(buckets: Buckets, bucket: str, uuid: str, content: bytes) -> Path:
    """Put a transcript into a bucket."""
    file = Path(buckets.path, bucket, f"{uuid}.jsonl")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)

    return file


def a_plan(*worktrees: str) -> TranscriptPlan:
    return TranscriptPlan(
        uuid=UUID,
        worktrees=worktrees or ("/wt/app",),
        project_path="/repos/app",
        new_worktree="/data/worktrees/app",
    )


def test_transcript_is_taken_from_the_first_of_its_buckets_that_has_it(
    buckets: Buckets,
) -> None:
    for place in ("/wt/b", "/wt/c"):
        write(buckets, slug_of(place), UUID, place.encode())

    found = buckets.find(a_plan("/wt/a", "relative", "/wt/b", "/wt/c"))

    assert found == Located(state="found", bucket="-wt-b")


@pytest.mark.parametrize(
    ("contents", "located"),
    [
        pytest.param({}, Located(state="nowhere"), id="T3-nowhere"),
        pytest.param(
            {"x": b"1"}, Located(state="moved", bucket="x"), id="T3-one-other"
        ),
        pytest.param(
            {"x": b"1", "y": b"1"}, Located(state="moved", bucket="y"), id="T3-equal"
        ),
        pytest.param(
            {"x": b"12", "y": b"123", "z": b"1"},
            Located(state="moved", bucket="y"),
            id="T3-each-a-beginning-of-the-next",
        ),
        pytest.param(
            {"x": b"", "y": b"a"}, Located(state="moved", bucket="y"), id="T3-empty"
        ),
        pytest.param(
            {"x": b"12", "y": b"13"},
            Located(state="ambiguous", detail='"x", "y"'),
            id="T3-different",
        ),
        pytest.param(
            {"x": b"1", "y": b"12", "z": b"13"},
            Located(state="ambiguous", detail='"x", "y", "z"'),
            id="T3-only-some-alike",
        ),
        pytest.param(
            {"x": b"1", "-data-worktrees-app": b"2"},
            Located(state="moved", bucket="x"),
            id="T3-beside-the-copy-of-an-earlier-run",
        ),
        pytest.param(
            {"x": b"1", "y": b"2", "-data-worktrees-app": b"3"},
            Located(state="arrived"),
            id="T3-different-ones-beside-the-copy",
        ),
        pytest.param(
            {"-data-worktrees-app": b"3"}, Located(state="arrived"), id="T3-only-copy"
        ),
    ],
)
def test_transcript_that_is_not_in_its_bucket_is_looked_for_in_all(
    buckets: Buckets, contents: dict[str, bytes], located: Located
) -> None:
    write(buckets, "other", OTHER_UUID, b"another session's")
    Path(buckets.path, "file").touch()
    Path(buckets.path, "d", f"{UUID}.jsonl").mkdir(parents=True)
    for bucket, content in contents.items():
        write(buckets, bucket, UUID, content)

    assert buckets.find(a_plan()) == located


def test_one_file_under_several_names_is_one(buckets: Buckets) -> None:
    file = write(buckets, "x", UUID, b"1")
    other = write(buckets, "y", UUID, b"")
    other.unlink()
    other.symlink_to(file)

    assert buckets.find(a_plan()) == Located(state="moved", bucket="y")


def test_of_equal_copies_the_one_with_a_sidecar_is_taken(buckets: Buckets) -> None:
    for bucket in ("x", "y", "z"):
        write(buckets, bucket, UUID, b"1")
    Path(buckets.path, "x", UUID).mkdir()

    assert buckets.find(a_plan()) == Located(state="moved", bucket="x")


def test_large_copies_are_compared_to_their_end(buckets: Buckets) -> None:
    content = os.urandom(2 * COMPARED_BYTES + 1)
    write(buckets, "x", UUID, content)
    write(buckets, "y", UUID, content[:-1] + bytes([content[-1] ^ 1]))

    assert buckets.find(a_plan()).state == "ambiguous"


def test_names_with_one_key_are_told_apart(buckets: Buckets) -> None:
    """Two UUIDs of which the file names have the same checksum."""
    one, other = SAME_KEY
    assert crc32(f"{one}.jsonl".encode()) == crc32(f"{other}.jsonl".encode())
    write(buckets, "x", one, b"1")
    write(buckets, "y", other, b"2")

    for uuid, bucket in ((one, "x"), (other, "y")):
        plan = replace(a_plan(), uuid=uuid)
        assert buckets.find(plan) == Located(state="moved", bucket=bucket)


def test_buckets_are_listed_once_however_many_sessions_need_it(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        write(buckets, f"bucket-{number}", uuid_number(number), b"1")
    listed: list[str] = []
    scandir, listdir = os.scandir, os.listdir

    def count(call: Callable[[str], Any], path: str) -> Any:
        listed.append(path)
        return call(path)

    monkeypatch.setattr(os, "scandir", partial(count, scandir))
    monkeypatch.setattr(os, "listdir", partial(count, listdir))
    plans = [replace(a_plan(), uuid=uuid_number(number)) for number in range(10)]
    with ThreadPoolExecutor(4) as threads:
        states = [located.state for located in threads.map(buckets.find, plans)]

    assert states == ["moved"] * 8 + ["nowhere"] * 2
    assert len(listed) == 1 + 8


def test_index_of_many_transcripts_takes_a_few_bytes_for_each(
    buckets: Buckets,
) -> None:
    count = 3000
    for number in range(count):
        write(buckets, f"bucket-{number % 10}", uuid_number(number), b"")
    tracemalloc.start()
    try:
        buckets.find(a_plan())
        gc.collect()
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept_bytes < 30 * count
    assert peak_bytes < 150 * count


def test_search_ends_when_the_run_does(buckets: Buckets) -> None:
    def stop() -> None:
        raise Stopped

    write(buckets, "x", UUID, b"")

    with pytest.raises(Stopped):
        Buckets(buckets.path, stop).find(a_plan())


@pytest.mark.parametrize("error", ERRORS, ids=lambda number: os.strerror(number))
@pytest.mark.parametrize("call", ["stat", "scandir", "listdir"])
def test_what_cannot_be_looked_into_is_no_missing_transcript(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch, call: str, error: int
) -> None:
    write(buckets, "x", UUID, b"")
    real = getattr(os, call)

    def fail(path: Any, *args: Any, **kwargs: Any) -> Any:
        if str(path).startswith(buckets.path):
            raise OSError(error, os.strerror(error), path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, call, fail)
    located = buckets.find(a_plan())

    assert located.state == "unreadable"
    assert os.strerror(error) in located.detail


def test_bucket_that_cannot_be_read_hides_no_other(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(buckets, "x", UUID, b"")
    write(buckets, "y", OTHER_UUID, b"")
    scandir = os.scandir

    def fail(path: str) -> Any:
        if path.endswith("y"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)

    assert buckets.find(a_plan()) == Located(state="moved", bucket="x")
    assert buckets.find(replace(a_plan(), uuid=THIRD_UUID)) == Located(
        state="unreadable", detail='"y: Permission denied"'
    )


def test_where_there_are_no_buckets_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for place in ("gone", "file"):
        found = Buckets(str(tmp_path / place), never).find(a_plan())
        assert found == Located(state="nowhere")


def uuid_number(number: int) -> str:
    return f"{UUID[:-8]}{number:08x}"
