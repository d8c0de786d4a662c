"""Checkouts whose git configuration wants to be executed, and a git that hangs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.scene import RUN_SECONDS, Scene

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or sys.platform == "win32",
    reason="git and a shell are needed",
)

# Each would leave the file `{mark}` behind if it were ever executed.
HOSTILE_CONFIG = """\
[core]
\tfsmonitor = touch {mark}.fsmonitor
\tsshCommand = touch {mark}.ssh
\thooksPath = {hooks}
\tpager = touch {mark}.pager
\teditor = touch {mark}.editor
\taskPass = touch {mark}.askpass
\tgitProxy = touch {mark}.proxy
\talternateRefsCommand = touch {mark}.alternates
[alias]
\tremote = !touch {mark}.alias
\tget-url = !touch {mark}.alias2
[pager]
\tremote = touch {mark}.pager2
[credential]
\thelper = !touch {mark}.credential
[filter "x"]
\tprocess = touch {mark}.filter
\tsmudge = touch {mark}.filter2
[diff]
\texternal = touch {mark}.diff
[gpg]
\tprogram = touch {mark}.gpg
[uploadpack]
\tpackObjectsHook = touch {mark}.pack
[protocol]
\tallow = always
[include]
\tpath = {included}
[remote "origin"]
\turl = {url}
\tuploadpack = touch {mark}.uploadpack
\tvcs = x
"""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path.resolve() / "home")


def write_repository(scene: Scene, url: str, extra: str = "") -> Path:
    """Make a repository of the project `own` that wants to be executed."""
    git = scene.home / "repos" / "own" / ".git"
    subprocess.run(["git", "init", "-q", str(git.parent)], check=True, timeout=60)
    mark = scene.home / "executed"
    hooks = scene.home / "hooks"
    for name in ("post-checkout", "reference-transaction", "fsmonitor-watchman"):
        hook = scene.write(hooks / name, f"#!/bin/sh\ntouch {mark}.hook\n")
        hook.chmod(0o755)
    included = scene.write("included", f"[core]\n\tpager = touch {mark}.included\n")
    config = HOSTILE_CONFIG.format(mark=mark, hooks=hooks, included=included, url=url)
    scene.write(git / "config", config + extra)
    scene.legacy = scene._look_at_legacy()

    return mark


def assert_nothing_executed(scene: Scene) -> None:
    assert [
        path for path in scene.home.iterdir() if path.name.startswith("executed")
    ] == []
    scene.assert_legacy_untouched()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/own.git",
        "ext::sh -c touch% x",
        "--upload-pack=x",
        "git@h:o",
    ],
)
def test_a_hostile_repository_executes_nothing(scene: Scene, url: str) -> None:
    write_repository(scene, url)
    run = scene.run()

    assert run.status == 0, run.stderr
    assert_nothing_executed(scene)
    assert scene.row("projects", "own")["repo_origin_url"] == url


@pytest.mark.slow
def test_a_rewritten_origin_is_text_like_another(scene: Scene) -> None:
    extra = "[url \"ext::sh -c 'touch executed' \"]\n\tinsteadOf = https://\n"
    write_repository(scene, "https://example.com/own.git", extra)
    run = scene.run()

    assert run.status == 0, run.stderr
    assert_nothing_executed(scene)
    assert "\n" not in scene.row("projects", "own")["repo_origin_url"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "extra",
    [
        "[broken",
        "[include]\n\tpath = config\n",
        "[core]\n\trepositoryformatversion = 99\n",
    ],
    ids=["broken", "includes-itself", "from-the-future"],
)
def test_a_broken_repository_has_no_origin(scene: Scene, extra: str) -> None:
    write_repository(scene, "https://example.com/own.git", extra)
    run = scene.run()

    assert run.status == 0, run.stderr
    assert_nothing_executed(scene)
    assert scene.row("projects", "own")["repo_origin_url"] == ""


def test_a_link_in_place_of_the_repository_hangs_nothing(scene: Scene) -> None:
    os.mkfifo(scene.home / "repos" / "own" / ".git")
    scene.legacy = scene._look_at_legacy()
    run = scene.run()

    assert run.status == 0, run.stderr
    scene.assert_legacy_untouched()


def hanging_git(scene: Scene, tmp_path: Path) -> dict[str, str]:
    """Return an environment in which git never ends, and says so in a file."""
    programs = tmp_path / "bin"
    programs.mkdir()
    git = programs / "git"
    git.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/asked\nexec sleep 600\n")
    git.chmod(0o755)
    scene.write("repos/own/.git/HEAD", "ref: refs/heads/main\n")

    return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False

    return True


@pytest.mark.slow
def test_a_git_that_hangs_costs_its_time_limit_alone(
    scene: Scene, tmp_path: Path
) -> None:
    run = scene.run(environment=hanging_git(scene, tmp_path))

    assert run.status == 0, run.stderr
    assert run.report["projectsImported"] == 4
    assert scene.row("projects", "own")["repo_origin_url"] == ""
    assert not is_alive(int((tmp_path / "asked").read_text()))


def test_an_import_that_waits_for_git_is_interrupted_at_once(
    scene: Scene, tmp_path: Path
) -> None:
    environment = scene.environment | hanging_git(scene, tmp_path)
    asked = tmp_path / "asked"
    with subprocess.Popen(
        scene.command(),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + RUN_SECONDS
        while not asked.exists() or not asked.read_text().strip():
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        # Much less than git has; much more than a busy machine needs.
        _, stderr = process.communicate(timeout=8)

    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert not is_alive(int(asked.read_text()))
    assert scene.import_cleanly().projects.keys() == {"app", "moved", "old", "own"}
