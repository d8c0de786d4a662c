"""Stores that lie: names that lead out, files that are none, texts that explode."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.scene import Run, Scene, differences
from tests.support import snapshot

UUID = "0b9c3f1e-2222-4444-8888-abcdefabcdef"
CAN_LINK = hasattr(os, "symlink")
NEEDS_FIFO = pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="there are no FIFOs here"
)
SECRET = "SECRET-OUTSIDE-OF-EVERY-ROOT"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path.resolve() / "home")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that no import may read by a name in a record, nor ever change."""
    directory = tmp_path.resolve() / "outside"
    directory.mkdir()
    (directory / "precious").write_text(SECRET)
    (directory / f"{UUID}.jsonl").write_text(SECRET)

    return directory


def run_safely(
    scene: Scene, *, outside: Path | None = None, shows_summary: bool = False
) -> Run:
    """Run, and check what holds for every store however hostile."""
    before = snapshot(outside) if outside else {}
    run = scene.run()
    said = run.stdout + run.stderr

    assert run.status in (0, 1, 2, 3), said
    assert "Traceback" not in said
    assert "should not have happened" not in said
    assert SECRET not in said
    if outside:
        assert snapshot(outside) == before
    for name, (mode, content) in scene.transcripts().items():
        assert content is None or SECRET.encode() not in content, name
        assert not stat.S_ISLNK(mode), name
        assert "ao-import" not in name, name
    if run.status in (0, 3):
        json.loads(run.stdout)
        assert json.loads(scene.report_file.read_bytes()) == json.loads(run.stdout)
    if shows_summary:  # it has to bear all of it as well
        text = subprocess.run(
            [word for word in scene.command("-v", "--dry-run") if word != "--json"],
            env=scene.environment,
            capture_output=True,
            timeout=60,
        )
        assert b"Traceback" not in text.stderr
        assert b"should not have happened" not in text.stderr, text.stderr

    return run


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc", "a/../../outside", "..", "a\0b", "x" * 300, "\ud83d", "ａ"],
)
def test_names_that_lead_out_lead_nowhere(
    scene: Scene, outside: Path, name: str
) -> None:
    shared = {"path": str(scene.home / "repos" / "app"), "registeredAt": 1770000000}
    text = json.dumps(
        {
            "projects": {
                name: shared,
                "by-key": {"path": "/repos/a", "storageKey": name},
                "by-prefix": {"path": "/repos/b", "sessionPrefix": name},
                "by-path": {"path": name},
                "uuid": {"path": "/repos/c"},
                "worktree": {"path": "/repos/d"},
            }
        }
    )
    scene.write(scene.config, text)
    target = scene.worktree("app")
    scene.record(
        "uuid", "uuid-orchestrator", worktree=str(target), claudeSessionUuid=name
    )
    scene.record(
        "worktree", "worktree-orchestrator", worktree=name, claudeSessionUuid=UUID
    )
    run = run_safely(scene, outside=outside)

    assert run.status in (0, 1, 3)
    if run.status != 1:
        ids = [row[0] for row in scene.rows("SELECT id FROM projects")]
        assert name not in ids or len(name) == 300
        assert all(
            row[0] in ("", UUID)
            for row in scene.rows("SELECT agent_session_id FROM sessions")
        )


@pytest.mark.parametrize("depth", [1_500, 1_000_000])
@pytest.mark.parametrize("uuid", ["", UUID])
def test_worktree_deeper_than_all_reason_costs_its_transcript_alone(
    scene: Scene, depth: int, uuid: str
) -> None:
    scene.configure({"app": {"path": "/repos/app"}, "other": {"path": "/repos/other"}})
    scene.record(
        "app", "app-orchestrator", worktree="/d" * depth, claudeSessionUuid=uuid
    )
    scene.record("other", "other-orchestrator")
    run = run_safely(scene)

    assert run.status == 0
    assert len(scene.rows("SELECT id FROM sessions")) == 2


@pytest.mark.slow
@pytest.mark.skipif(not CAN_LINK, reason="there are no links here")
@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(lambda s, o: link(s.new_bucket(), o), id="destination-bucket"),
        pytest.param(
            lambda s, o: link(s.new_bucket() / f"{UUID}.jsonl", o / "precious"),
            id="destination",
        ),
        pytest.param(
            lambda s, o: link(s.new_bucket() / f"{UUID}.jsonl", o / "not-there"),
            id="destination-to-nothing",
        ),
        pytest.param(lambda s, o: link(s.new_bucket() / UUID, o), id="sidecar"),
    ],
)
def test_planted_links_at_a_destination_are_refused(
    scene: Scene, outside: Path, plant: Callable[[Scene, Path], None]
) -> None:
    plant(scene, outside)
    run = scene.run()

    assert run.status == 3, run.stderr
    assert run.report["transcriptsFailed"] == 1
    assert "is not followed" in run.stdout
    assert sorted(os.listdir(outside)) == sorted([f"{UUID}.jsonl", "precious"])
    assert (outside / "precious").read_text() == SECRET


@pytest.mark.skipif(not CAN_LINK, reason="there are no links here")
@pytest.mark.parametrize("kind", ["part", "d"])
def test_planted_working_names_are_removed_not_followed(
    scene: Scene, outside: Path, kind: str
) -> None:
    wanted = scene.uninterrupted()
    scene.new_bucket().mkdir(0o750)
    scene.new_bucket().chmod(0o750)
    link(scene.new_bucket() / f".{UUID}.ao-import-{kind}", outside)
    run_safely(scene, outside=outside)

    assert differences(scene.state(), wanted) == []


@pytest.mark.slow
@pytest.mark.skipif(not CAN_LINK, reason="there are no links here")
@pytest.mark.parametrize(
    "name", [".import.lock", "ao.db", "ao.db-wal", "ao.db-journal"]
)
@pytest.mark.parametrize("target", ["precious", "not-there", "empty"])
def test_planted_links_in_the_data_dir_change_nothing_outside(
    scene: Scene, outside: Path, name: str, target: str
) -> None:
    (outside / "empty").touch()
    scene.data_dir.mkdir(parents=True)
    link(scene.data_dir / name, outside / target)
    run = run_safely(scene, outside=outside)

    if name in (".import.lock", "ao.db"):
        assert run.status == 1, run.stdout


@pytest.mark.skipif(not CAN_LINK, reason="there are no links here")
def test_a_linked_sessions_directory_and_records_are_read_as_what_they_are(
    scene: Scene, outside: Path
) -> None:
    sessions = scene.root / "projects" / "app" / "sessions"
    moved = sessions.rename(scene.home / "elsewhere")
    link(sessions, moved)
    link(moved / "app-2.json", Path("/dev/zero"))
    link(moved / "app-3.json", moved / "app-3.json")
    link(moved / "app-4.json", moved / "nothing")
    link(moved / "app-5.json", outside)
    run = run_safely(scene, outside=outside)

    assert run.status == 0, run.stdout
    assert run.report["orchestratorsImported"] == 4


@pytest.mark.slow
@NEEDS_FIFO
@pytest.mark.parametrize("kind", ["fifo", "device", "directory"])
@pytest.mark.parametrize(
    ("place", "statuses"),
    [
        (".agent-orchestrator/config.yaml", {1, 2}),
        (".agent-orchestrator/portfolio/preferences.json", {0, 1}),
        (".agent-orchestrator/portfolio/registered.json", {0, 1}),
        (".agent-orchestrator/projects/app/orchestrator.json", {0}),
        (".agent-orchestrator/projects/app/sessions/app-orchestrator.json", {0}),
        (".agent-orchestrator/0a1b2c3d4e5f-old/sessions/old-orchestrator", {0}),
        ("repos/own/agent-orchestrator.yaml", {3}),
        (".ao/running.json", {1}),
        (".ao/data/ao.db", {1}),
        (".ao/data/.import.lock", {0, 1}),
        ("out/report.json", {1, 2}),
    ],
)
def test_what_is_no_file_is_never_read(
    scene: Scene, tmp_path: Path, place: str, statuses: set[int], kind: str
) -> None:
    file = scene.home / place
    file.unlink(missing_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    make_special(file, kind)
    run = run_safely(scene)

    allowed = statuses | ({1, 2} if kind == "directory" else set())
    assert run.status in allowed, run.stdout + run.stderr
    assert stat.S_IFMT(file.lstat().st_mode) != stat.S_IFREG, "it was replaced"


@pytest.mark.slow
@NEEDS_FIFO
@pytest.mark.parametrize("kind", ["fifo", "device", "socket"])
def test_what_is_no_file_beside_a_transcript_is_left_out(
    scene: Scene, kind: str
) -> None:
    bucket = scene.bucket(scene.worktree("app"))
    make_special(bucket / UUID / "special", kind)
    run = run_safely(scene)

    assert run.status == 0, run.stdout
    assert "were left out" in run.stdout
    assert not (scene.new_bucket() / UUID / "special").exists()


@pytest.mark.slow
@NEEDS_FIFO
@pytest.mark.parametrize("kind", ["fifo", "device", "socket", "endless"])
def test_what_is_no_transcript_is_not_copied(scene: Scene, kind: str) -> None:
    bucket = scene.bucket(scene.worktree("app"))
    (bucket / f"{UUID}.jsonl").unlink()
    make_special(bucket / f"{UUID}.jsonl", kind)
    run = run_safely(scene)

    assert run.report["transcriptsRelocated"] == 2
    assert not (scene.new_bucket() / f"{UUID}.jsonl").exists()


def test_names_that_are_no_utf_8_never_stop_a_note_a_report_or_a_summary(
    scene: Scene,
) -> None:
    bad = os.fsdecode(b"b\xff\xfed")
    sessions = scene.root / "projects" / "app" / "sessions"
    try:
        (sessions / f"{bad}.json").write_text("damaged")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such names")
    (sessions / f"{bad}2.json").write_text('{"role": "orchestrator"}')
    (sessions / f"{bad}3.json").mkdir()
    (sessions / "large.json").symlink_to(sessions / bad)
    v1 = scene.root / "0a1b2c3d4e5f-old" / "sessions"
    (v1 / bad).write_text("damaged, without any pair")
    (scene.root / f"0a1b2c3d4e5f-{bad}" / "sessions").mkdir(parents=True)
    bucket = scene.bucket(scene.worktree("app"))
    (bucket / UUID / bad).write_text("a name like others")
    os.symlink("nowhere", bucket / UUID / f"{bad}-link")
    (scene.buckets / bad).mkdir()
    run = run_safely(scene, shows_summary=True)

    assert run.status in (0, 3), run.stderr
    assert (scene.new_bucket() / UUID / bad).read_text() == "a name like others"
    assert "\\xff" in run.stdout or "\\udcff" in run.stdout
    for command in ("status", "verify"):
        done = subprocess.run(
            [
                *scene.command()[:3],
                command,
                *(
                    "--from",
                    str(scene.root),
                    "--data-dir",
                    str(scene.data_dir),
                    "--json",
                ),
                *(("--claude-dir", str(scene.buckets)) if command == "verify" else ()),
            ],
            env=scene.environment,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode in (0, 1), done.stderr
        assert b"should not have happened" not in done.stderr, done.stderr
        json.loads(done.stdout)


def test_places_that_are_no_utf_8_are_places_like_others(tmp_path: Path) -> None:
    home = tmp_path.resolve() / os.fsdecode(b"h\xff")
    try:
        scene = Scene(home)
    except (OSError, UnicodeError):
        pytest.skip("this file system, or YAML, takes no such names")
    scene.configure({"app": {"path": "relative"}, "abs": {"path": "/repos/abs"}})
    run = run_safely(scene, shows_summary=True)

    assert run.status in (0, 3), run.stderr
    assert "app" in run.stdout or run.report["projectsImported"] == 2


def test_names_that_differ_by_case_alone_are_two(scene: Scene) -> None:
    sessions = scene.root / "projects" / "app" / "sessions"
    shutil.copy(sessions / "app-orchestrator.json", sessions / "APP-orchestrator.json")
    scene.configure(
        {
            name: {"path": f"/repos/{name}"}
            for name in ("app", "App", "APP", "a.b", "a-b")
        }
    )
    run = run_safely(scene)

    assert run.status in (0, 3)
    assert run.report["projectsImported"] == 5


def test_two_sessions_with_one_transcript_and_one_bucket_copy_it_once(
    scene: Scene,
) -> None:
    """The slugs of `a-b` and `a_b` are the same."""
    ids = ["a-b", "a_b"]
    scene.configure({name: {"path": f"/repos/{name}"} for name in ids})
    for name in ids:
        scene.record(
            name,
            f"{name}-orchestrator",
            worktree=str(scene.worktree("app")),
            claudeSessionUuid=UUID,
        )
    run = run_safely(scene)

    assert run.status == 0, run.stdout
    assert scene.published() == [UUID]
    assert run.report["transcriptsRelocated"] == 1
    assert run.report["transcriptsPresent"] == len(ids) - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "content", "statuses"),
    [
        ("config.yaml", "projects: " + "[" * 100_000, {1}),
        ("config.yaml", "projects: " + "{a: " * 100_000, {1}),
        ("config.yaml", "projects: " + "- " * 100_000, {1}),
        ("config.yaml", "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40)), {1}),
        ("config.yaml", "projects: &a\n  b: *a\n", {1}),
        ("config.yaml", "projects: {a: {path: &a /p, <<: [*a]}}", {1}),
        ("config.yaml", "%YAML 9.9\n---\n!!python/object:os.system x", {1, 0}),
        ("config.yaml", "\0\0\0\0", {1}),
        ("portfolio/preferences.json", "[" * 100_000, {0}),
        ("portfolio/registered.json", '{"projects":' * 50_000, {0}),
        ("projects/app/sessions/app-orchestrator.json", "[" * 100_000, {3}),
        ("projects/app/sessions/app-orchestrator.json", '{"a":' * 100_000, {3}),
        ("projects/app/sessions/app-orchestrator.json", '{"lifecycle": "' + '{\\"a\\":' * 100_000 + '"}', {0}),
        ("projects/app/sessions/app-orchestrator.json", '{"role":"orchestrator","createdAt":' + "9" * 100_000 + "}", {0, 3}),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else "",
)  # fmt: skip
def test_texts_that_explode_are_refused(
    scene: Scene, place: str, content: str, statuses: set[int]
) -> None:
    scene.write(scene.root / place, content)
    run = run_safely(scene)

    assert run.status in statuses, run.stdout + run.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "statuses"),
    [
        ("config.yaml", {1}),
        ("portfolio/preferences.json", {0, 1}),
        ("projects/app/sessions/app-orchestrator.json", {3}),
        ("../repos/own/agent-orchestrator.yaml", {3}),
    ],
)
def test_files_beyond_all_size_are_not_read(
    scene: Scene, place: str, statuses: set[int]
) -> None:
    file = scene.write(scene.root / place, "")
    os.truncate(file, 1 << 40)  # sparse: it takes no room
    run = run_safely(scene)

    assert run.status in statuses, run.stdout + run.stderr


def test_a_sidecar_deeper_than_all_reason_ends(scene: Scene) -> None:
    bucket = scene.bucket(scene.worktree("app"))
    deep = bucket / UUID
    for _ in range(60):
        deep = deep / "d"
    deep.mkdir(parents=True)
    scene.new_bucket().mkdir(0o750)
    left = os.open(scene.new_bucket(), os.O_RDONLY)
    os.mkdir(f".{UUID}.ao-import-d", dir_fd=left)
    here = os.open(f".{UUID}.ao-import-d", os.O_RDONLY, dir_fd=left)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    os.close(left)
    run = scene.run()
    said = run.stdout + run.stderr
    subprocess.run(["rm", "-rf", str(scene.new_bucket())], check=True)

    assert run.status == 3, said
    assert "should not have happened" not in said
    assert run.report["orchestratorsImported"] == 4
    assert run.report["transcriptsRelocated"] >= 2


def link(place: Path, target: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def make_special(file: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "directory":
        file.mkdir()
    elif kind == "endless":  # a regular file that claims no size and has no end
        if not Path("/proc/kmsg").exists():
            pytest.skip("there is no such file here")
        file.symlink_to("/proc/kmsg")
    else:
        here = os.getcwd()
        os.chdir(file.parent)  # the path of a socket may only be short
        try:
            with closing(socket.socket(socket.AF_UNIX)) as server:
                server.bind(file.name)
        finally:
            os.chdir(here)
