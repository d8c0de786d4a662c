from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import pipeline.terminal.cli
from tests.pipeline.command import ao_import, environment, install, on_terminal
from tests.support import UUID, Store, lifecycle, snapshot

CONTRACT_KEYS = {
    "dryRun",
    "projectsImported",
    "projectsSkipped",
    "projectsInvalid",
    "orchestratorsImported",
    "orchestratorsSkipped",
    "orchestratorsAbsent",
    "transcriptsRelocated",
    "transcriptsPresent",
    "transcriptsMissing",
    "transcriptsFailed",
    "transcriptBytes",
    "notes",
    "problems",
    "seconds",
    "sessionsRead",
    "filesSkipped",
    "version",
    "root",
    "dataDir",
    "claudeDir",
    "startedAt",
    "status",
    "interrupted",
    "projects",
    "projectsConflicting",
    "sessionsLeft",
    "orchestratorsPresent",
}
LOST = (
    "error: the output could not be written: {}. "
    "What was imported is there all the same.\n"
)
QUESTION = "Import projects and orchestrator sessions from {root}? [Y/n] "
USAGE = "Usage: ao-import {command} [OPTIONS]\nTry 'ao-import {command} --help' for help.\n\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A home with one project, its orchestrator, its transcript and one lossy setting."""
    store = Store(tmp_path)
    store.project(sessionPrefix="app", agentConfig={"permissions": "suggest"})
    worktree = store.home / "gone" / "app"  # one that is there would be noted (L9)
    store.record(claudeSessionUuid=UUID, worktree=str(worktree), lifecycle=lifecycle())
    store.write(store.bucket(worktree) / f"{UUID}.jsonl", "x" * 2048)

    return store


@pytest.fixture
def partial(store: Store) -> Store:
    """The same, with an entry that cannot be imported."""
    path = str(store.home / "repos" / "app")
    settings = {"sessionPrefix": "app", "agentConfig": {"permissions": "skip"}}
    store.configure({"app": {"path": path, **settings}, "bad": {}})

    return store


SUMMARY = """\
Projects:       1 imported, 0 already present
Orchestrators:  1 imported, 0 skipped, 0 absent
Transcripts:    1 relocated (2.0 KiB)

Notes:
  - app: agentConfig permission "suggest" mapped lossily to "default" [permissions]
    To do: choose another in the new application

Check that all is there, and whether the old store can be deleted:
  $ python -m pipeline verify
"""


def test_an_import_and_a_second_one(store: Store) -> None:
    assert ao_import(store.home, "import") == (0, SUMMARY, "")
    assert ao_import(store.home, "import") == (
        0,
        "Projects:       0 imported, 1 already present\n"
        "Orchestrators:  0 imported, 1 already present, 0 skipped, 0 absent\n"
        "Transcripts:    0 relocated, 1 already present\n"
        "\n"
        "Nothing is left to import.\n",
        "",
    )
    assert ao_import(store.home, "import", "--quiet") == (0, "", "")
    assert store.rows("SELECT id FROM sessions") == [("app-orchestrator",)]


def test_a_dry_run_is_a_plan_and_writes_nothing(store: Store) -> None:
    before = snapshot(store.home)
    status, stdout, stderr = ao_import(store.home, "import", "--dry-run")

    assert (status, stderr) == (0, "")
    assert re.sub(r"[\d.]+ \w+ free", "1.0 TiB free", stdout) == (
        "Dry run: nothing was written. An import would do this:\n"
        "\n"
        "Whole, 1 project:\n"
        "  app  project, orchestrator, transcript (2.0 KiB)\n"
        "\n"
        "Space:          2.0 KiB needed for transcripts, 1.0 TiB free there\n"
        "\n"
        + SUMMARY.partition("Check that")[0]
        + "Carry this out:\n  $ python -m pipeline import\n"
    )
    assert snapshot(store.home) == before


def test_a_dry_run_says_the_same_as_json(store: Store) -> None:
    status, stdout, stderr = ao_import(store.home, "import", "--dry-run", "--json")
    report = json.loads(stdout)

    assert (status, stderr) == (0, "")
    assert report.keys() >= CONTRACT_KEYS
    assert report["projects"] == [
        {
            "id": "app",
            "project": "imported",
            "orchestrator": "imported",
            "transcript": "relocated",
            "transcriptBytes": 2048,
            "why": [],
        }
    ]
    assert report["transcriptBytes"] == 2048
    assert report["freeBytes"] > 0


def test_a_dry_run_says_what_is_left_out_and_why(partial: Store) -> None:
    status, stdout, _ = ao_import(partial.home, "import", "--dry-run", "--json")

    assert status == 3
    assert [(item["id"], item["why"]) for item in json.loads(stdout)["projects"]] == [
        ("app", []),
        ("bad", ["not imported: its entry has no path"]),
    ]


def test_too_little_space_is_said_before_anything_is_written(store: Store) -> None:
    free = shutil.disk_usage(store.home).free
    transcript = store.bucket(store.home / "gone" / "app") / f"{UUID}.jsonl"
    try:
        os.truncate(transcript, free + 2**40)  # a hole: it takes no room
    except OSError:
        pytest.skip("this file system has no files with holes, or none so large")

    status, stdout, stderr = ao_import(store.home, "import", "--dry-run")

    assert (status, stderr) == (3, "")
    assert "free there: TOO LITTLE SPACE\n" in stdout
    assert (
        "Could not be brought across:\n  - too little space: the transcripts" in stdout
    )
    assert not store.data_dir.exists()


@pytest.mark.parametrize("extra", [(), ("--json",), ("-q",)])
def test_a_run_that_lacks_something_ends_with_three_and_a_report(
    partial: Store, extra: tuple[str, ...]
) -> None:
    file = partial.home / "report.json"
    status, stdout, stderr = ao_import(
        partial.home, "import", "--report", str(file), *extra
    )
    report = json.loads(file.read_bytes())
    title = "Could not be brought across:\n"
    failure = "  - bad: not imported: its entry has no path [invalid-project]\n"

    assert status == 3
    assert report.keys() >= CONTRACT_KEYS
    assert report["problems"] == [
        {
            "project": "bad",
            "kind": "invalid-project",
            "severity": "failed",
            "source": str(partial.config),
            "text": "not imported: its entry has no path",
        }
    ]
    if extra == ("--json",):
        assert (json.loads(stdout), stderr) == (report, "")
    elif extra == ("-q",):
        assert (stdout, stderr) == ("", title + failure)
    else:
        assert stderr == ""
        assert stdout == (
            "Projects:       1 imported, 0 already present, 1 invalid\n"
            "Orchestrators:  1 imported, 0 skipped, 0 absent\n"
            "Transcripts:    1 relocated (2.0 KiB)\n"
            f"\n{title}{failure}"
            f"    Source: {partial.config}\n"
            "    To do: correct the entry in the configuration and import again\n\n"
            "All else is there. Importing again is safe and brings in the rest.\n"
            "Keep the old store: what could not be brought across is only there.\n"
        )
    assert not list(partial.home.glob("*.part"))


def test_a_report_that_cannot_be_written_is_refused_before_the_import(
    store: Store,
) -> None:
    file = store.home / "missing" / "report.json"

    assert ao_import(store.home, "import", "--report", str(file)) == (
        2,
        "",
        f"error: {file} cannot be written: there is no directory {file.parent}; "
        "choose another file for the report.\n",
    )
    assert not store.data_dir.exists()


@pytest.mark.skipif(os.name != "posix", reason="needs the permissions of POSIX")
@pytest.mark.parametrize("umask", ["000", "777"])
def test_a_report_is_its_owners_whatever_the_umask(store: Store, umask: str) -> None:
    script = f'umask {umask}; exec "$@"'
    words = (sys.executable, "-m", "pipeline", "import", "-n", "--report", "r.json")
    subprocess.run(
        ["sh", "-c", script, "sh", *words],
        env=environment(store.home),
        cwd=store.home,
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert (store.home / "r.json").stat().st_mode & 0o777 == 0o600


def test_a_report_to_stdout_is_all_that_is_there(store: Store) -> None:
    status, stdout, stderr = ao_import(store.home, "import", "--report", "-")

    assert (status, stderr) == (0, "")
    assert json.loads(stdout)["projectsImported"] == 1
    assert not (store.home / "-").exists()


def test_a_mistyped_root_is_wrong_use_for_a_status_too(tmp_path: Path) -> None:
    (tmp_path / "typo").touch()
    done = ao_import(tmp_path, "status", "--from", "typo")

    assert (done.status, done.stdout) == (2, "")
    assert "typo is no directory" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(["--from", "repos"], 2, "repos is no directory", id="root"),
        pytest.param(["--claude-dir", "typo"], 2, "typo is no directory", id="buckets"),
        pytest.param(
            ["--claude-dir", ".claude"],
            2,
            ".claude is the home of Claude Code, not the directory of its transcripts; "
            "name {home}/.claude/projects.",
            id="home-of-claude-code",
        ),
        pytest.param(
            ["--data-dir", ".agent-orchestrator/data"],
            2,
            "data lies in the legacy store {home}/.agent-orchestrator,",
            id="data-dir-in-the-store",
        ),
        pytest.param(["--config", "typo"], 1, "typo cannot be read", id="config"),
    ],
)
def test_a_place_that_is_not_fit_is_refused_before_anything_is_written(
    store: Store, arguments: list[str], status: int, said: str
) -> None:
    store.write("repos", "a file")
    before = snapshot(store.home)
    done = ao_import(store.home, "import", *arguments)

    assert (done.status, done.stdout) == (status, "")
    assert said.format(home=store.home) in done.stderr
    assert done.stderr.count("\n") == 1
    assert snapshot(store.home) == before


def test_progress_in_a_pipe_is_lines_on_stderr(store: Store) -> None:
    status, stdout, stderr = ao_import(store.home, "import", "--progress")

    assert (status, stdout) == (0, SUMMARY)
    assert stderr.splitlines()[-1] == (
        "sessions read 1/1, rows written 1/1, transcripts 1/1, 2.0 KiB"
    )


def test_a_broken_configuration_is_one_sentence_with_its_place(store: Store) -> None:
    store.write(store.config, "projects: [")
    status, stdout, stderr = ao_import(store.home, "import")

    assert (status, stdout) == (1, "")
    place = re.escape(f"error: {store.config}: line ") + r"\d+, column \d+: "
    assert re.match(place, stderr)
    assert stderr.count("\n") == 1


def test_nothing_to_import_is_no_error(tmp_path: Path) -> None:
    root = tmp_path / ".agent-orchestrator"
    text = f"No legacy AO projects found at {root}. Nothing to import."

    assert ao_import(tmp_path, "import") == (0, f"{text}\n", "")
    status, stdout, stderr = ao_import(tmp_path, "import", "--json")
    assert (status, stderr) == (0, "")
    assert json.loads(stdout)["notes"] == [text]
    assert list(tmp_path.iterdir()) == []


def test_a_live_daemon_is_named_and_nothing_is_done(store: Store) -> None:
    store.write(".ao/running.json", {"pid": os.getpid(), "port": 1})

    assert ao_import(store.home, "import", "--dry-run") == (
        2,
        "",
        f"error: the AO daemon is running (pid {os.getpid()}); stop it first with "
        "`ao stop`, then import again.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "command", "problem"),
    [
        pytest.param(
            ["imprt"],
            "COMMAND [ARGS]...",
            "No such command 'imprt'. Did you mean 'import'?",
            id="command",
        ),
        pytest.param(
            ["xyzzy"],
            "COMMAND [ARGS]...",
            "No such command 'xyzzy'.",
            id="command-like-none",
        ),
        pytest.param(
            ["import", "--dryrun"],
            "import",
            "No such option '--dryrun'. Did you mean '--dry-run'?",
            id="option",
        ),
        pytest.param(
            ["verify", "--projct", "app"],
            "verify",
            "No such option '--projct'. Did you mean '--project'?",
            id="option-with-a-value",
        ),
    ],
)
def test_a_mistyped_word_is_answered_with_what_it_resembles(
    tmp_path: Path, arguments: list[str], command: str, problem: str
) -> None:
    status, stdout, stderr = ao_import(tmp_path, *arguments)

    assert (status, stdout) == (2, "")
    # How click quotes an option differs between its versions.
    said = re.sub(r"'?(--?[\w-]+)'?", r"\1", stderr.splitlines()[-1])
    assert said == "Error: " + re.sub(r"'?(--?[\w-]+)'?", r"\1", problem)


def test_a_mistyped_project_is_answered_with_what_it_resembles(store: Store) -> None:
    assert ao_import(store.home, "import", "--project", "ap") == (
        2,
        "",
        'error: no legacy project is called "ap". Did you mean "app"?\n',
    )


def test_a_project_that_is_excluded_is_left_out_and_must_be_known(
    partial: Store,
) -> None:
    done = ao_import(partial.home, "import", "--json", "--exclude", "bad")
    report = json.loads(done.stdout)

    assert done.status == 0
    assert [project["id"] for project in report["projects"]] == ["app"]
    assert ao_import(partial.home, "import", "--exclude", "bda") == (
        2,
        "",
        'error: no legacy project is called "bda". Did you mean "bad"?\n',
    )


COMMANDS = sorted(pipeline.terminal.cli.commands.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_examples_that_are_right(command: str) -> None:
    assert_examples(pipeline.terminal.cli.commands.commands[command])


def test_the_program_has_examples_that_are_right() -> None:
    assert_examples(pipeline.terminal.cli.commands)


def assert_examples(command: click.Command) -> None:
    text = command.get_help(click.Context(command, info_name="ao-import"))
    section = text.partition("Examples:\n")[2].partition("\n\n")[0]
    examples = re.findall(r"^ +ao-import (\S.*?)(?:  .*)?$", section, re.MULTILINE)

    assert examples
    for example in examples:
        name, *words = example.partition(" > ")[0].split()
        pipeline.terminal.cli.commands.commands[name].make_context(name, words)


def test_help_explains_statuses_and_completion(tmp_path: Path) -> None:
    _, stdout, _ = ao_import(tmp_path, "--help")

    assert all(f"\n    {status} " in stdout for status in ("0", "1", "2", "3", "130"))
    for shell in ("bash", "zsh", "fish"):
        assert f"_AO_IMPORT_COMPLETE={shell}_source" in stdout


@pytest.mark.parametrize("columns", [60, 80])
def test_help_fits_the_terminal(tmp_path: Path, columns: int) -> None:
    status, shown = on_terminal(tmp_path, "import", "--help", columns=columns)

    assert status == 0
    assert max(map(len, shown.partition("Options:")[2].splitlines())) <= columns


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_has_a_script_for_each_shell(shell: str, tmp_path: Path) -> None:
    env = {"_AO_IMPORT_COMPLETE": f"{shell}_source"}
    status, stdout, _ = ao_import(tmp_path, env=env)

    assert status == 0
    assert "_ao_import_completion" in stdout
    assert f"_AO_IMPORT_COMPLETE={shell}_complete" in stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("imp", "import"),
        ("import --dry", "--dry-run"),
    ],
)
def test_completion_completes_commands_and_options(
    shell: str, typed: str, wanted: str, tmp_path: Path
) -> None:
    words = f"ao-import {typed}"
    last = typed.split()[-1] if shell == "fish" else str(len(typed.split()))
    env = {
        "_AO_IMPORT_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": last,
    }
    status, stdout, stderr = ao_import(tmp_path, env=env)

    assert (status, stderr) == (0, "")
    assert wanted in re.split(r"[\s,]+", stdout)


def test_completion_works_in_a_real_bash(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("this machine has no bash")
    install(tmp_path)
    path = f"{tmp_path}{os.pathsep}{environment(tmp_path)['PATH']}"
    script = (
        'eval "$(_AO_IMPORT_COMPLETE=bash_source ao-import)" || exit 9\n'
        "complete -p ao-import\n"
        "COMP_WORDS=(ao-import imp) COMP_CWORD=1\n"
        "_ao_import_completion ao-import\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        [bash, "-c", script],
        env=environment(tmp_path, PATH=path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.splitlines()[-1] == "import"


@pytest.mark.parametrize(
    ("typed", "end"),
    [
        pytest.param("\n", "verify\n", id="enter"),
        pytest.param("n\n", "Import cancelled.\n", id="no"),
        pytest.param("what?\n", "Import cancelled.\n", id="anything-else"),
        pytest.param("\x04", "Import cancelled.\n", id="end-of-input"),
    ],
)
def test_on_a_terminal_it_asks_first(store: Store, typed: str, end: str) -> None:
    question = QUESTION.format(root=store.root)
    status, shown = on_terminal(
        store.home, "import", columns=200, answers=[("[Y/n] ", typed)]
    )

    assert status == 0
    assert shown.startswith(question)
    assert shown.endswith(end)
    assert store.database.exists() is (end == "verify\n")


def test_ctrl_c_ends_it_with_130(store: Store) -> None:
    status, shown = on_terminal(store.home, "import", answers=[("[Y/n] ", "\x03")])

    assert status == 130
    assert shown.endswith(
        "\nInterrupted. Nothing is half-written; importing again continues.\n"
    )
    assert not store.data_dir.exists()


def test_a_narrow_terminal_gets_hanging_lines_and_colours(store: Store) -> None:
    status, shown = on_terminal(store.home, "import", "--yes", columns=40)

    assert status == 0
    assert "\x1b[1mNotes:\x1b[0m\n" in shown
    assert shown.partition("Notes:\x1b[0m\n")[2].partition("\n\n")[0] == (
        '  - app: agentConfig permission\n    "suggest" mapped lossily to\n'
        '    "default" [permissions]\n    To do: choose another in the new\n'
        "           application"
    )


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_left_out_where_they_are_not_wanted(
    store: Store, env: dict[str, str]
) -> None:
    status, shown = on_terminal(store.home, "import", "--yes", columns=100, env=env)

    assert status == 0
    assert "\x1b" not in shown
    # A terminal that cannot move its cursor gets the progress as a line.
    assert shown.endswith(SUMMARY)


def test_text_that_the_encoding_lacks_is_escaped(store: Store) -> None:
    store.project("app", agentConfig={"permissions": "größtes 日"})
    env = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}

    status, stdout, stderr = ao_import(
        store.home, "import", env=env, encoding="latin-1"
    )
    assert (status, stderr) == (0, "")
    assert 'agentConfig permission "größtes \\u65e5" mapped lossily' in stdout

    status, stdout, stderr = ao_import(
        store.home, "import", "--dry-run", "--json", env=env
    )
    assert (status, stderr) == (0, "")
    assert json.loads(stdout)["projectsSkipped"] == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="names there are always UTF-8")
def test_names_that_are_no_text_are_escaped(tmp_path: Path) -> None:
    try:
        home = tmp_path / os.fsdecode(b"caf\xe9")
        home.mkdir()
    except OSError:
        pytest.skip("this file system takes only names that are text")
    store = Store(home)
    store.configure({"app": {"path": "/app"}, "bad": {}})
    store.write(
        store.root / "projects" / "app" / "sessions" / os.fsdecode(b"\xff.json"), "{"
    )
    store.write(
        store.root / "projects" / "app" / "sessions" / "app-orchestrator.json", "{"
    )
    env = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    report = home / "report.json"

    for arguments in (
        ("import", "--report", os.fsencode(report)),
        ("status",),
        ("verify", "--json"),
        ("import", "--json", "--report", os.fsencode(home / "none" / "r.json")),
    ):
        status, stdout, stderr = ao_import(home, *arguments, env=env)
        assert "Traceback" not in stdout + stderr
        assert "should not have happened" not in stderr
        assert stdout or status == 2
    sources = [
        problem["source"] for problem in json.loads(report.read_bytes())["problems"]
    ]
    assert any("caf\\udce9" in source for source in sources)


def test_a_reader_of_stdout_that_has_gone_is_no_traceback(store: Store) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "import"],
            env=environment(store.home),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert (done.returncode, done.stderr) == (1, LOST.format("Broken pipe").encode())
    assert store.rows("SELECT id FROM sessions") == [("app-orchestrator",)]


def test_closed_streams_are_no_traceback(store: Store) -> None:
    if shutil.which("sh") is None:
        pytest.skip("this machine has no sh")
    command = f'"{sys.executable}" -m pipeline import <&- >&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", command], env=environment(store.home), timeout=60, check=False
    )

    assert done.returncode == 1  # the summary could not be written
    assert store.rows("SELECT id FROM sessions") == [("app-orchestrator",)]


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        pytest.param("<&-", 0, "", id="stdin"),
        pytest.param(">&-", 1, "Bad file descriptor", id="stdout"),
        pytest.param("2>&-", 0, "", id="stderr"),
        pytest.param("> /dev/full", 1, "No space left on device", id="full"),
    ],
)
@pytest.mark.parametrize(
    "command", ["import --yes", "import -n --json", "status", "verify --json", "--help"]
)
def test_an_output_that_cannot_be_written_is_one_sentence(
    store: Store, command: str, redirection: str, status: int, said: str
) -> None:
    if shutil.which("sh") is None or not os.path.exists("/dev/full"):
        pytest.skip("this machine has no sh or no /dev/full")
    assert ao_import(store.home, "import", "-q").status == 0
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m pipeline {command} {redirection}'],
        env=environment(store.home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == status
    assert done.stderr.decode() == (LOST.format(said) if said else "")
    assert bool(done.stdout) is (status == 0)


def test_a_failure_is_a_document_too(store: Store) -> None:
    store.write(store.config, "projects: [")
    status, stdout, stderr = ao_import(store.home, "import", "--json")
    document = json.loads(stdout)

    assert (status, document["status"]) == (1, "failed")
    assert stderr == f"error: {document['error']}\n"


def test_status_says_what_there_is_and_what_comes_next(store: Store) -> None:
    assert ao_import(store.home, "status") == (
        0,
        f"Legacy store:   {store.root}\n"
        "Projects:       1, of them 0 imported and 1 pending\n"
        f"Database:       {store.database}\n"
        "Daemon:         not running\n"
        "\n"
        "Look at the plan:\n"
        "  $ python -m pipeline import --dry-run\n",
        "",
    )
    assert json.loads(ao_import(store.home, "status", "--json").stdout) == {
        "available": True,
        "root": str(store.root),
        "projects": 1,
        "imported": 0,
        "pending": 1,
        "leftOut": 0,
        "database": str(store.database),
        "daemon": None,
        "error": None,
    }


def test_a_status_of_a_broken_store_is_a_value(store: Store) -> None:
    store.write(store.config, "projects: 1")
    status, stdout, stderr = ao_import(store.home, "status", "--json")
    found: dict[str, Any] = json.loads(stdout)

    assert (status, stderr, found["available"]) == (0, "", False)
    assert found["error"].startswith(f"{store.config}: line 1, column ")


def test_the_next_command_names_the_same_places(store: Store) -> None:
    root = store.home / "an older store"
    shutil.copytree(store.root, root)
    status, stdout, _ = ao_import(
        store.home, "import", "--from", str(root), "--data-dir", "d", "--project", "app"
    )

    assert status == 0
    assert stdout.endswith(
        f"  $ python -m pipeline verify --from '{root}' --data-dir d --project app\n"
    )


def test_each_option_has_a_help_text() -> None:
    for name in COMMANDS:
        for parameter in pipeline.terminal.cli.commands.commands[name].params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"


def test_list_shows_each_project_with_its_state(partial: Store) -> None:
    assert ao_import(partial.home, "list") == (0, "app  pending\nbad  invalid\n", "")
    ao_import(partial.home, "import")
    listed = json.loads(ao_import(partial.home, "list", "--json").stdout)
    assert listed["projects"] == [
        {"id": "app", "state": "imported"},
        {"id": "bad", "state": "invalid"},
    ]


def test_notes_shows_again_what_an_import_has_said(partial: Store) -> None:
    permissions = {"agentConfig": {"permissions": "suggest"}}
    partial.configure({"app": {"path": "/app", **permissions}, "bad": {}})
    none = ao_import(partial.home, "notes")
    file = partial.data_dir / ".import-notes.json"
    assert none == (0, f"No import has left notes: there is no {file}.\n", "")

    ao_import(partial.home, "import")
    ao_import(partial.home, "import")  # it says of its rows nothing any more
    status, stdout, stderr = ao_import(partial.home, "notes")

    assert (status, stderr) == (0, "")
    assert stdout.partition("\n\n")[2] == (
        "Could not be brought across:\n"
        "  - bad: not imported: its entry has no path [invalid-project]\n"
        f"    Source: {partial.config}\n"
        "    To do: correct the entry in the configuration and import again\n"
        "\n"
        "Notes:\n"
        '  - app: agentConfig permission "suggest" mapped lossily to "default" '
        "[permissions]\n"
        "    To do: choose another in the new application\n"
    )


@pytest.mark.parametrize(
    ("narrowed", "kinds"),
    [
        (["--kind", "permissions"], ["permissions"]),
        (["--project", "bad"], ["invalid-project"]),
        (["--project", "bad", "--kind", "permissions"], []),
    ],
)
def test_notes_can_be_narrowed(
    partial: Store, narrowed: list[str], kinds: list[str]
) -> None:
    permissions = {"agentConfig": {"permissions": "suggest"}}
    partial.configure({"app": {"path": "/app", **permissions}, "bad": {}})
    ao_import(partial.home, "import")

    status, stdout, stderr = ao_import(partial.home, "notes", "--json", *narrowed)

    assert (status, stderr) == (0, "")
    assert [each["kind"] for each in json.loads(stdout)["problems"]] == kinds


@pytest.mark.parametrize("arguments", [["explain"], ["notes", "--kind"]])
def test_a_mistyped_kind_is_answered_with_what_it_resembles(
    tmp_path: Path, arguments: list[str]
) -> None:
    status, stdout, stderr = ao_import(tmp_path, *arguments, "worktree-stay")

    assert (status, stdout) == (2, "")
    assert 'There is no kind of note "worktree-stay". Did you mean worktree-stays' in (
        stderr
    )


def test_explain_says_what_a_kind_means_and_what_to_do(tmp_path: Path) -> None:
    status, stdout, stderr = ao_import(tmp_path, "explain", "terminal")

    assert (status, stderr) == (0, "")
    assert "Means:          the only orchestrator has ended\n" in stdout
