"""Each file-system call of one import fails in turn, or is the last one that it makes.

The calls are recorded with strace. Then the same import runs again and again, each time
with a fault at another call; a clean run after it must lead to what an uninterrupted one
makes. A sample runs by default; AO_IMPORT_ALL_FAULTS=1 runs every point.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.faults.scene import Scene, State, can, differences

RUNS_ALL = bool(os.environ.get("AO_IMPORT_ALL_FAULTS"))
SAMPLE = 36  # points, of some hundreds; spread evenly over all calls and faults

_CAN_TRACE = can("strace", "-o", os.devnull, "-e", "inject=close:error=EIO:when=65535", "true")  # fmt: skip

pytestmark = pytest.mark.skipif(
    not _CAN_TRACE, reason="strace is missing or may not trace here"
)

# What each call is made to say. A write of 0 bytes is the short one: of any other count
# strace would claim bytes that were never written, which no file system does.
_NO_ROOM = ("error=ENOSPC", "error=EROFS")
FAULTS = {
    "openat": ("error=EMFILE", "error=EIO", *_NO_ROOM),
    "read": ("error=EIO",),
    "pread64": ("error=EIO", "retval=0"),
    "write": ("error=ENOSPC", "error=EIO", "retval=0"),
    "pwrite64": ("error=ENOSPC", "error=EIO", "retval=0"),
    "copy_file_range": ("error=ENOSPC", "error=EIO", "retval=0", "retval=7"),
    "fsync": ("error=EIO", "error=ENOSPC"),
    "fdatasync": ("error=EIO", "error=ENOSPC"),
    "ftruncate": ("error=EIO", "error=ENOSPC"),
    "fallocate": ("error=EIO", "error=ENOSPC"),
    "mkdir": _NO_ROOM,
    "mkdirat": _NO_ROOM,
    "link": ("error=EIO", *_NO_ROOM),
    "linkat": ("error=EIO", "error=EPERM", *_NO_ROOM),
    "rename": ("error=EIO", *_NO_ROOM),
    "renameat": ("error=EIO", *_NO_ROOM),
    "renameat2": ("error=EIO", *_NO_ROOM),
    "unlink": ("error=EIO", "error=EROFS"),
    "unlinkat": ("error=EIO", "error=EROFS"),
    "chmod": ("error=EIO", "error=EROFS"),
    "fchmod": ("error=EIO", "error=EROFS"),
    "fchmodat": ("error=EIO", "error=EROFS"),
    "getdents64": ("error=EIO",),
    "newfstatat": ("error=EIO",),
    "fstat": ("error=EIO",),
    "stat": ("error=EIO",),
    "lstat": ("error=EIO",),
    "statx": ("error=EIO",),
    "flock": ("error=EIO", "error=ENOLCK"),
    "fcntl": ("error=EIO", "error=ENOLCK"),
    "lseek": ("error=EIO",),
    "readlink": ("error=EIO",),
}
# Before these a kill leaves another picture than before the call that follows.
KILLED = [
    "openat",
    "pwrite64",
    "write",
    "copy_file_range",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "mkdir",
    "mkdirat",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "chmod",
    "fchmod",
    "fchmodat",
    "flock",
    "close",
]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: which call, which of them in its thread, and what happens there."""

    call: str
    number: int
    fault: str

    def __str__(self) -> str:
        return f"{self.call}:{self.fault}:when={self.number}"


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one import that are about its files."""

    paths: tuple[str, ...]
    counts: dict[str, int]  # the most of each call that one thread makes

    def points(self) -> Iterator[Point]:
        """All faults, so ordered that equal steps through them meet every kind."""
        for call, most in sorted(self.counts.items()):
            kill = ("signal=KILL",) if call in KILLED else ()
            for fault in (*FAULTS.get(call, ()), *kill):
                for number in range(1, most + 1):
                    yield Point(call=call, number=number, fault=fault)

    def under(self, trace_file: Path, *calls: str, inject: str = "") -> list[str]:
        """Return strace as it traces, or spoils, these calls on the recorded paths."""
        only = [part for path in self.paths for part in ("-P", path)]
        options = ["-f", "-qq", "-y", "-o", str(trace_file)]
        injected = ["-e", f"inject={inject}"] if inject else []
        # Of a call that this machine lacks, by its name or at all, nothing is wanted.
        trace = ",".join(f"?{call}" for call in calls)

        return ["strace", *options, *only, "-e", f"trace={trace}", *injected]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("calls").resolve() / "home")


@pytest.fixture(scope="module")
def wanted(scene: Scene) -> State:
    return scene.uninterrupted()


@pytest.fixture(scope="module")
def recording(scene: Scene, wanted: State) -> Recording:
    """Record one import: first the paths that it touches, then the calls on them."""
    trace_file = scene.home.parent / "trace"
    calls = (*FAULTS, "close")
    first = scene.run(under=Recording(paths=(), counts={}).under(trace_file, *calls))
    assert first.status == 0, first.stderr
    home = re.escape(str(scene.home))
    text = trace_file.read_text(errors="replace")
    paths = set(re.findall(rf'(?:"|<)({home}[^">]*)', text))
    paths.discard(str(scene.home))
    # The report's working name is another one each time.
    paths = {path for path in paths if not path.endswith(".part")}

    scene.reset()
    found = Recording(paths=tuple(sorted(paths)), counts={})
    second = scene.run(under=found.under(trace_file, *calls))
    assert second.status == 0, second.stderr
    scene.reset()
    by_thread = Counter(
        re.findall(r"^([0-9]+) +([a-z0-9_]+)\(", trace_file.read_text(errors="replace"), re.MULTILINE)
    )  # fmt: skip
    counts: dict[str, int] = {}
    for (_, call), count in by_thread.items():
        counts[call] = max(count, counts.get(call, 0))

    return msgspec.structs.replace(found, counts=counts)


def spoil(
    scene: Scene, recording: Recording, wanted: State, point: Point, seen: Counter[str]
) -> None:
    """Run once with the fault, look at what is there, run cleanly, compare."""
    trace_file = scene.home.parent / "trace"
    scene.reset()
    run = scene.run(
        under=recording.under(trace_file, point.call, inject=str(point)),
    )
    was_met = run.was_killed or "(INJECTED)" in trace_file.read_text(errors="replace")
    seen[f"{point.fault} {'met' if was_met else 'not met'}"] += 1
    lasting: set[str] = set()
    if run.was_killed:
        seen["killed"] += 1
        scene.rows_there()
        scene.published()
    else:
        seen[f"status {run.status}"] += 1
        scene.assert_claims_hold(run)
        lasting = run.failed_projects()
        if run.status == 0:
            assert differences(scene.state(), wanted) == []
    scene.assert_legacy_untouched()

    after = scene.import_cleanly()
    assert differences(after, wanted, but=lasting) == []
    scene.assert_legacy_untouched()
    seen["bytes compared"] += after.size_bytes


@pytest.mark.slow
def test_any_call_may_fail_and_the_next_run_makes_up_for_it(
    scene: Scene, recording: Recording, wanted: State
) -> None:
    points = list(recording.points())
    chosen = points if RUNS_ALL else points[:: max(1, len(points) // SAMPLE)]
    seen: Counter[str] = Counter()
    broken = []
    for point in chosen:
        try:
            spoil(scene, recording, wanted, point, seen)
        except Exception as error:
            broken.append(f"{point}: {type(error).__name__}: {str(error)[:1500]}")
            if not RUNS_ALL:
                break
    sys.stdout.write(f"{len(chosen)} of {len(points)} points: {dict(seen)}\n")

    assert broken == []


def test_the_recording_sees_the_calls_that_matter(recording: Recording) -> None:
    for call in ("openat", "pwrite64", "fsync", "close"):
        assert recording.counts[call] > 0

    assert any(path.endswith("ao.db-wal") for path in recording.paths)
    assert any(".ao-import-" in path for path in recording.paths)
