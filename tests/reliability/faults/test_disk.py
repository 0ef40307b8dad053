"""A disk that fills up under each of the writers: reported on one line, nothing lost, and the same command resumes.

The run folder, or one folder in it, is a small file system in memory, in a mount namespace of the run.
"""

import os
import pathlib
import subprocess
import time

import pytest

from tests.reliability.faults.harness import POINTS, ROOT, assert_ends_like, assert_intact

PAGE = 4096
PARTS = ("checkpoints", "images", "tensorboard")
LARGE = "64m"


class Namespace:
    """A mount namespace, kept by a sleeping process."""

    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "--mount", "sleep", "infinity"], stderr=subprocess.PIPE)  # noqa: S607
        own = os.readlink("/proc/self/ns/mnt")
        while self.keeper.poll() is None and os.readlink(f"/proc/{self.keeper.pid}/ns/mnt") == own:
            time.sleep(0.01)
        if self.keeper.poll() is not None:
            pytest.skip(f"no mount namespaces here: {self.keeper.communicate()[1].decode().strip()}")
        self.enter = ("nsenter", "--mount", f"--target={self.keeper.pid}", f"--wd={ROOT}")

    def mount(self, folder: pathlib.Path, size: int | str, *options: str) -> None:
        self.seen(folder).mkdir(parents=True, exist_ok=True)
        arguments = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", str(folder)]
        done = subprocess.run([*self.enter, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no small file system here: {done.stderr.strip()}")

    def seen(self, folder: pathlib.Path) -> pathlib.Path:
        """The path of a folder of the namespace for processes outside."""
        return pathlib.Path(f"/proc/{self.keeper.pid}/root{folder}")


@pytest.fixture
def namespace():
    made = Namespace()
    yield made
    made.keeper.kill()
    made.keeper.communicate()


# The folder that is small, its size in pages, and the folders in it that have room. One checkpoint has 18 pages. The
# files beside the parts (data.json, flags.txt, metrics.csv, results.json) have a page each.
CASES = {
    "checkpoints": ("checkpoints", 28, ()),
    "images": ("images", 1, ()),
    "tensorboard": ("tensorboard", 8, ()),
    "files_1": (".", 1, PARTS),
    "files_2": (".", 2, PARTS),
    "files_4": (".", 4, PARTS),
    "all": (".", 2, ()),
}
IN_CI = ("checkpoints", "files_2")


@pytest.mark.parametrize(
    ("part", "pages", "roomy"),
    [
        pytest.param(*case, id=name, marks=pytest.mark.slow if name in IN_CI else pytest.mark.soak)
        for name, case in CASES.items()
    ],
)
def test_full_disk_is_reported_and_loses_nothing(launch, unbroken, tmp_path, namespace, part, pages, roomy):
    """Full: one line with the reason, and every checkpoint is intact. With room, the same command resumes."""

    def start():
        run = launch(tmp_path / "run", POINTS | {"checkpoint_minutes": 10}, namespace.enter)
        run.folder = namespace.seen(run.folder)
        return run

    disk = tmp_path / "run" / part
    namespace.mount(disk, pages * PAGE)
    for other in roomy:
        namespace.mount(tmp_path / "run" / other, LARGE)
    run = start()
    assert "No space left on device" in run.refused().err
    assert_intact(run.folder / "checkpoints")
    assert not list(run.folder.rglob("*.tmp"))
    namespace.mount(disk, LARGE, "remount")
    assert_ends_like(start(), unbroken(POINTS))
