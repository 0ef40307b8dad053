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
    check = generated.results_file(write_run(tmp_path / "run", [0.5], picture=False))
    generated.tried(generated.changed(RESULTS), check, examples)


def test_a_score_too_large_for_a_float_is_no_bug(tmp_path):
    check = generated.results_file(write_run(tmp_path / "run", [0.5], picture=False))
    for place in ("best", "metrics"):
        changed = json.loads(json.dumps(RESULTS))
        changed[place] = {"probe": {"score": 10**400}} if place == "metrics" else {"step": 10**400}
        check(json.dumps(changed).encode())


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
@pytest.mark.parametrize(("kind", "count"), [("idx", 15), ("mat", 15), ("zip", 15), ("pictures", 100)])
def test_mutated_files_are_read_or_refused(tmp_path, kind, count, share):
    generated.mutate(kind, tmp_path, np.random.default_rng(13), count * share)
