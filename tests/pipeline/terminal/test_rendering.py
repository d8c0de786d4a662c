from __future__ import annotations

import pytest

from pipeline.terminal.rendering import Line, format_bytes, render

MIB = 1024**2


@pytest.mark.parametrize(
    ("line", "fitted"),
    [
        pytest.param(Line("Projects:       12 imported"), None, id="it-fits"),
        pytest.param(
            Line("Orchestrators:  9 imported, 2 skipped, 4 absent", hang=16),
            "Orchestrators:  9 imported, 2 skipped, 4\n                absent",
            id="below-a-label",
        ),
        pytest.param(
            Line("  - app: the new application has no place for tracker", hang=4),
            "  - app: the new application has no\n    place for tracker",
            id="below-a-note",
        ),
        pytest.param(
            Line("  a-long-id-of-a-project  import; orchestrator: import", hang=26),
            "  a-long-id-of-a-project  import;\n    orchestrator: import",
            id="no-room-below-the-label",
        ),
        pytest.param(
            Line("  $ ao-import verify --from /a/very/long/path", "command"),
            None,
            id="command",
        ),
        pytest.param(
            Line("  - プロジェクト: プロジェクト と プロジェクト です", hang=4),
            "  - プロジェクト: プロジェクト と\n    プロジェクト です",
            id="wide",
        ),
        pytest.param(
            Line("  - at /a/path/that/is/wider/than/the/line/is no", hang=4),
            "  - at\n    /a/path/that/is/wider/than/the/line/is\n    no",
            id="a-path-stays-whole",
        ),
    ],
)
def test_what_does_not_fit_goes_on_below_its_own_text(
    line: Line, fitted: str | None
) -> None:
    assert render([line], 40) == (fitted or line.text)
    assert render([line]) == line.text


def test_titles_are_bold_and_alarms_red() -> None:
    lines = [
        Line("Could not be brought across:", "alarm"),
        Line("  - a: b"),
        Line(""),
        Line("Notes:", "title"),
        Line("  - Other: c"),
    ]

    assert render(lines, 80, has_colours=True) == (
        "\x1b[31m\x1b[1mCould not be brought across:\x1b[0m\n  - a: b\n\n"
        "\x1b[1mNotes:\x1b[0m\n  - Other: c"
    )


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (5 * MIB, "5.0 MiB"),
        (3 * 1024**3, "3.0 GiB"),
        (2048 * 1024**4, "2048.0 TiB"),
    ],
)
def test_sizes_are_in_units_of_1024(size_bytes: int, text: str) -> None:
    assert format_bytes(size_bytes) == text
