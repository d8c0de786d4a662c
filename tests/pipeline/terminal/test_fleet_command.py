"""`ao-import fleet`: what it is told, and how it ends where no cluster is needed for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.command import Result, ao_import, environment

# What is not installed cannot be loaded, and the other way round.
WITHOUT_DASK = """\
import sys

sys.modules["distributed"] = None
from pipeline.terminal.cli import main

main()
"""


def without_dask(home: Path, *arguments: str, stdin: bytes = b"") -> Result:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DASK, "fleet", *arguments],
        env=environment(home),
        cwd=home,
        input=stdin,
        capture_output=True,
        check=False,
    )

    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_without_the_extra_one_sentence_says_how_to_install_it(tmp_path: Path) -> None:
    assert without_dask(tmp_path, str(tmp_path)) == Result(
        1,
        "",
        "error: a fleet needs Dask, which is not installed: "
        "pip install 'ao-import[fleet]'\n",
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param([], "Missing argument 'HOMES...'", id="no-homes"),
        pytest.param(["none*"], "no directory matches 'none*'.", id="no-match"),
        pytest.param(["-"], "the list of homes is empty.", id="an-empty-list"),
        pytest.param(
            [".", "--scheduler", "tcp://x:1", "--workers", "2"],
            "--workers is for this machine; a scheduler has its own.",
            id="workers-of-a-scheduler",
        ),
        pytest.param(
            [".", "--at-once", "0"], "0 is not in the range", id="none-at-once"
        ),
    ],
)
def test_wrong_use_is_a_sentence_and_status_2(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = ao_import(tmp_path, "fleet", *arguments)

    assert (done.status, done.stdout) == (2, "")
    assert says in done.stderr


def test_reports_that_cannot_be_written_are_refused_before_the_first_store(
    tmp_path: Path,
) -> None:
    done = ao_import(tmp_path, "fleet", ".", "--reports", "nowhere/reports.jsonl")

    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("error: nowhere/reports.jsonl could not be written: ")


def test_a_list_of_homes_comes_from_standard_input(tmp_path: Path) -> None:
    pytest.importorskip(
        "distributed", reason="Dask is not installed: pip install 'ao-import[fleet]'"
    )
    (tmp_path / "a b").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "fleet", "-", "--dry-run", "-q"],
        env=environment(tmp_path),
        cwd=tmp_path,
        input=f"{tmp_path / 'a b'}\n\n{tmp_path / 'gone'}\n".encode(),
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[:2] == ["Without a legacy store:", f"  - {tmp_path / 'a b'}"]
    assert lines[3] == "Failed:"
    assert lines[4].startswith(f"  - {tmp_path / 'gone'}: ")
