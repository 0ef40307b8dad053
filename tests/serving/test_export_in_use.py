"""Exports in use: full-size networks, load, servers that poll, kills, other engines."""

import concurrent.futures
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from amr_tf import export
from amr_tf.config import Config
from amr_tf.models.build import build_model
from amr_tf.runs.trained import TrainedRun
from amr_tf.serving import archives, saved_model
from amr_tf.training import experiment
from tests.reliability.faults.harness import Run
from tests.serving import harness, stand_in
from tests.serving.conftest import TINY

ROOT = pathlib.Path(__file__).resolve().parents[2]
WHOLE = {"saved_model.pb", "model_card.md", "signatures.json", "variables", "assets.extra", "keras"}
# The networks of the paper's tables and of its dSprites experiment, at their full size.
FULL = {
    "mnist": {"dataset": "lines", "arch": "amr", "latent": 2},
    "dsprites": {"dataset": "dsprites", "arch": "burgess", "latent": 10, "recon_loss": "bce_sum"},
}
CALLS, WARM, THREADS = 1_000, 200, 8
SHORT = {"steps_per_epoch": 2, "epochs": 1, "batch_size": 8, "train_examples": 300}


def export_command(run_dir: pathlib.Path, export_dir: pathlib.Path) -> list[str]:
    return [sys.executable, "-m", "amr_tf.export", f"--run_dir={run_dir}", f"--export_dir={export_dir}"]


def resident(pid: int) -> float:
    """Memory of a process in megabytes."""
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


@pytest.mark.soak
@pytest.mark.parametrize("name", ["mnist", "dsprites"])
def test_full_size_export_under_load_answers_as_keras(name, tmp_path):
    """1,000 calls from 8 threads all equal single calls, and memory stays."""
    experiment.run(Config(run_dir=str(tmp_path / "run"), model="amr", **FULL[name], **SHORT))
    run = TrainedRun(tmp_path / "run")
    with stand_in.process(saved_model.export(run, tmp_path / "export")) as served:
        harness.assert_answers(served["grpc"], run.model)
        server = harness.connect(served["grpc"])
        inputs = [harness.cases(run.model, batch)["encode"][0] for batch in range(1, 9)]
        asked = [(name, x) for name in ("encode", "reconstruct") for x in inputs]
        alone = [server.predict(*one)["codes"] for one in asked]

        def equal(number: int) -> bool:
            return np.array_equal(server.predict(*asked[number % 16])["codes"], alone[number % 16])

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            assert all(pool.map(equal, range(WARM)))
            before = resident(served["pid"])
            assert all(pool.map(equal, range(WARM, CALLS)))
        assert resident(served["pid"]) - before < 64


class Poller(threading.Thread):
    """Looks at an export folder as a server does, all the time, and notes versions that are not whole."""

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


def end_while_writing(run_dir: pathlib.Path, export_dir: pathlib.Path, number: signal.Signals, delay=0.0):
    """Starts an export and sends it a signal while it writes; returns its exit code and its last words."""
    process = subprocess.Popen(
        export_command(run_dir, export_dir), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    while not list(export_dir.glob(".*.tmp")):
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(number)
    _, err = process.communicate()
    return process.returncode, err


@pytest.mark.parametrize(
    "kills",
    [pytest.param(2, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.soak)],
)
def test_killed_exports_leave_whole_versions_only(run_dir, poller, kills):
    """Killed while they write, then twice to the end: versions 1 and 2, and no rest of the killed ones."""
    for delay in np.linspace(0, 0.3, kills):
        assert end_while_writing(run_dir, poller.folder, signal.SIGKILL, delay)[0] == -signal.SIGKILL
        assert not list(poller.folder.glob("[0-9]*"))
    for _ in range(2):
        assert export.main([f"--run_dir={run_dir}", f"--export_dir={poller.folder}"]) == 0
    assert sorted(path.name for path in poller.folder.iterdir()) == [".export.lock", "1", "2"]
    assert poller.looks > 100
    assert poller.broken == []


@pytest.mark.slow
def test_concurrent_exports_are_two_versions_and_sigterm_none(run_dir, tmp_path):
    export_dir = tmp_path / "export"
    both = [subprocess.Popen(export_command(run_dir, export_dir), cwd=ROOT) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    code, err = end_while_writing(run_dir, export_dir, signal.SIGTERM)
    assert code == 143
    assert "interrupted" in err
    assert sorted(path.name for path in export_dir.iterdir()) == [".export.lock", "1", "2"]


@pytest.mark.soak
def test_run_still_training_exports_its_newest_checkpoint(tmp_path):
    """And training continues."""
    settings = TINY | {"steps_per_epoch": 50, "epochs": 100, "dataset": "lines"}
    run = Run(tmp_path / "run", settings, tmp_path)
    try:
        assert run.wait_for(lambda: len(list((run.folder / "checkpoints").glob("step_*"))) > 1)
        # As a user would, whose TensorFlow is as loud as it likes to be.
        loud = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        command = [*export_command(run.folder, run.folder / "export"), "--checkpoint=last"]
        done = subprocess.run(command, cwd=ROOT, env=loud, stderr=subprocess.PIPE, check=True)
        assert done.stderr == b""
        assert {path.name for path in (run.folder / "export" / "1").iterdir()} >= WHOLE
        assert run.process.poll() is None
    finally:
        run.kill()


@pytest.mark.engines
def test_openvino_answers_as_the_keras_model(exported, tmp_path):
    """An engine that shares no code with TensorFlow; OPENVINO_PYTHON names the Python that has it."""
    python = os.environ.get("OPENVINO_PYTHON")
    if not python:
        pytest.skip("OPENVINO_PYTHON is not set: make test-engines sets it up")
    inputs, outputs = harness.cases(exported.run.model, 7)["reconstruct"]
    stem = exported.folder.stem
    np.savez(tmp_path / f"{stem}.npz", **inputs)
    engine = pathlib.Path(harness.__file__).with_name("openvino_engine.py")
    subprocess.run([python, engine, tmp_path, exported.folder], cwd="/", check=True)
    with np.load(tmp_path / f"{stem}_found.npz", allow_pickle=False) as found:
        for name, value in outputs.items():
            np.testing.assert_allclose(found[name], value, atol=1e-5)


ARCHIVED = {
    "acai": {},
    "amr": {},
    "amr_fixed": {},
    "acai_bounded": {"recon_loss": "bce"},
    "burgess": {},
    "style": {"mixer": "style"},
    "vae": {"model": "vae", "arch": "acai"},
    "vqvae": {"model": "vqvae", "arch": "acai", "codewords": 32},
}


@pytest.mark.engines
@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("name", ARCHIVED)
def test_archives_answer_on_other_backends_of_keras(name, backend, tmp_path):
    """Encoder and decoder where neither TensorFlow nor this package is installed; KERAS_PYTHON names that Python."""
    python = os.environ.get("KERAS_PYTHON")
    if not python:
        pytest.skip("KERAS_PYTHON is not set: make test-engines sets it up")
    settings = {"arch": name, "depth": 2, "latent": 4} | ARCHIVED[name]
    model = build_model(Config(**settings), (32, 32, 1), 10)
    x = np.random.default_rng(0).uniform(-1, 1, (7, 32, 32, 1)).astype(np.float32)
    archives.write(tmp_path, model)
    np.save(tmp_path / "x.npy", x)
    engine = pathlib.Path(harness.__file__).with_name("keras_engine.py")
    command = [python, engine, tmp_path / archives.FOLDER, tmp_path / "x.npy", tmp_path / "found.npz"]
    subprocess.run(command, cwd="/", check=True, env={**os.environ, "KERAS_BACKEND": backend})
    expected = {"codes": model.encode(x).numpy()}
    expected["images"] = model.decode(expected["codes"]).numpy()
    with np.load(tmp_path / "found.npz", allow_pickle=False) as found:
        for what, values in expected.items():  # of untrained networks, several times as large as images
            np.testing.assert_allclose(found[what], values, atol=1e-5 * np.abs(values).max())
