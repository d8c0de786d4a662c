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

from pipeline.demo import write_demo_store
from pipeline.summary import REMEDIES
from stages.discover.behaviour import BEHAVIOUR_FIELDS
from tests.pipeline.command import REPOSITORY, TIMEOUT_SECONDS, environment, install

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
SHELLS = {"sh": "sh", "bash": "bash", "zsh": "zsh", "fish": "fish"}
# What is made anew each time: the name of the demo's directory.
MADE_UP = re.compile(r"\S*ao-import-demo-\w+")
KIND = re.compile(r"[a-z]+(?:-[a-z]+)*")


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)

    return [Block(*block) for block in found if block[0] in languages]


def commands() -> list[Block]:
    """Return what is typed; of the two lines that install, what follows after that."""
    found = []
    for block in blocks(*SHELLS):
        *installing, last = block.text.split(" && ")
        text = last.replace(".venv/bin/", "") if installing else block.text
        # This very test would run in itself without end.
        if "pytest" not in text:
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


def test_the_pictures_are_there() -> None:
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"|!\[[^\]]*\]\(([^)]+)\)', README)

    assert pictures
    for picture in pictures:
        assert (REPOSITORY / (picture[0] or picture[1])).is_file()


def test_each_kind_of_note_is_explained() -> None:
    table = README.partition("## When something is noted")[2].partition("\n## ")[0]
    explained = {
        kind
        for line in table.splitlines()
        if line.startswith("| `")
        for kind in re.findall(r"`([a-z-]+)`", line.split("|")[1])
    }

    assert explained == kinds_in_the_code()


def test_each_failure_has_something_to_do() -> None:
    assert set(REMEDIES) <= kinds_in_the_code()
    assert failed_kinds_in_the_readme() <= set(REMEDIES)


@pytest.mark.parametrize("field", sorted(BEHAVIOUR_FIELDS))
def test_each_field_of_behaviour_is_in_the_tables(field: str) -> None:
    tables = README.partition("## What comes across")[2].partition("\n## ")[0]

    assert re.search(rf"`{field}\b", tables)


def failed_kinds_in_the_readme() -> set[str]:
    table = README.partition("| **failed**")[2].partition("| **lossy**")[0]

    return set(re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE))


def kinds_in_the_code() -> set[str]:
    """Return each word that a note is made with, whichever way it is handed on."""
    found: set[str] = {"project-changed", "session-changed"}  # put together there
    for folder in ("stages", "pipeline"):
        for file in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                found |= _kinds(node)

    return found


def _kinds(node: ast.AST) -> set[str]:
    values: list[ast.expr] = []
    is_keyword = isinstance(node, ast.keyword) and node.arg == "kind"
    is_name = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "kind"
    if isinstance(node, ast.keyword | ast.Assign) and (is_keyword or is_name):
        values.append(node.value)
    elif isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called == "_note":
            values += node.args[1:2]
        elif called in ("losses.add", "self._find"):
            values += node.args[:1]

    return {
        value.value
        for value in values
        if isinstance(value, ast.Constant)
        and isinstance(value.value, str)
        and KIND.fullmatch(value.value)
    }
