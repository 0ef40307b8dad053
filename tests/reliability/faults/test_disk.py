"""A disk that fills up under each of the writers: one line, nothing lost, and the same command goes on.

The run folder, or one folder in it, is a small file system of its own, so that it is that part's writer which finds
it full. It is in memory and in a mount namespace that only the run and `mount` enter.
"""

import os
import pathlib
import subprocess
import time

import pytest

from amr_tf.runs.checkpoints import damage
from tests.reliability.faults.harness import POINTS, ROOT, assert_ends_like, assert_one_line

pytestmark = pytest.mark.slow
PAGE = 4096
PARTS = ("checkpoints", "images", "tensorboard")
LARGE = "64m"


class Namespace:
    """A mount namespace that lives as long as a sleeping process."""

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
        """Where processes outside find a folder of the namespace."""
        return pathlib.Path(f"/proc/{self.keeper.pid}/root{folder}")


@pytest.fixture
def namespace():
    made = Namespace()
    yield made
    made.keeper.kill()
    made.keeper.communicate()


@pytest.fixture
def start(launch, namespace, tmp_path):
    """Starts the command within the namespace."""

    def started():
        run = launch(tmp_path / "run", POINTS | {"checkpoint_minutes": 10}, namespace.enter)
        run.folder = namespace.seen(run.folder)
        return run

    return started


def assert_fails_and_goes_on(start, namespace, unbroken, disk: pathlib.Path) -> None:
    """Full: one line with its reason, and what was saved is intact. With room: ends as if nothing had happened."""
    run = start()
    code, _, err = run.end()
    assert code == 2, err
    assert_one_line(err)
    assert "No space left on device" in err
    saved = list((run.folder / "checkpoints").glob("step_*"))
    assert [damage(path) for path in saved] == [""] * len(saved)
    assert not list(run.folder.rglob("*.tmp"))
    namespace.mount(disk, LARGE, "remount")
    assert_ends_like(start(), unbroken(POINTS))


def test_a_disk_full_of_checkpoints(start, namespace, unbroken, tmp_path):
    disk = tmp_path / "run" / "checkpoints"
    namespace.mount(disk, 28 * PAGE)  # one of them is 18
    assert_fails_and_goes_on(start, namespace, unbroken, disk)


@pytest.mark.parametrize(("part", "pages"), [("images", 1), ("tensorboard", 8)], ids=str)
def test_a_disk_full_in_one_part(start, namespace, unbroken, tmp_path, part, pages):
    disk = tmp_path / "run" / part
    namespace.mount(disk, pages * PAGE)
    assert_fails_and_goes_on(start, namespace, unbroken, disk)


@pytest.mark.parametrize("pages", [1, 2, 4])
def test_a_disk_full_of_the_files_beside_those_parts(start, namespace, unbroken, tmp_path, pages):
    """What holds the folder, flags.txt, data.json, results.json, metrics.csv: each has a page, the parts have room."""
    disk = tmp_path / "run"
    namespace.mount(disk, pages * PAGE)
    for part in PARTS:
        namespace.mount(disk / part, LARGE)
    assert_fails_and_goes_on(start, namespace, unbroken, disk)


@pytest.mark.parametrize("pages", [2])
def test_a_full_disk(start, namespace, unbroken, tmp_path, pages):
    namespace.mount(tmp_path / "run", pages * PAGE)
    assert_fails_and_goes_on(start, namespace, unbroken, tmp_path / "run")
