"""What the README shows is what happens: its commands are run, its tables are complete."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.terminal.demo import write_demo_store
from stages.discover.behaviour import BEHAVIOUR_FIELDS
from stages.notes import KINDS
from tests.pipeline.command import REPOSITORY, TIMEOUT_SECONDS, environment, install

FOLDERS = ("", "bench", "pipeline", "stages")
DOCUMENTS = {
    folder: (REPOSITORY / folder / "README.md").read_text(encoding="utf-8")
    for folder in FOLDERS
}
README = DOCUMENTS[""]
SHELLS = {"sh": "sh", "bash": "bash", "zsh": "zsh", "fish": "fish"}
# What is made anew each time: the name of the demo's directory.
MADE_UP = re.compile(r"\S*ao-import-demo-\w+")
KIND = re.compile(r"[a-z]+(?:-[a-z]+)*")


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    text = "\n".join((README, DOCUMENTS["pipeline"]))
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    return [Block(*block) for block in found if block[0] in languages]


def commands() -> list[Block]:
    """Return what is typed; of the two lines that install, what follows after that."""
    found = []
    for block in blocks(*SHELLS):
        *installing, last = block.text.split(" && ")
        text = last.replace(".venv/bin/", "") if installing else block.text
        # This very test would run in itself without end; a fleet has tests of its own.
        if not re.search("pytest|fleet|dask|sbatch|^#!", text):
            found.append(Block(block.language, text))

    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a legacy store where it is looked for, and the program on the path."""
    directory = write_demo_store()
    home = tmp_path_factory.mktemp("reader") / "home"
    shutil.move(directory / "home", home)
    directory.rmdir()
    config = home / ".agent-orchestrator" / "config.yaml"
    text = config.read_text(encoding="utf-8").replace(
        str(directory / "home"), str(home)
    )
    config.write_text(text, encoding="utf-8")
    (home / "bin").mkdir()
    (home / "tmp").mkdir()
    install(home / "bin")

    return home


def run(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = f"{home / 'bin'}:{environment(home)['PATH']}"

    return subprocess.run(
        command,
        env=environment(home, PATH=path, TMPDIR=str(home / "tmp"), LC_ALL="C.UTF-8"),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("block", commands(), ids=lambda block: block.text.strip()[:50])
def test_each_command_runs_as_it_stands(home: Path, block: Block) -> None:
    shell = shutil.which(SHELLS[block.language])
    if shell is None:
        pytest.skip(f"this machine has no {block.language}")

    done = run(home, shell, "-ec", block.text)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_output_shown_is_the_output_written(home: Path) -> None:
    if shutil.which("sh") is None:
        pytest.skip("this machine has no sh")
    shown = blocks("console")

    assert shown
    for block in shown:
        command, _, output = block.text.partition("\n")
        done = run(home, "sh", "-ec", command.removeprefix("$ "))
        assert MADE_UP.sub("DEMO", done.stdout) == MADE_UP.sub("DEMO", output)


def test_the_python_shown_runs(home: Path) -> None:
    shown = blocks("python")

    assert shown
    for block in shown:
        ast.parse(block.text)
    done = run(home, sys.executable, "-c", shown[0].text)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].endswith("projects would be imported")


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_linked_is_there(folder: str) -> None:
    pattern = r'(?:src|srcset)="([^"]+)"|\[[^\]]*\]\(([^)]+)\)'
    links = [one or other for one, other in re.findall(pattern, DOCUMENTS[folder])]

    assert links or folder == "stages"
    for link in links:
        if "://" not in link:
            assert (REPOSITORY / folder / link.partition("#")[0]).is_file()


def test_each_kind_of_note_is_explained() -> None:
    table = (
        DOCUMENTS["pipeline"]
        .partition("## When something is noted")[2]
        .partition("\n## ")[0]
    )

    assert [line for line in table.splitlines() if line.startswith("| `")] == [
        f"| `{name}` | {kind.says} | {kind.to_do or 'nothing'} |"
        for name, kind in KINDS.items()
    ]


def test_each_failure_has_something_to_do() -> None:
    assert all(kind.to_do for kind in KINDS.values() if kind.severity == "failed")


@pytest.mark.parametrize("field", sorted(BEHAVIOUR_FIELDS))
def test_each_field_of_behaviour_is_in_the_tables(field: str) -> None:
    tables = (
        DOCUMENTS["stages"].partition("## What comes across")[2].partition("\n## ")[0]
    )

    assert re.search(rf"`{field}\b", tables)
