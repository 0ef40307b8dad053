"""Generated texts and mutated files; `make soak BAR=parsers` tries thousands of each."""

import json

import numpy as np
import pytest

from amr_tf.runs.checkpoints import damage
from tests.reliability.attacks import generated
from tests.reporting.run_folders import write_run

# The original of the changed texts.
RESULTS = {
    "best": {"epoch": 1, "step": 10, "val_probe_accuracy": 0.5, "test_probe_accuracy": 0.4},
    "config": {"dataset": "mnist", "k": 2, "lambda": 10.0},
    "metrics": {"probe": {"score": 0.9, "checkpoint": "best", "step": 10}},
    "device": ["a CPU"],
    "versions": {"keras": "3"},
}
TEXTS = pytest.mark.parametrize("examples", [60, pytest.param(10_000, marks=pytest.mark.soak)])
HASHES = {"state.index": "0" * 64, "state.data-00000-of-00001": "1" * 64}


@TEXTS
def test_any_results_file_is_read_or_refused(tmp_path, examples):
    """Generated ones, and numbers too large for a float."""
    check = generated.results_file(write_run(tmp_path / "run", [0.5], picture=False))
    generated.tried(generated.changed(RESULTS), check, examples)
    for huge in ({"best": {"step": 10**400}}, {"metrics": {"probe": {"score": 10**400}}}):
        check(json.dumps(RESULTS | huge).encode())


@TEXTS
def test_no_other_manifest_makes_a_checkpoint_intact(tmp_path, examples):
    path = tmp_path / "step_0000000001"
    path.mkdir()
    for name in HASHES:
        (path / name).write_bytes(b"")
    (path / "manifest.json").write_text(json.dumps({"step": 1, "sha256": HASHES}))
    check = generated.manifest_file(path)
    generated.tried(generated.changed({"step": 1, "sha256": HASHES}), check, examples)
    assert damage(path)


@pytest.mark.parametrize("share", [1, pytest.param(50, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("attack", "count"),
    [
        (generated.idx_archive, 15),
        (generated.mat_archive, 15),
        (generated.zip_archive, 15),
        (generated.folder_of_pictures, 1),
        (generated.arrays_file, 15),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_mutated_files_are_read_or_refused(tmp_path, attack, count, share):
    rng = np.random.default_rng(13)
    for _ in range(count * share):
        attack(tmp_path, rng)
