"""No bytes make a reader raise what it does not document; `tests.fuzz.run` looks longer."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.readers import READERS, Readers, mutated
from tests.strategies import texts

MUTATIONS = 300


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    with Readers(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


@pytest.mark.parametrize("name", READERS)
def test_usual_content_is_read(readers: Readers, name: str) -> None:
    for seed in READERS[name]:
        readers.by_name[name](seed)


@pytest.mark.parametrize("name", READERS)
def test_mutated_content_raises_nothing_that_is_not_documented(
    readers: Readers, name: str
) -> None:
    random = Random(name)
    for _ in range(MUTATIONS):
        readers.by_name[name](mutated(READERS[name], random))


@pytest.mark.parametrize("name", READERS)
@given(data=st.binary(max_size=200) | texts.map(str.encode))
def test_any_bytes_raise_nothing_that_is_not_documented(
    readers: Readers, name: str, data: bytes
) -> None:
    readers.by_name[name](data)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"[" * 200_000, id="lists"),
        pytest.param(b'{"a":' * 100_000, id="mappings"),
        pytest.param(b"- " * 100_000, id="block-lists"),
        pytest.param(b'{"a": "' + b"\\" * 200_001, id="escapes"),
        pytest.param(b'{"pid": ' + b"9" * 100_000 + b"}", id="digits"),
        pytest.param(b"a=" + b"=" * 500_000, id="dividers"),
        pytest.param(b"\xff" * 500_000, id="no-UTF-8"),
        pytest.param(b"\n" * 500_000, id="lines"),
        pytest.param(b"&a " * 50_000, id="anchors"),
    ],
)
def test_absurd_content_is_bounded(readers: Readers, name: str, data: bytes) -> None:
    readers.by_name[name](data)
