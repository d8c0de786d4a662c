"""Live progress on stderr: bars on a terminal, lines elsewhere.

Rich is loaded here alone, and only when something is really shown by it.
"""

from __future__ import annotations

__all__ = (
    "Board",
    "LiveDisplay",
    "PlainDisplay",
    "open_progress",
)

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from pipeline.terminal.rendering import format_bytes

if TYPE_CHECKING:
    from rich.live import Live

    from pipeline.graph import OnProgress
    from pipeline.progress import Progress, StageName

# Loading rich was measured to take 25 ms. What is over sooner than this is not worth a
# display, and what takes longer loses less than 2 % by it.
SHOWN_AFTER_SECONDS = 1.5
REFRESH_SECONDS = 0.25  # a refresh was measured to take 0.3 ms
LINE_SECONDS = 5.0
RATE_SECONDS = 5.0  # over how long a rate is taken
BAR_LEAST = 5  # columns

_LABELS: dict[StageName, str] = {
    "read": "Sessions read",
    "write": "Rows written",
    "relocate": "Transcripts",
    "compare": "Compared",
}


@contextmanager
def open_progress(
    wanted: bool | None, *, is_silent: bool
) -> Iterator[OnProgress | None]:
    """Provide what shows progress on stderr, or None where none is wanted.

    `wanted` is what the user said, None if nothing; then it is shown on a terminal only,
    and not where `is_silent`.
    """
    stream = sys.stderr
    is_terminal = stream is not None and stream.isatty()
    if stream is None or not (
        is_terminal and not is_silent if wanted is None else wanted
    ):
        yield None
        return

    display: LiveDisplay | PlainDisplay
    if is_terminal and not _is_dumb():
        display = LiveDisplay(stream)
        display.start()
    else:
        display = PlainDisplay(stream)
    try:
        yield display
    finally:
        display.close()


class Board:
    """What the stages have said last, as lines of text."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._latest: dict[StageName, Progress] = {}
        self._bytes: deque[tuple[float, int]] = deque([(self._started, 0)])

    def add(self, progress: Progress) -> None:
        """Take note of a value."""
        self._latest[progress.stage] = progress
        now = self._clock()
        self._bytes.append((now, progress.bytes))
        while len(self._bytes) > 2 and now - self._bytes[0][0] > RATE_SECONDS:
            self._bytes.popleft()

    def lines(self, columns: int, *, is_ascii: bool = False) -> list[str]:
        """Return a line with a bar for each stage, and one with bytes and times."""
        if not self._latest:
            return []

        width = max(map(len, _LABELS.values()))
        full, empty = ("#", ".") if is_ascii else ("━", "─")
        lines = []
        for progress in self._stages():
            count = _count(progress)
            room = columns - width - len(count) - 3
            bar = ""
            if progress.total and room >= BAR_LEAST:
                filled = room * progress.done // progress.total
                bar = f"{full * filled}{empty * (room - filled)} "
            lines.append(f"{_LABELS[progress.stage]:<{width}} {bar}{count}")

        return [*lines, ", ".join(self._pace())]

    def line(self, *, is_last: bool = False) -> str:
        """Return all of it in one line, at the end without the pace."""
        stages = [
            f"{_LABELS[progress.stage].lower()} {_count(progress)}"
            for progress in self._stages()
        ]
        size = self._bytes[-1][1]

        return ", ".join(
            [*stages, *([format_bytes(size)] if is_last else self._pace())]
        )

    def _stages(self) -> list[Progress]:
        return [self._latest[stage] for stage in _LABELS if stage in self._latest]

    def _pace(self) -> list[str]:
        (since, before), (now, size) = self._bytes[0], self._bytes[-1]
        parts = [format_bytes(size)]
        if size > before:
            parts.append(f"{format_bytes(int((size - before) / (now - since)))}/s")
        last = self._stages()[-1]
        if last.total and last.done:
            elapsed = self._clock() - self._started
            left = round(elapsed / last.done * (last.total - last.done))
            parts.append(f"{_clock_time(left)} left")

        return parts


class LiveDisplay:
    """Draws bars on a terminal, which are gone at the end.

    A thread loads rich and draws: on the event loop, each of the many files to load and
    each write to the terminal would wait for the threads that read sessions.
    """

    def __init__(
        self, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._board = Board(clock)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._live: Live | None = None
        self._thread = threading.Thread(
            target=self._draw_often, name="ao-import-display", daemon=True
        )

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            self._board.add(progress)

    def start(self) -> None:
        """Draw from now on, as soon as it is worth it."""
        self._thread.start()

    def draw(self) -> None:
        """Draw what was said last.

        :raises OSError: the terminal is gone.
        """
        from rich.text import Text

        if self._live is None:
            self._live = _open_live(self._stream)
        console = self._live.console
        is_ascii = not console.encoding.startswith("utf")
        with self._lock:
            lines = self._board.lines(console.width, is_ascii=is_ascii)
        text = Text("\n".join(lines), no_wrap=True, overflow="crop")
        text.highlight_regex("[━#]+", "green")
        text.highlight_regex("─+", "dim")
        self._live.update(text, refresh=True)

    def close(self) -> None:
        """Take the bars away."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._live is not None:
            with suppress(OSError):  # the terminal is gone
                self._live.stop()

    def _draw_often(self) -> None:
        if self._closing.wait(SHOWN_AFTER_SECONDS):
            return

        with suppress(OSError):  # nobody sees it any more; the import goes on
            self.draw()
            while not self._closing.wait(REFRESH_SECONDS):
                self.draw()


class PlainDisplay:
    """Writes a line every few seconds, and one at the end."""

    def __init__(
        self, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._clock = stream, clock
        self._board = Board(clock)
        self._next = clock() + LINE_SECONDS
        self._is_empty = True

    def __call__(self, progress: Progress) -> None:
        self._board.add(progress)
        self._is_empty = False
        now = self._clock()
        if now >= self._next:
            self._next = now + LINE_SECONDS
            self._write(self._board.line())

    def close(self) -> None:
        """Write how far it came."""
        if not self._is_empty:
            self._write(self._board.line(is_last=True))

    def _write(self, line: str) -> None:
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except OSError:  # nobody reads it any more; the import goes on
            self._next = float("inf")


def _open_live(stream: TextIO) -> Live:
    from rich.console import Console
    from rich.live import Live

    class SteadyConsole(Console):
        """A console that hides no cursor: whatever ends us, or stops us, it is there."""

        def show_cursor(self, show: bool = True) -> bool:
            return False

    live = Live(
        console=SteadyConsole(file=stream),
        auto_refresh=False,  # by its own thread; values come often enough
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    live.start()

    return live


def _is_dumb() -> bool:
    return os.environ.get("TERM", "") in ("dumb", "unknown")


def _count(progress: Progress) -> str:
    if progress.total is None:
        return str(progress.done)

    total = str(progress.total)
    return f"{progress.done:>{len(total)}}/{total}"


def _clock_time(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)

    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
