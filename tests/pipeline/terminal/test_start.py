"""`start`: the offer and what is said in it, then the command in place of the process."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pipeline.command import (
    TIMEOUT_SECONDS,
    ao_import,
    environment,
    on_terminal,
)
from tests.support import Store, snapshot

QUESTION = "Found existing AO projects and sessions. Import them now? [Y/n] "
DECLINED = (
    "Continuing fresh. Run ao-import import later to bring in your existing data.\n"
)
GREETING = "the application runs\n"
GREET = ("--", sys.executable, "-c", "print('the application runs')")
UNTOUCHED = "Continuing fresh; legacy data is untouched.\n"

needs_exec = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="here no process becomes another one"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.project()
    store.record()

    return store


@contextmanager
def populated(store: Store) -> Iterator[sqlite3.Connection]:
    """The store imported, and a connection to the database."""
    assert ao_import(store.home, "import", "--yes").status == 0
    connection = sqlite3.connect(store.database)
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("answer", ["\n", "y\n", " YES \n"])
def test_a_yes_imports_and_then_the_command_runs(store: Store, answer: str) -> None:
    status, seen = on_terminal(
        store.home, "start", *GREET, answers=[(QUESTION, answer)]
    )

    assert status == 0
    assert seen.startswith(QUESTION)
    assert "Projects:       1 imported, 0 already present\n" in seen
    assert seen.endswith(GREETING)
    assert store.rows("SELECT id FROM projects") == [("app",)]


@pytest.mark.parametrize(
    ("answer", "echo"),
    [
        pytest.param("n\n", "n\n", id="no"),
        pytest.param("yesterday\n", "yesterday\n", id="anything-else"),
        pytest.param("\x03", "^C\n", id="ctrl-c"),
        pytest.param("\x04", "\n", id="end-of-file"),
    ],
)
def test_a_no_imports_nothing_and_the_command_runs(
    store: Store, answer: str, echo: str
) -> None:
    before = snapshot(store.home)

    status, seen = on_terminal(
        store.home, "start", *GREET, answers=[(QUESTION, answer)]
    )

    assert (status, seen) == (0, QUESTION + echo + DECLINED + GREETING)
    assert snapshot(store.home) == before


def test_after_the_answer_the_terminal_is_the_commands(store: Store) -> None:
    program = "print(input('who? ').upper())"

    status, seen = on_terminal(
        store.home,
        "start",
        "--",
        sys.executable,
        "-c",
        program,
        answers=[(QUESTION, "n\n"), ("who? ", "ada\n")],
    )

    assert (status, seen) == (0, f"{QUESTION}n\n{DECLINED}who? ada\nADA\n")


def test_without_a_terminal_there_is_one_line_and_never_an_import(store: Store) -> None:
    before = snapshot(store.home)

    done = ao_import(store.home, "start", *GREET)

    hint = (
        f"Found existing AO projects at {store.root}. "
        "Run ao-import import to bring them in.\n"
    )
    assert done == (0, GREETING, hint)
    assert snapshot(store.home) == before


def test_without_a_store_there_is_silence_and_no_directory_is_made(
    tmp_path: Path,
) -> None:
    assert on_terminal(tmp_path, "start", *GREET) == (0, GREETING)
    assert ao_import(tmp_path, "start", *GREET) == (0, GREETING, "")
    assert list(tmp_path.iterdir()) == []


def test_without_a_store_a_broken_run_file_is_not_our_business(tmp_path: Path) -> None:
    run_file = tmp_path / "running.json"
    run_file.write_text("{", encoding="utf-8")

    done = ao_import(tmp_path, "start", *GREET, env={"AO_RUN_FILE": str(run_file)})

    assert done == (0, GREETING, "")


def test_a_database_with_projects_is_not_offered_any(store: Store) -> None:
    with populated(store):
        assert on_terminal(store.home, "start", *GREET) == (0, GREETING)
        store.config.write_text("projects: [", encoding="utf-8")
        assert ao_import(store.home, "start", *GREET) == (0, GREETING, "")


def test_a_database_whose_projects_are_archived_is_offered_them(store: Store) -> None:
    with populated(store) as connection:
        connection.execute("UPDATE projects SET archived_at = registered_at")
        connection.commit()

    done = ao_import(store.home, "start")

    assert done.stderr.startswith("Found existing AO projects at ")


def test_beside_a_live_daemon_there_is_silence(store: Store) -> None:
    store.write(".ao/running.json", {"pid": os.getpid(), "port": 1})

    status, shown = on_terminal(store.home, "start", *GREET)

    # A terminal whose session ends may drop what nobody has read yet: the line's end.
    assert (status, shown.rstrip()) == (0, GREETING.rstrip())


def test_a_broken_store_is_one_message_and_the_command_runs(store: Store) -> None:
    store.config.write_text("projects: [", encoding="utf-8")
    before = snapshot(store.home)

    done = ao_import(store.home, "start", *GREET)

    assert (done.status, done.stdout) == (0, GREETING)
    assert done.stderr.startswith(f"Import failed: {store.config}: line 1, column 11: ")
    assert done.stderr.endswith(UNTOUCHED)
    assert done.stderr.count("\n") == 1
    assert snapshot(store.home) == before


def test_an_import_that_fails_is_one_message_and_the_command_runs(store: Store) -> None:
    store.write(".ao/data", "a file stands where the data dir belongs")

    status, seen = on_terminal(store.home, "start", *GREET, answers=[(QUESTION, "y\n")])

    failure = seen.removeprefix(f"{QUESTION}y\n").removesuffix(GREETING)
    assert status == 0
    assert failure.startswith(f"Import failed: {store.data_dir}")
    assert failure.endswith(UNTOUCHED)
    assert failure.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a script that stands in for git")
def test_ctrl_c_during_the_import_is_one_message_and_the_command_runs(
    store: Store,
) -> None:
    (store.home / "repos" / "app" / ".git").mkdir(parents=True)
    programs = store.home / "programs"
    programs.mkdir()
    git = programs / "git"  # the import waits for it
    git.write_text("#!/bin/sh\necho asked >/dev/tty\nexec sleep 60\n")
    git.chmod(0o755)
    path = os.pathsep.join((str(programs), os.environ["PATH"]))

    status, seen = on_terminal(
        store.home,
        "start",
        *GREET,
        answers=[(QUESTION, "y\n"), ("asked", "\x03")],
        env={"PATH": path},
    )

    assert status == 0
    assert "Import failed: it was interrupted; importing later continues." in seen
    assert "Traceback" not in seen
    assert seen.endswith(GREETING)
    assert store.rows("SELECT id FROM projects") == []
    assert ao_import(store.home, "import", "--yes").status == 0
    assert store.rows("SELECT id FROM projects") == [("app",)]


def test_where_nobody_reads_the_offer_the_command_runs(store: Store) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as broken:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "start", *GREET],
            env=environment(store.home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=broken,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    assert (done.returncode, done.stdout.decode()) == (0, GREETING)


def test_no_import_means_no_offer(store: Store) -> None:
    assert ao_import(store.home, "start", "--no-import", *GREET) == (0, GREETING, "")


def test_without_a_command_the_offer_is_all(tmp_path: Path) -> None:
    assert ao_import(tmp_path, "start") == (0, "", "")


def test_other_places_are_looked_at_when_named(store: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "home"
    elsewhere.mkdir()
    store.buckets.mkdir(parents=True)

    status, _ = on_terminal(
        elsewhere,
        "start",
        *("--from", str(store.root)),
        *("--data-dir", str(store.data_dir)),
        *("--claude-dir", str(store.buckets)),
        answers=[(QUESTION, "\n")],
    )

    assert status == 0
    assert store.rows("SELECT id FROM projects") == [("app",)]
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("status", [0, 1, 77])
def test_the_commands_status_is_ours(tmp_path: Path, status: int) -> None:
    program = f"raise SystemExit({status})"

    done = ao_import(tmp_path, "start", "--", sys.executable, "-c", program)

    assert done == (status, "", "")


def test_the_commands_own_options_are_left_to_it(tmp_path: Path) -> None:
    program = "import sys; print(sys.argv[1:])"

    done = ao_import(
        tmp_path, "start", sys.executable, "-c", program, "--no-import", "--", "-v"
    )

    assert done == (0, "['--no-import', '--', '-v']\n", "")


@needs_exec
def test_the_command_has_our_process_id_and_our_input(tmp_path: Path) -> None:
    program = "import os, sys; print(os.getpid(), sys.stdin.read())"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pipeline",
            "start",
            "--",
            sys.executable,
            "-c",
            program,
        ],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    said, _ = process.communicate(b"for the application", TIMEOUT_SECONDS)

    assert said.decode() == f"{process.pid} for the application\n"


@needs_exec
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGPIPE", "SIGXFSZ"])
def test_a_signal_does_to_the_command_what_it_does_anywhere(
    tmp_path: Path, name: str
) -> None:
    number = getattr(signal, name)
    # A shell leaves signals as it finds them; Python would set some of them itself.
    command = ("sh", "-c", f"kill -{number:d} $$; echo still here")

    done = ao_import(tmp_path, "start", "--", *command)

    assert done == (-number, "", "")


def test_a_command_that_is_not_there_is_status_127(tmp_path: Path) -> None:
    done = ao_import(tmp_path, "start", "--", "no-such-application")

    assert done == (127, "", "error: there is no command 'no-such-application'.\n")


@needs_exec
def test_a_command_that_may_not_run_is_status_126(tmp_path: Path) -> None:
    file = tmp_path / "application"
    file.write_text("#!/bin/sh\n", encoding="utf-8")

    done = ao_import(tmp_path, "start", "--", str(file))

    assert done == (
        126,
        "",
        f"error: {str(file)!r} cannot be started: Permission denied.\n",
    )


@pytest.mark.parametrize(
    ("program", "status"),
    [
        pytest.param("raise SystemExit(7)", 7, id="status"),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)", 128 + 9, id="signal", marks=needs_exec
        ),
    ],
)
def test_where_no_process_becomes_another_the_status_is_passed_on(
    tmp_path: Path, program: str, status: int
) -> None:
    command = json.dumps([sys.executable, "-c", program])
    ours = f"import sys, pipeline.terminal.start; sys.exit(pipeline.terminal.start.run_beneath({command}))"
    done = subprocess.run(
        [sys.executable, "-c", ours],
        env=environment(tmp_path),
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")
