"""What all tests share: the plain mode, the event loop, the guard against blocking it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

# With this variable set, the whole suite runs without what only some systems have: before
# anything of ours is imported, and in every process that a test starts.
IS_PLAIN = bool(os.environ.get("AO_IMPORT_TEST_PLAIN_OS"))
if IS_PLAIN:
    import tests.plain_os.sitecustomize

    hiding = str(Path(tests.plain_os.sitecustomize.__file__).parent)
    search_path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (hiding, search_path)))

# What the suite was told to ignore (by `nohup`, or in the background of a script), every
# process that a test starts would ignore as well.
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        is_interrupt = number == signal.SIGINT
        signal.signal(
            number, signal.default_int_handler if is_interrupt else signal.SIG_DFL
        )

# The same examples every time: what CI finds, a user finds. `tests.fuzz.run` looks further.
settings.register_profile(
    "suite", max_examples=60, deadline=None, derandomize=True, database=None
)
settings.load_profile("suite")


def pytest_report_header() -> str:
    return f"operating system: {'plain, by AO_IMPORT_TEST_PLAIN_OS' if IS_PLAIN else 'as it is'}"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_blocking() -> Iterator[None]:
    """Fail a test whose code of ours blocks the event loop."""
    with blockbuster_ctx(["pipeline", "stages"]) as guard:
        # It joins threads that have nothing left to do.
        lock = guard.functions["threading.Lock.acquire"]
        lock.can_block_in("stages/floor/workers.py", "__aexit__")
        yield
