from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.progress import Progress, StageName
from pipeline.terminal.progress_display import (
    LINE_SECONDS,
    Board,
    LiveDisplay,
    PlainDisplay,
)

MIB = 1024**2
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    """A clock that stands still unless told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def value(
    stage: StageName, done: int, total: int | None = 200, size: int = 0
) -> Progress:
    return Progress(stage=stage, done=done, total=total, bytes=size, project="app")


def filled_board(clock: Clock) -> Board:
    board = Board(clock)
    clock.now += 2
    board.add(value("read", 120))
    board.add(value("write", 100))
    board.add(value("relocate", 80, size=60 * MIB))

    return board


@pytest.mark.parametrize("columns", [80, 40])
def test_bars_fill_the_width_and_no_more(columns: int) -> None:
    *bars, pace = filled_board(Clock()).lines(columns)

    assert [len(line) for line in bars] == [columns - 1] * 3
    assert [line[:13].rstrip() for line in bars] == [
        "Sessions read",
        "Rows written",
        "Transcripts",
    ]
    assert [line[-7:] for line in bars] == ["120/200", "100/200", " 80/200"]
    assert [round(line.count("━") / (columns - 23), 1) for line in bars] == [
        0.6,
        0.5,
        0.4,
    ]
    assert pace == "60.0 MiB, 30.0 MiB/s, 0:03 left"


def test_a_very_narrow_terminal_gets_the_counts_alone() -> None:
    assert filled_board(Clock()).lines(24)[0] == "Sessions read 120/200"


def test_where_the_encoding_has_no_bars_they_are_ascii() -> None:
    assert all(
        line.isascii() for line in filled_board(Clock()).lines(80, is_ascii=True)
    )


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    board = Board(clock)
    for second in range(1, 21):
        clock.now += 1
        board.add(value("compare", second * 5, size=min(second, 10) * MIB))

    assert board.lines(80)[-1] == "10.0 MiB, 0:20 left"


def test_an_unknown_total_has_no_bar_and_no_time_left() -> None:
    clock = Clock()
    board = Board(clock)
    clock.now += 1
    board.add(value("read", 7, total=None))

    assert board.lines(80) == ["Sessions read 7", "0 bytes"]


def test_a_pipe_gets_a_line_every_few_seconds_and_one_at_the_end() -> None:
    clock, stream = Clock(), io.StringIO()
    display = PlainDisplay(stream, clock)
    display(value("read", 10))
    clock.now += LINE_SECONDS
    display(value("relocate", 50, size=10 * MIB))
    display(value("relocate", 60, size=11 * MIB))
    display(value("relocate", 200, size=20 * MIB))
    display.close()

    assert stream.getvalue() == (
        "sessions read  10/200, transcripts  50/200, 10.0 MiB, 2.0 MiB/s, 0:15 left\n"
        "sessions read  10/200, transcripts 200/200, 20.0 MiB\n"
    )


def test_a_run_without_any_value_leaves_a_pipe_empty() -> None:
    stream = io.StringIO()
    PlainDisplay(stream, Clock()).close()

    assert stream.getvalue() == ""


def test_a_reader_that_has_gone_does_not_end_the_run() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    clock = Clock()
    with os.fdopen(writing, "w", buffering=1, encoding="utf-8") as stream:
        display = PlainDisplay(stream, clock)
        clock.now += LINE_SECONDS
        display(value("read", 1))
        display.close()
        with pytest.raises(BrokenPipeError):  # so that the test's own close is silent
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_a_terminal_gets_bars_that_are_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    display = LiveDisplay(stream, Clock())
    display(value("read", 120))
    display.draw()

    drawn = stream.getvalue()
    display.close()
    end = stream.getvalue()[len(drawn) :]

    assert "Sessions read" in ANSI.sub("", drawn)
    assert "\x1b[?25l" not in drawn  # no end and no Ctrl-Z leaves the cursor hidden
    # Up two lines, that of the stage and that of the pace, and each is emptied.
    assert end.endswith("\r\x1b[1A\x1b[2K\x1b[1A\x1b[2K")


def test_a_short_run_shows_nothing() -> None:
    stream = Terminal()
    display = LiveDisplay(stream, Clock())
    display.start()
    display(value("read", 120))
    display.close()

    assert stream.getvalue() == ""


@pytest.mark.parametrize("arguments", [["--help"], ["import", "--help"], ["--version"]])
def test_help_loads_nothing_that_works(arguments: list[str], tmp_path: Path) -> None:
    listing = (
        "import sys\n"
        "from pipeline.terminal.cli import main\n"
        "try:\n"
        f"    sys.argv[1:] = {arguments}\n"
        "    main()\n"
        "finally:\n"
        "    print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", listing],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    slow = {"rich", "anyio", "aiosqlite", "sqlite3", "msgspec", "yaml", "psutil"}
    assert not slow & set(done.stderr.split())


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and keeps what it gets."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True
