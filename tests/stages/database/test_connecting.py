"""Which data dirs some daemons take for others (rule D1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.database.connecting import note_odd_place


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param("/srv/ao", None, id="D1-plain"),
        pytest.param(
            "/srv/a#b",
            'the path of the data dir "/srv/a#b" has a #; daemons of mid-2026 open '
            "another file for it",
            id="D1-hash",
        ),
        pytest.param(
            "/srv/50%?",
            'the path of the data dir "/srv/50%?" has a ? and a %; daemons of mid-2026 '
            "open another file for it",
            id="D1-question-mark-and-percent",
        ),
    ],
)
def test_data_dir_that_some_daemons_take_for_another_is_noted(
    path: str, text: str | None
) -> None:
    found = note_odd_place(Path(path))

    assert [(note.kind, note.project_id, note.text) for note in found] == (
        [("data-dir", None, text)] if text else []
    )
