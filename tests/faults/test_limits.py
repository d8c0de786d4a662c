"""Full disks, few descriptors, small files, read-only targets, sources of somebody else."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.scene import NEEDS_ROOT, Run, Scene, State, can, differences

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]  # looked at before use

CAN_MOUNT = can("unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt")
NEEDS_MOUNT = pytest.mark.skipif(
    not CAN_MOUNT, reason="unshare may not mount a file system here"
)
NEEDS_LIMITS = pytest.mark.skipif(resource is None, reason="there are no limits here")
NOBODY = ["setpriv", "--reuid", "65534", "--clear-groups"]
as_another_user = pytest.mark.skipif(
    not can(*NOBODY, sys.executable, "-c", "import pipeline.terminal.cli, aiosqlite"),
    reason="nobody else can run the program here: not root, no setpriv, or no way in",
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("limits").resolve() / "home")


@pytest.fixture
def wanted(scene: Scene) -> Iterator[State]:
    yield scene.uninterrupted()
    scene.assert_legacy_untouched()


def in_small_file_system(scene: Scene, place: Path, options: str) -> tuple[Run, Run]:
    """Run twice with a small file system over `place`, the second time with more room.

    The mount lives in a namespace of its own and ends with the process. The content is
    copied out where the test can see it.
    """
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o750)
    kept = scene.home / "out" / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    script = (
        'place=$1 options=$2 kept=$3; shift 3; cp -a "$place" "$kept/before"; '
        'mount -t tmpfs -o "$options" none "$place" || exit 99; '
        'cp -a "$kept/before/." "$place/"; '
        '"$@"; status=$?; cp -a "$place/." "$kept/first"; '
        'mount -o remount,size=64m,nr_inodes=10000 none "$place" || exit 98; '
        '"$@" >"$kept/stdout" 2>"$kept/stderr"; echo $? >"$kept/status"; '
        'cp -a "$place/." "$kept/second"; exit $status'
    )
    first = scene.run(
        under=["unshare", "-Urm", "sh", "-c", script, "sh", str(place), options, str(kept)]
    )  # fmt: skip
    assert first.status not in (98, 99), first.stderr
    second = Run(
        status=int((kept / "status").read_text()),
        stdout=(kept / "stdout").read_text(),
        stderr=(kept / "stderr").read_text(),
    )
    return first, second


def put_back(scene: Scene, place: Path, which: str) -> None:
    """Bring what the small file system held to where the test looks for it."""
    shutil.rmtree(place)
    kept = scene.home / "out" / "kept"
    shutil.copytree(kept / which, place, symlinks=True)
    for source in [kept / which, *sorted((kept / which).rglob("*"))]:
        target = place / source.relative_to(kept / which)
        target.chmod(stat.S_IMODE(source.lstat().st_mode))


def data_dir_names(scene: Scene) -> set[str]:
    return set(os.listdir(scene.data_dir))


@pytest.mark.slow
@NEEDS_MOUNT
@pytest.mark.parametrize(
    "options",
    [
        pytest.param("size=4k,mode=0750", id="not-a-page"),
        pytest.param("size=32k,mode=0750", id="in-the-creation"),
        pytest.param("size=128k,mode=0750", id="in-the-log"),
        pytest.param("nr_inodes=2,mode=0750", id="no-inode-for-the-database"),
        pytest.param("nr_inodes=3,mode=0750", id="no-inode-for-the-log"),
    ],
)
def test_a_disk_full_while_the_database_is_made_is_said_and_the_next_run_works(
    scene: Scene, wanted: State, options: str
) -> None:
    first, second = in_small_file_system(scene, scene.data_dir, options)
    put_back(scene, scene.data_dir, "first")

    scene.assert_claims_hold(first)
    assert first.status == 1
    words = ("full", "No space", "unable to open")
    assert any(word in first.stderr for word in words), first.stderr
    assert "running the import again is safe" in first.stderr
    assert second.status == 0, second.stderr
    put_back(scene, scene.data_dir, "second")
    assert data_dir_names(scene) == {".import-notes.json", ".import.lock", "ao.db"}
    shutil.rmtree(scene.home / "out" / "kept")
    assert differences(scene.state(), wanted) == []


@pytest.mark.slow
@NEEDS_MOUNT
@pytest.mark.parametrize("size", ["300k", "1200k", "2200k"])
def test_a_disk_full_of_transcripts_costs_those_that_do_not_fit(
    scene: Scene, wanted: State, size: str
) -> None:
    sources = scene.legacy_size_bytes()
    size_bytes = int(size.removesuffix("k")) * 1024 + sources
    first, second = in_small_file_system(
        scene, scene.buckets, f"size={size_bytes},mode=0755"
    )

    assert first.status == 3, first.stderr
    assert first.report["transcriptsFailed"] > 0
    assert first.report["orchestratorsImported"] == 4
    for problem in first.report["problems"]:
        if problem["severity"] == "failed":
            assert "No space left" in problem["text"]
    kept = scene.home / "out" / "kept"
    left = [path for path in (kept / "first").rglob("*") if "ao-import" in path.name]
    assert left == []
    assert second.status == 0, second.stderr
    assert second.report["transcriptsFailed"] == 0


@pytest.mark.slow
@NEEDS_LIMITS
@pytest.mark.parametrize("count", [12, 16, 20, 24, 28, 36, 64])
def test_few_descriptors_cost_nothing_silently(
    scene: Scene, wanted: State, count: int
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

    run = scene.run(preexec_fn=limit)
    if "Traceback" in run.stderr and "importlib" in run.stderr:
        pytest.skip("Python itself does not start with so few")

    scene.assert_claims_hold(run)
    if run.status == 0:
        assert differences(scene.state(), wanted) == []
    lasting = run.failed_projects()
    assert differences(scene.import_cleanly(), wanted, but=lasting) == []


@pytest.mark.slow
@NEEDS_LIMITS
@pytest.mark.parametrize("size_bytes", [0, 4096, 20_000, 150_000, 500_000])
def test_small_files_cost_nothing_silently(
    scene: Scene, wanted: State, size_bytes: int
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))

    run = scene.run(preexec_fn=limit)

    scene.assert_claims_hold(run)
    assert run.status == (1 if size_bytes < 500_000 else 3), run.stderr
    assert differences(scene.import_cleanly(), wanted) == []


@NEEDS_MOUNT
@pytest.mark.parametrize("target", ["data", "buckets", "report"])
def test_a_read_only_target_is_said(scene: Scene, wanted: State, target: str) -> None:
    place = {
        "data": scene.home / ".ao",
        "buckets": scene.buckets,
        "report": scene.home / "out",
    }[target]
    place.mkdir(parents=True, exist_ok=True)
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 99; shift; "$@"'
    run = scene.run(under=["unshare", "-Urm", "sh", "-c", script, "sh", str(place)])

    if target == "report":  # seen at once
        assert run.status == 2
        assert "nothing can be written" in run.stderr
    else:
        scene.assert_claims_hold(run)
        assert run.status == (3 if target == "buckets" else 1), run.stderr
        assert "Read-only file system" in run.stderr + run.stdout
    assert differences(scene.import_cleanly(), wanted) == []


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that another user can get to, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="ao-import-test-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory).resolve()


@NEEDS_ROOT
@as_another_user
def test_sources_that_one_may_not_read_are_named(open_directory: Path) -> None:
    scene = Scene(open_directory / "home")
    _let_nobody_in(scene)
    sessions = scene.root / "projects" / "app" / "sessions"
    for unreadable in (
        sessions / "app-orchestrator.json",
        scene.root / "projects" / "moved" / "sessions",
        scene.home / "repos" / "own" / "agent-orchestrator.yaml",
    ):
        unreadable.chmod(0)
    run = scene.run(under=NOBODY)

    scene.assert_claims_hold(run)
    assert run.status == 3, run.stderr
    failed = {p["project"] for p in run.report["problems"] if p["severity"] == "failed"}
    assert failed == {"app", "moved", "own"}
    assert run.report["projectsImported"] == 4


@NEEDS_ROOT
@as_another_user
@pytest.mark.parametrize("what", ["config.yaml", ".", "portfolio/preferences.json"])
def test_a_store_that_one_may_not_read_is_no_empty_store(
    open_directory: Path, what: str
) -> None:
    scene = Scene(open_directory / "home")
    _let_nobody_in(scene)
    (scene.root / what).chmod(0)
    run = scene.run(under=NOBODY)

    assert run.status in (1, 2), run.stdout  # 2: the option itself is refused
    assert "Permission denied" in run.stderr or "not readable" in run.stderr


@NEEDS_ROOT
@as_another_user
def test_a_checkout_that_one_may_not_look_into_is_named(open_directory: Path) -> None:
    """Its own file may be there: that it cannot be seen does not make it missing."""
    scene = Scene(open_directory / "home")
    _let_nobody_in(scene)
    (scene.home / "repos" / "own").chmod(0)
    run = scene.run(under=NOBODY)

    assert run.status == 3, run.stdout
    assert [
        p["project"] for p in run.report["problems"] if p["kind"] == "own-file"
    ] == ["own"]


@pytest.mark.slow
@NEEDS_ROOT
@as_another_user
@pytest.mark.parametrize("target", ["data", "database", "buckets", "bucket"])
def test_targets_that_one_may_not_write_are_said(
    open_directory: Path, target: str
) -> None:
    scene = Scene(open_directory / "home")
    _let_nobody_in(scene)
    if target == "database":
        assert scene.run(under=NOBODY).status == 0
    place = {
        "data": scene.home / ".ao",
        "database": scene.database,
        "buckets": scene.buckets,
        "bucket": scene.new_bucket("app", "app"),
    }[target]
    if target != "database":
        place.mkdir(exist_ok=True)
    os.chown(place, 0, 0)
    place.chmod(0o555 if place.is_dir() else 0o444)
    if target == "database":  # a project that has to be written
        scene.configure({"more": {"path": "/repos/more"}})
    run = scene.run(under=NOBODY)

    assert run.status == (3 if target.startswith("bucket") else 1), run.stderr
    assert "Traceback" not in run.stderr
    assert "should not have happened" not in run.stderr
    said = run.stderr + run.stdout
    assert "Permission denied" in said or "forbids writing" in said


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_modes_do_not_follow_the_umask(scene: Scene, wanted: State, umask: int) -> None:
    if sys.platform == "win32":
        pytest.skip("modes mean nothing here")
    scene.report_file.parent.mkdir()
    run = scene.run("--no-progress", umask=umask)

    assert run.status == 0, run.stderr
    found = scene.state()
    for name, mode in found.names.items():
        assert stat.S_IMODE(mode) == (0o750 if name == ".ao/data" else 0o600), name
    assert found.transcripts == wanted.transcripts
    scene.assert_legacy_untouched()


def _let_nobody_in(scene: Scene) -> None:
    """Give the home to the user that the program runs as."""
    (scene.home / "out").mkdir()
    for place in [scene.home, *scene.home.rglob("*")]:
        os.chown(place, 65534, 65534)
