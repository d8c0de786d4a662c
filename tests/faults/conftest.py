"""The fault tests run imports beside faults, where waiting is not what is tested."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_blocking() -> None:
    """Take the place of the guard of the event loop: the other tests have it."""
