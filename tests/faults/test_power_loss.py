"""Power loss: what a report claimed is there when the machine comes back.

An ext4 file system in a file is shut down by its own ioctl, without flushing anything,
then mounted again: what had not reached the disk is gone, as after a cut.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.scene import Scene, differences

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]  # looked at before use

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
WITHOUT_FLUSH = 2
IMAGE_BYTES = 64 * 1024 * 1024

pytestmark = pytest.mark.slow


class Disk:
    """A file system of its own that can lose its power."""

    def __init__(self, image: Path, mounted: Path) -> None:
        self.image, self.mounted = image, mounted

    def mount(self) -> None:
        self._do("mount", "-o", "loop", str(self.image), str(self.mounted))

    def unmount(self) -> None:
        self._do("umount", str(self.mounted))

    def lose_power(self) -> None:
        """Drop what has not reached the disk, and come back."""
        fd = os.open(self.mounted, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(fd)
        self.unmount()
        self.mount()

    def _do(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    image, mounted = tmp_path / "image", tmp_path.resolve() / "disk"
    mounted.mkdir()
    disk = Disk(image, mounted)
    if fcntl is None or os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("power loss needs root, mkfs.ext4 and a loop device")
    image.touch()
    os.truncate(image, IMAGE_BYTES)
    try:
        disk._do("mkfs.ext4", "-q", "-F", str(image))
        disk.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"power loss needs a loop device: {error.stderr.decode()}")
    yield disk
    disk.unmount()


def test_the_way_power_is_cut_here_does_lose_what_was_not_flushed(disk: Disk) -> None:
    """Were it otherwise, the tests below would show nothing."""
    for name, is_flushed in (("flushed", True), ("not", False)):
        with (disk.mounted / name).open("w") as file:
            file.write("content")
            file.flush()
            if is_flushed:
                os.fsync(file.fileno())
    directory = os.open(disk.mounted, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    with (disk.mounted / "late").open("w") as file:
        file.write("content")
    disk.lose_power()

    assert (disk.mounted / "flushed").read_text() == "content"
    assert not (disk.mounted / "late").exists()
    assert (disk.mounted / "not").read_text() == ""


def test_what_the_report_claims_survives_a_loss_of_power(disk: Disk) -> None:
    scene = Scene(disk.mounted / "home")
    wanted = scene.uninterrupted()
    os.sync()
    run = scene.run()
    claimed = run.report
    disk.lose_power()

    assert run.status == 0
    assert scene.rows_there() == (
        claimed["projectsImported"],
        claimed["orchestratorsImported"],
    )
    assert len(scene.published()) == claimed["transcriptsRelocated"] == 3
    assert scene.report_file.read_text() == run.stdout
    assert differences(scene.state(), wanted) == []
    scene.assert_legacy_untouched()


@pytest.mark.parametrize("seconds", [0.03, 0.1])
def test_a_run_that_the_cut_hits_is_completed_by_the_next(
    disk: Disk, seconds: float
) -> None:
    scene = Scene(disk.mounted / "home")
    wanted = scene.uninterrupted()
    os.sync()
    with scene.start() as process:
        while not scene.database.exists() and process.poll() is None:
            pass
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    disk.lose_power()
    scene.rows_there()
    scene.published()

    assert differences(scene.import_cleanly(), wanted) == []
    scene.assert_legacy_untouched()
