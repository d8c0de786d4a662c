from __future__ import annotations

import os
import re
from pathlib import Path

from tests.pipeline.command import ao_import


def test_the_demo_imports_its_own_store_and_touches_nothing_else(
    tmp_path: Path,
) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    env = {"TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
    status, stdout, stderr = ao_import(home, "demo", env=env)
    (directory,) = temporary.iterdir()

    assert (status, stderr) == (0, "")
    assert stdout.startswith("Projects:       3 imported, 0 already present\n")
    assert f"Database:       {directory / 'data' / 'ao.db'}\n" in stdout
    assert (directory / "data" / "ao.db").is_file()
    assert list(home.iterdir()) == []

    # The command that it names finds everything.
    command = re.search(r"\$ python -m pipeline (verify .*)", stdout)
    assert command is not None
    status, stdout, stderr = ao_import(home, *command[1].split(), env=env)
    assert (status, stderr) == (0, "")
    assert "\nEverything that comes across has arrived.\n" in stdout


def test_the_demo_runs_beside_a_live_daemon(tmp_path: Path) -> None:
    run_file = tmp_path / "running.json"
    run_file.write_text(f'{{"pid": {os.getpid()}}}', encoding="utf-8")
    env = {
        "AO_RUN_FILE": str(run_file),
        "TMPDIR": str(tmp_path),
        "TEMP": str(tmp_path),
        "TMP": str(tmp_path),
    }

    assert ao_import(tmp_path, "demo", env=env).status == 0
