"""JSON as the legacy application wrote it: with cut emoji, marks and broken UTF-8."""

from __future__ import annotations

__all__ = ("DECODE_ERRORS", "decode_object", "is_json_object", "mend")

import re
from typing import NoReturn

import msgspec

# Bad UTF-8, lone surrogates in text, and absurd nesting are no MsgspecError.
DECODE_ERRORS = (msgspec.MsgspecError, UnicodeError, RecursionError)

_decoder = msgspec.json.Decoder(dict[str, object])


def decode_object(data: bytes | str) -> dict[str, object] | None:
    """Return the object that the text holds, or None if it holds none.

    A byte order mark is skipped. Bytes that are no UTF-8 become U+FFFD; so do lone
    surrogates, once `mend` has seen the text that holds them.
    """
    if not data:
        return None
    try:
        return _decoder.decode(data)
    except DECODE_ERRORS:
        pass

    import json  # slow to load, and for the odd record only

    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    try:
        found = json.loads(
            text.removeprefix("\ufeff"),
            parse_int=_parse_int,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        return None

    return found if isinstance(found, dict) else None


def is_json_object(text: str) -> bool:
    """Whether the text of an old record is JSON after all."""
    return text.lstrip("\ufeff \t\r\n").startswith("{")


def mend(text: str) -> str:
    """Return the text with U+FFFD in the place of each lone surrogate."""
    return text if text.isascii() else re.sub("[\ud800-\udfff]", "\ufffd", text)


def _parse_int(digits: str) -> int | float:
    # Python refuses to convert thousands of digits; no integer that matters has 19.
    return int(digits) if len(digits) < 19 else float(digits)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
