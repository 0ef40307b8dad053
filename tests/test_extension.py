"""A new method, mixer, network, data set and metric: a class or object and one registry line each, from this file.

Training, evaluation, export, model card and report treat them like those of the package.
"""

import csv

import numpy as np
import pytest
import tensorflow as tf

from amr_tf import evaluate, export, registry, report, train
from amr_tf.data.catalog import DatasetSpec
from amr_tf.data.sources import Examples
from amr_tf.evaluation.measures import Metric
from amr_tf.mixing import Mixup
from amr_tf.models.amr import AMR
from amr_tf.models.autoencoder import Loss
from amr_tf.networks.mlp import Mlp
from amr_tf.runs.folder import read_results, read_rows

HERE = "tests.test_extension"


class DummyModel(AMR):
    """AMR that also keeps codes small."""

    description = "a method from a test"
    paper = "Nobody, 2026, https://example.org"
    score_meaning = "a score from a test"
    generator_terms = (*AMR.generator_terms, Loss("size", "mean h^2", "Codes stay small."))

    def generator_losses(self, forward):
        return super().generator_losses(forward) | {"size": tf.reduce_mean(forward.h**2, axis=1)}


class DummyMixer(Mixup):
    """Mixup under another name."""


class DummyNetworks(Mlp):
    """The mlp for images of any size."""


def read_dummies(spec, places):
    """Three splits of noise in two classes."""
    rng = np.random.default_rng(0)
    parts = []
    for size in (64, 16, 16):
        labels = np.arange(size) % 2
        images = rng.integers(256, size=(size, *spec.image_shape)).astype(np.uint8)
        parts.append(Examples(images, labels.astype(np.int64)))
    return spec, parts


DUMMY_NETWORKS = DummyNetworks()
DUMMY_DATA = DatasetSpec("dummy", 4, 1, classes=2, reader=read_dummies, generated=True)
DUMMY_METRIC = Metric(
    "spread of the codes", lambda run, rng: {"score": float(run.codes("test").std())}, lambda run: ""
)
FLAGS = "--model=dummy --mixer=dummy --arch=dummy --dataset=dummy --k=3 --latent=4 --depth=1 --batch_size=8 --epochs=1"


@pytest.fixture
def registered(monkeypatch):
    lines = {
        "MODELS": "DummyModel", "MIXERS": "DummyMixer", "ARCHS": "DUMMY_NETWORKS", "DATASETS": "DUMMY_DATA",
        "METRICS": "DUMMY_METRIC",
    }  # fmt: skip
    for table, name in lines.items():
        monkeypatch.setitem(getattr(registry, table), "dummy", f"{HERE}:{name}")


def test_new_parts_train_evaluate_export_and_report(registered, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "report"
    assert train.main([*FLAGS.split(), "--steps_per_epoch=2", f"--run_dir={run}"]) == 0
    (row,) = read_rows(run / "metrics.csv")
    assert row["step"] == 2
    assert np.isfinite(row["recon"])

    assert evaluate.main([f"--run_dir={run}", "--metrics=dummy,probe"]) == 0
    assert read_results(run / "results.json")["metrics"]["dummy"]["score"] > 0

    assert export.main([f"--run_dir={run}"]) == 0
    card = (run / "export" / "1" / "model_card.md").read_text(encoding="utf-8")
    for text in (
        "a method from a test",
        "`--mixer=dummy --k=3`",
        "a score from a test",
        "spread of the codes",
    ):
        assert text in card

    assert report.main([str(run), f"--out={out}"]) == 0
    with open(out / "report.csv", newline="", encoding="utf-8") as file:
        (record,) = csv.DictReader(file)
    assert record["group"] == "dummy, dummy dummy k=3"
    assert "dummy" in capsys.readouterr().out


def test_new_parts_are_listed_by_help(registered, capsys):
    assert train.main(["--help"]) == 0
    assert evaluate.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert text.count("dummy") >= 5
    assert "spread of the codes" in text
