"""A short share of what `make soak BAR=parsers` tries by the ten thousand: generated texts and mutated files."""

import io
import json

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings

from amr_tf.runs.checkpoints import damage
from tests.reliability.attacks import generated
from tests.reporting.run_folders import write_run

# The original that `changed` begins with; the numbers of a run that was never made.
RESULTS = {
    "best": {"epoch": 1, "step": 10, "val_probe_accuracy": 0.5, "test_probe_accuracy": 0.4},
    "config": {"dataset": "mnist", "k": 2, "lambda": 10.0},
    "metrics": {"probe": {"score": 0.9, "checkpoint": "best", "step": 10}},
    "device": ["a CPU"],
    "versions": {"keras": "3"},
}
HASHES = {"state.index": "0" * 64, "state.data-00000-of-00001": "1" * 64}
few = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def test_any_results_file_is_read_or_refused(tmp_path):
    check = generated.results_file(write_run(tmp_path / "run", [0.5], picture=False))
    few(given(generated.changed(RESULTS))(check))()


def test_a_score_too_large_for_a_float_is_no_bug(tmp_path):
    check = generated.results_file(write_run(tmp_path / "run", [0.5], picture=False))
    for place in ("best", "metrics"):
        changed = json.loads(json.dumps(RESULTS))
        changed[place] = {"probe": {"score": 10**400}} if place == "metrics" else {"step": 10**400}
        check(json.dumps(changed).encode())


def test_no_other_manifest_makes_a_checkpoint_intact(tmp_path):
    path = tmp_path / "step_0000000001"
    path.mkdir()
    for name in HASHES:
        (path / name).write_bytes(b"")
    (path / "manifest.json").write_text(json.dumps({"step": 1, "sha256": HASHES}))
    check = generated.manifest_file(path)
    few(given(generated.changed({"step": 1, "sha256": HASHES}))(check))()
    assert damage(path)


@pytest.fixture
def rng():
    return np.random.default_rng(13)


def test_mutated_archives_are_refused(tmp_path, rng):
    mat = io.BytesIO()
    scipy.io.savemat(mat, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((2, 1), np.uint8)})
    shoes = generated.zip_of_shoes()
    for _ in range(15):
        generated.idx_archive(tmp_path, rng)
        generated.mat_archive(tmp_path, rng, mat.getvalue())
        generated.zip_archive(tmp_path, rng, shoes)


def test_mutated_pictures_are_read_or_refused(tmp_path, rng):
    generated.folder_of_pictures(tmp_path / "pictures", rng, 100)
