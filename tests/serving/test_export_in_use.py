"""Exports while others look: trained networks of both sizes, servers that poll, kills, load, other engines."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from amr_tf import export
from amr_tf.config import Config
from amr_tf.runs.trained import TrainedRun
from amr_tf.serving import saved_model
from amr_tf.training import experiment
from tests.reliability.faults.harness import Run
from tests.serving import harness
from tests.serving.conftest import TINY

ROOT = pathlib.Path(__file__).resolve().parents[2]
WHOLE = {"saved_model.pb", "model_card.md", "signatures.json", "variables", "assets.extra", "keras"}
# The networks of the paper's tables and of its dSprites experiment, at their full size.
FULL = {
    "mnist": {"dataset": "lines", "arch": "amr", "latent": 2},
    "dsprites": {"dataset": "dsprites", "arch": "burgess", "latent": 10, "recon_loss": "bce_sum"},
}
NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups")
SHORT = {"steps_per_epoch": 2, "epochs": 1, "batch_size": 8, "train_examples": 300}


def export_command(run_dir: pathlib.Path, export_dir: pathlib.Path) -> list[str]:
    return [sys.executable, "-m", "amr_tf.export", f"--run_dir={run_dir}", f"--export_dir={export_dir}"]


def run_command(*words: str) -> subprocess.CompletedProcess:
    """Runs a command of the project as a user would, whose TensorFlow is as loud as it likes to be."""
    loud = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(words, cwd=ROOT, env=loud, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "name",
    [pytest.param("mnist", marks=pytest.mark.slow), pytest.param("dsprites", marks=pytest.mark.soak)],
)
def test_networks_of_full_size_answer_as_the_keras_model(name, tmp_path):
    """Through the C++ loader; and 1,000 calls from 8 threads are all equal to single calls, in memory that stays."""
    experiment.run(Config(run_dir=str(tmp_path / "run"), model="amr", **FULL[name], **SHORT))
    run = TrainedRun(tmp_path / "run")
    folder = saved_model.export(run, tmp_path / "export")
    answers = harness.write_requests(run.model, tmp_path)
    found = harness.cpp_loader(folder, tmp_path, "replay", "answer", "load")
    harness.assert_equal(tmp_path, answers)
    print(found)
    assert found["calls"] == found["equal"] == 1_000
    assert found["megabytes_grown"] < 64


@pytest.mark.slow
def test_tensorflows_own_command_runs_a_signature(exported, tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (7, 32, 32, 1)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    cli = pathlib.Path(sys.executable).with_name("saved_model_cli")
    harness.without_the_project(
        cli, "run", "--dir", exported.folder, "--tag_set=serve", "--signature_def=encode",
        f"--inputs=images={tmp_path / 'x.npy'}", f"--outdir={tmp_path}",
    )  # fmt: skip
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), exported.run.model.encode(x), atol=1e-5)


class Poller(threading.Thread):
    """Looks at an export folder as a server does, all the time, and notes versions that were not whole."""

    def __init__(self, folder: pathlib.Path):
        super().__init__(daemon=True)
        self.folder, self.looks, self.broken, self.ended = folder, 0, [], threading.Event()

    def run(self):
        while not self.ended.is_set():
            for version in self.folder.glob("[0-9]*"):
                missing = WHOLE - {path.name for path in version.iterdir()}
                if missing or not (version / "variables" / "variables.index").exists():
                    self.broken.append((version.name, missing))
            self.looks += 1
            time.sleep(0.001)


@pytest.fixture
def poller(tmp_path):
    (tmp_path / "export").mkdir()
    thread = Poller(tmp_path / "export")
    thread.start()
    yield thread
    thread.ended.set()
    thread.join()


@pytest.mark.parametrize(
    "kills",
    [pytest.param(2, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.soak)],
)
def test_whoever_polls_sees_whole_versions_only_also_after_kills(run_dir, tmp_path, poller, kills):
    """Killed while it writes, then twice to the end: versions 1 and 2, nothing left of the killed one."""
    export_dir = tmp_path / "export"
    for delay in np.linspace(0, 0.3, kills):
        process = subprocess.Popen(export_command(run_dir, export_dir), cwd=ROOT, stdout=subprocess.DEVNULL)
        while not list(export_dir.glob(".*.tmp")):
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not list(export_dir.glob("[0-9]*"))
    for _ in range(2):
        assert export.main([f"--run_dir={run_dir}", f"--export_dir={export_dir}"]) == 0
    assert sorted(path.name for path in export_dir.iterdir()) == [".export.lock", "1", "2"]
    assert poller.looks > 100
    assert poller.broken == []


@pytest.mark.slow
def test_two_exports_at_once_are_two_versions_and_sigterm_leaves_none(run_dir, tmp_path):
    export_dir = tmp_path / "export"
    both = [
        subprocess.Popen(export_command(run_dir, export_dir), cwd=ROOT, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0]
    third = subprocess.Popen(export_command(run_dir, export_dir), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not list(export_dir.glob(".*.tmp")):
        assert third.poll() is None
        time.sleep(0.005)
    third.send_signal(signal.SIGTERM)
    _, err = third.communicate()
    assert third.returncode == 143
    assert "interrupted" in err
    assert sorted(path.name for path in export_dir.iterdir()) == [".export.lock", "1", "2"]


@pytest.mark.soak
def test_a_run_that_is_still_training_is_exported(tmp_path):
    """Its newest checkpoint is; training goes on to its end."""
    settings = TINY | {"steps_per_epoch": 50, "epochs": 100, "dataset": "lines"}
    run = Run(tmp_path / "run", settings, tmp_path)
    try:
        assert run.wait_for(lambda: len(list((run.folder / "checkpoints").glob("step_*"))) > 1)
        arguments = [*export_command(run.folder, run.folder / "export"), "--checkpoint=last"]
        done = run_command(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert {path.name for path in (run.folder / "export" / "1").iterdir()} >= WHOLE
        assert run.process.poll() is None
    finally:
        run.kill()


@pytest.mark.slow
def test_a_folder_that_may_not_be_written_to_is_one_line(run_dir, tmp_path):
    """Root may do everything, so the command runs as nobody, on a copy that it may read."""
    setpriv = shutil.which("setpriv")
    if not setpriv or subprocess.run([setpriv, *NOBODY, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no command as another user here")
    copy = pathlib.Path(shutil.copytree(run_dir, f"/tmp/{os.getpid()}_run"))  # noqa: S108 (pytest's is closed to others)
    try:
        done = run_command(setpriv, *NOBODY, *export_command(copy, copy / "export"))
    finally:
        shutil.rmtree(copy)
    assert done.returncode == 2
    assert "Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.engines
def test_openvino_answers_as_the_keras_model(exported, tmp_path):
    """An engine that shares no code with TensorFlow; OPENVINO_PYTHON names the Python that has it."""
    python = os.environ.get("OPENVINO_PYTHON")
    if not python:
        pytest.skip("OPENVINO_PYTHON is not set: make test-engines sets it up")
    x = np.random.default_rng(0).uniform(-1, 1, (7, 32, 32, 1)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    engine = pathlib.Path(harness.__file__).with_name("openvino_engine.py")
    harness.without_the_project(python, engine, exported.folder, tmp_path / "x.npy", tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz", allow_pickle=False) as found:
        for name, value in harness.expected(exported.run.model, "reconstruct", {"images": x}).items():
            np.testing.assert_allclose(found[name], value, atol=1e-5)
