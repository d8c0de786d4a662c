from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.floor.json_text import decode_object, is_json_object, mend
from tests.strategies import any_json, json_texts


@pytest.mark.parametrize(
    ("data", "found"),
    [
        pytest.param(b'{"a": 1}', {"a": 1}, id="object"),
        pytest.param('{"a": 1}', {"a": 1}, id="text"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"[]", None, id="list"),
        pytest.param(b'"{}"', None, id="string"),
        pytest.param(b"null", None, id="null"),
        pytest.param(b'{"a": ', None, id="cut"),
        pytest.param(b'{"a": 1} x', None, id="more-behind"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', {"a": 1}, id="byte-order-mark"),
        pytest.param('\ufeff{"a": 1}', {"a": 1}, id="byte-order-mark-in-text"),
        pytest.param(b'{"a": "x\xffy"}', {"a": "x\ufffdy"}, id="bad-utf-8"),
        pytest.param(rb'{"a": "\ud83d"}', {"a": "\ud83d"}, id="lone-surrogate"),
        pytest.param(rb'{"a": "\ud83d\ude00"}', {"a": "😀"}, id="surrogate-pair"),
        pytest.param('{"a": "\ud83d"}', {"a": "\ud83d"}, id="lone-surrogate-in-text"),
        pytest.param(b'{"a": NaN}', None, id="nan-is-no-json"),
        pytest.param(b"[" * 100_000, None, id="absurd-nesting"),
        pytest.param(b'{"a":' * 100_000, None, id="absurd-nesting-of-objects"),
        pytest.param(b'{"a": 1, "a": 2}', {"a": 2}, id="last-of-equal-keys"),
    ],
)
def test_object_is_decoded_from_odd_text(
    data: bytes | str, found: dict[str, object] | None
) -> None:
    assert decode_object(data) == found


def test_thousands_of_digits_are_a_number_all_the_same() -> None:
    found = decode_object(b'{"a": ' + b"9" * 5000 + b', "b": 1}')

    assert found is not None
    assert found["b"] == 1


@pytest.mark.parametrize(
    ("text", "is_object"),
    [
        pytest.param('{"a": 1}', True, id="C-V1-json"),
        pytest.param("\ufeff \n{", True, id="C-V1-blanks-before"),
        pytest.param("a={", False, id="C-V1-pair"),
        pytest.param("", False, id="C-V1-empty"),
    ],
)
def test_old_record_that_begins_with_a_brace_is_json(
    text: str, is_object: bool
) -> None:
    assert is_json_object(text) == is_object


def test_mended_text_has_no_half_characters() -> None:
    assert mend("a\ud800b\udfffc😀") == "a\ufffdb\ufffdc😀"


@given(st.dictionaries(json_texts, any_json, max_size=4))
def test_what_python_writes_is_read_back(record: dict[str, object]) -> None:
    text = json.dumps(record)

    assert decode_object(text) == decode_object(text.encode()) == json.loads(text)


@given(st.text())
def test_mended_text_can_be_stored(text: str) -> None:
    assert mend(text).encode().decode() == mend(text)
