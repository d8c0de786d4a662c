"""The recipe for a job array does what it says, line by line of a list."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pipeline.command import REPOSITORY, environment, install
from tests.pipeline.fleet.test_store import fill
from tests.support import Store

README = (REPOSITORY / "pipeline" / "README.md").read_text(encoding="utf-8")

NEEDS_SHELL = pytest.mark.skipif(
    shutil.which("bash") is None or shutil.which("setpriv") is None,
    reason="this machine has no bash, or no setpriv",
)


def job(directory: Path, number: int) -> int:
    """Run one job of the array, and return its status."""
    [script] = re.findall(r"^```bash\n(#!.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (directory / "bin").mkdir(exist_ok=True)
    install(directory / "bin")
    found = environment(directory)
    done = subprocess.run(
        ["bash", "-c", script],
        env={
            **found,
            "PATH": f"{directory / 'bin'}:{found['PATH']}",
            "HOMES": str(directory / "homes.txt"),
            "REPORTS": str(directory),
            "SLURM_ARRAY_TASK_ID": str(number),
        },
        cwd=REPOSITORY,
        check=False,
    )

    return done.returncode


@NEEDS_SHELL
def test_each_line_of_the_list_is_one_import_with_its_status(tmp_path: Path) -> None:
    good, bad = fill(Store(tmp_path / "good")), Store(tmp_path / "bad one")
    bad.write(bad.config, "projects: [\n")
    (tmp_path / "homes.txt").write_text(f"{good.home}\n{bad.home}\n")

    assert [job(tmp_path, 1), job(tmp_path, 2)] == [0, 1]
    assert json.loads((tmp_path / "1.json").read_text())["projectsImported"] == 1
    assert (tmp_path / "2.status").read_text() == f"1 {bad.home}\n"
    assert good.rows("SELECT id FROM projects") == [("app",)]


@NEEDS_SHELL
def test_the_same_line_again_leaves_alone_what_is_there(tmp_path: Path) -> None:
    store = fill(Store(tmp_path / "home"))
    (tmp_path / "homes.txt").write_text(f"{store.home}\n")

    assert [job(tmp_path, 1), job(tmp_path, 1)] == [0, 0]
    report = json.loads((tmp_path / "1.json").read_text())
    assert (report["projectsImported"], report["projectsSkipped"]) == (0, 1)
