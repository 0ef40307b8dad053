"""The best epoch of real runs on data whose labels are all the same: the one that reconstructs best."""

import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from amr_tf import evaluate, export, registry, report, train
from amr_tf.data import pixels
from amr_tf.data.catalog import DatasetSpec
from amr_tf.data.sources import Examples
from amr_tf.data.sources.generated import spiral_points
from amr_tf.runs.folder import checkpoints_in, read_results, read_rows, step_of
from amr_tf.runs.trained import TrainedRun
from amr_tf.training import experiment
from tests.support.config import tiny_config

# Learns in the first steps, then overshoots: the best epoch is neither the first nor the last.
SETTINGS = {"model": "ae", "learning_rate": 0.03, "epochs": 7}


def read_points(spec, places):
    """Points of the spiral; the labels of the validation split are all the same."""
    rng, parts = np.random.default_rng(0), []
    for number, size in enumerate((64, 16, 16)):
        labels = np.zeros(size, np.int64) if number == 1 else rng.integers(spec.classes, size=size)
        parts.append(Examples(spiral_points(rng.random(size)), labels))
    return spec, parts


UNLABELLED = DatasetSpec("unlabelled", 1, 2, classes=1, reader=read_points, generated=True)
ONE_IN_VALIDATION = DatasetSpec("one_in_validation", 1, 2, classes=3, reader=read_points, generated=True)


@pytest.mark.parametrize("name", ["UNLABELLED", "ONE_IN_VALIDATION"])
def test_best_without_informative_labels_reconstructs_best(name, tmp_path, monkeypatch, capsys):
    """The kept checkpoint, the recorded row and the message are those of the lowest validation reconstruction."""
    monkeypatch.setitem(registry.DATASETS, name.lower(), f"{__name__}:{name}")
    config = tiny_config(
        dataset=name.lower(), arch="mlp", latent=1, run_dir=str(tmp_path / "run"), **SETTINGS
    )
    folder = experiment.run(config)
    rows = read_rows(folder / "metrics.csv")
    best = min(rows, key=lambda row: row["val_recon"])
    assert 1 < best["epoch"] < 7, "else this test shows nothing"
    results = read_results(folder / "results.json")
    assert (results["best"]["epoch"], results["best_by"]) == (best["epoch"], "validation reconstruction")
    said = capsys.readouterr().out
    assert f"{best['val_recon']:.4f} validation (best, epoch {best['epoch']})" in said
    assert "probe" not in said.split("run folder")[1]
    newest = [row["step"] for row in rows[-3:]]
    assert [*map(step_of, checkpoints_in(folder / "checkpoints"))] == sorted({best["step"], *newest})
    run = TrainedRun(folder)
    images = run.splits.validation.images
    assert np.abs(run.decode(run.encode(images)) - images).mean() == pytest.approx(
        best["val_recon"], rel=1e-4
    )


@pytest.mark.slow
def test_exported_model_of_unlabelled_pictures_is_the_best(tmp_path, capsys):
    """The exported model reconstructs the validation pictures better than every other epoch did."""
    (tmp_path / "pics").mkdir()
    rng = np.random.default_rng(0)
    for number in range(80):
        picture = Image.fromarray(rng.integers(256, size=(8, 8), dtype=np.uint8))
        picture.resize((32, 32)).save(tmp_path / "pics" / f"{number}.png")
    run_dir, out = tmp_path / "run", tmp_path / "out"
    settings = SETTINGS | {"arch": "acai", "depth": 2, "latent": 2, "latent_width": 8, "batch_size": 8}
    settings |= {
        "steps_per_epoch": 2,
        "image_size": 32,
        "dataset": f"folder:{tmp_path / 'pics'}",
        "run_dir": run_dir,
    }
    assert train.main([f"--{name}={value}" for name, value in settings.items()]) == 0
    rows = read_rows(run_dir / "metrics.csv")
    best = min(rows, key=lambda row: row["val_recon"])
    assert 1 < best["epoch"] < 7, "else this test shows nothing"

    assert export.main([f"--run_dir={run_dir}", f"--export_dir={out}"]) == 0
    words = f"best by validation reconstruction, epoch {best['epoch']}"
    assert f"(step {best['step']}, {words}; " in capsys.readouterr().out
    card = (out / "1" / "model_card.md").read_text()
    assert f"| checkpoint | {words} |" in card
    assert f"| validation reconstruction | l1 loss of the training | {best['val_recon']:.4g} |" in card
    assert "accuracy | of the probe" not in card
    images = pixels.to_float(TrainedRun(run_dir).splits.validation.images)
    served = tf.saved_model.load(str(out / "1")).signatures["reconstruct"](images=tf.constant(images))
    error = np.abs(served["reconstructions"].numpy() - images).mean()
    assert error == pytest.approx(best["val_recon"], rel=1e-3)
    assert all(error < row["val_recon"] * 0.999 for row in rows if row is not best)

    capsys.readouterr()
    assert evaluate.main([f"--run_dir={run_dir}", "--metrics=reconstruction"]) == 0
    assert f"checkpoint of {run_dir}: step {best['step']}, {words}" in capsys.readouterr().out
    assert report.main([str(run_dir), f"--out={tmp_path / 'report'}"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"By reconstruction: all labels are the same", said)
    assert f"{best['val_recon']:.4f}" in said
    assert "100.00" not in (tmp_path / "report" / "report.md").read_text()
