"""Files and folders without permissions: reported on one line before the first step.

The command runs as nobody, because root may read and write everything.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from tests.reliability.faults.harness import POINTS, ROOT, Run

pytestmark = pytest.mark.slow
NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
ONE_EPOCH, MORE = POINTS | {"epochs": 1}, POINTS | {"epochs": 2}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of one epoch, owned by nobody."""
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv here")
    probe = [*AS_NOBODY, sys.executable, "-c", "import amr_tf.train"]
    able = subprocess.run(probe, cwd=ROOT, capture_output=True, text=True, check=False)
    if able.returncode:
        pytest.skip(f"no command as another user here: {able.stderr.strip()[-200:]}")
    # pytest closes its own temporary folders to other users.
    with tempfile.TemporaryDirectory() as parent:
        os.chown(parent, NOBODY, NOBODY)
        run = Run(pathlib.Path(parent) / "run", ONE_EPOCH, tmp_path_factory.mktemp("logs"), AS_NOBODY)
        run.outcome()
        yield run.folder


@pytest.fixture
def run_folder(finished):
    """A copy of that run with the same owner."""
    copy = shutil.copytree(finished, finished.with_name(f"copy_{len(os.listdir(finished.parent))}"))
    for path in (copy, *copy.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    return copy


@pytest.fixture
def refused(launch, run_folder):
    """refused(path, mode): resumes the run while the path has that mode; returns what it printed."""

    def tried(path: pathlib.Path, mode: int) -> str:
        before, contents = os.stat(path).st_mode, listing(run_folder)
        os.chmod(path, mode)
        try:
            _, out, err = launch(run_folder, MORE, AS_NOBODY).refused()
        finally:
            os.chmod(path, before)
        assert "ermission" in err
        assert listing(run_folder) == contents
        return out

    return tried


def listing(folder: pathlib.Path) -> dict[pathlib.Path, int]:
    """Files and their sizes, except those that record the process and the last start."""
    kept = [path for path in folder.rglob("[!.]*") if path.name not in ("flags.txt", "log.txt")]
    return {path: path.stat().st_size for path in kept}


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, 0o555) for name in (".", "checkpoints", "images", "tensorboard")]
    + [(name, 0o000) for name in (".", "checkpoints", "flags.txt", "metrics.csv")],
    ids=lambda value: oct(value) if isinstance(value, int) else value,
)
def test_closed_path_is_refused_before_tensorflow_loads(refused, run_folder, name, mode):
    assert refused(run_folder / name, mode) == ""


def test_unwritable_parent_of_a_new_run_is_refused(launch, finished):
    os.chmod(finished.parent, 0o500)
    try:
        assert "ermission" in launch(finished.parent / "other", MORE, AS_NOBODY).refused().err
    finally:
        os.chmod(finished.parent, 0o700)


def test_unreadable_checkpoint_is_refused_not_set_aside(refused, run_folder):
    refused(run_folder / "checkpoints" / "step_0000000012", 0o000)
