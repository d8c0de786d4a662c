"""Ctrl-C, SIGTERM and SIGHUP: the first one stops a run in good order, a second one at once.

Nothing here raises from a handler: an exception between any two instructions would leave
locks held and threads waiting. Loaded before all else, so it loads next to nothing.
"""

from __future__ import annotations

__all__ = (
    "Interrupted",
    "STATUS_OF_SIGNAL",
    "Stop",
    "end_at_once",
    "end_on_signals",
    "ignore_signals",
    "install",
    "restore",
)

import os
import signal
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import TypeAlias

    Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
STATUS_OF_SIGNAL = 128  # and its number, as shells have it
# The terminal and a program that passes signals on may both tell us of one Ctrl-C.
ONCE_SECONDS = 0.05
MESSAGE = b"\nInterrupted. Nothing is half-written; importing again continues.\n"


class Interrupted(BaseException):
    """A signal has ended what ran; all that it had to put away has been."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = STATUS_OF_SIGNAL + number


class Stop:
    """A handler: the first signal calls `begin`, one that comes later ends the process."""

    def __init__(self, begin: Callable[[], object]) -> None:
        self.number: int | None = None
        self._begin = begin
        self._at = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number, self._at = number, time.monotonic()
            self._begin()
        elif time.monotonic() - self._at > ONCE_SECONDS:
            end_at_once(number)


def end_on_signals() -> None:
    """Let signals end the process from now on, without a traceback."""
    install(end_at_once)


def ignore_signals() -> None:
    """Let nothing change the status that is settled: what there was to do is done."""
    for name in NAMES:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def install(handler: Callable[[int, FrameType | None], object]) -> dict[int, Handler]:
    """Set the handler, and return those before it; what is ignored stays so (nohup)."""
    before: dict[int, Handler] = {}
    for name in NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handler)

    return before


def restore(handlers: dict[int, Handler]) -> None:
    """Set the handlers that `install` replaced."""
    for number, handler in handlers.items():
        signal.signal(number, handler)


def end_at_once(number: int, frame: FrameType | None = None) -> None:
    """End the process with the signal's status, and what it has started with it.

    Whatever is being written has a working name, so it is not half there.
    """
    _kill_children()
    with suppress(OSError):
        os.write(2, MESSAGE)
    os._exit(STATUS_OF_SIGNAL + number)


def _kill_children() -> None:
    # What is being loaded just now may be half there; the end must come all the same.
    with suppress(Exception):
        import psutil

        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
