"""Figures of points from run folders: each run in the panel of its settings, with the number that the metric gives."""

import json

import numpy as np
import pytest

from amr_tf import evaluate
from amr_tf.config import Config
from amr_tf.evaluation import point_figures
from amr_tf.plotting import charts
from amr_tf.runs.trained import TrainedRun
from amr_tf.training import experiment

TINY = {
    "dataset": "spiral", "depth": 2, "latent": 3, "epochs": 1, "steps_per_epoch": 2, "train_examples": 200,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns the folder of three runs: two seeds of one setting, and another setting with mixes of four."""
    parent = tmp_path_factory.mktemp("runs")
    for name, settings in (("a", {"seed": 1}), ("b", {"seed": 2}), ("c", {"seed": 1, "k": 4, "beta": 0.1})):
        experiment.run(Config(run_dir=str(parent / name), **TINY, **settings))
    return parent


@pytest.fixture(scope="module")
def opened(trained):
    return [TrainedRun(trained / name, "last") for name in "abc"]


def test_seeds_share_a_panel_named_by_differing_settings(opened):
    named = point_figures._titled([opened[2], opened[0], opened[1]])
    assert [name for name, _ in named] == ["k = 4, beta = 0.1", "k = 2, beta = 0"]
    assert [[run.config.seed for run in members] for _, members in named] == [[1], [1, 2]]
    assert point_figures._titled(opened[:2])[0][0] == "amr, k = 2"


def test_spiral_shows_points_and_the_distance_of_the_metric(trained, tmp_path, monkeypatch, opened):
    """Two seeds have mean and sample standard deviation."""
    drawn, clouds = [], charts.clouds
    monkeypatch.setattr(charts, "clouds", lambda panels: drawn.append(panels) or clouds(panels))
    command = [f"--run_dir={trained}/*", "--checkpoint=last", "--figures=spiral,latent", "--metrics=spiral"]
    assert evaluate.main([*command, f"--out={tmp_path}"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"spiral.png", "latent.png"}
    a, b, c = (
        json.loads((trained / name / "results.json").read_bytes())["metrics"]["spiral"] for name in "abc"
    )
    mean, sd = (a["distance"] + b["distance"]) / 2, abs(a["distance"] - b["distance"]) / 2**0.5
    spiral, latent = drawn
    assert [cloud.title for cloud in spiral] == [
        f"k = 2, beta = 0\ndistance {mean:.4f} ± {sd:.4f} (2 seeds)",
        f"k = 4, beta = 0.1\ndistance {c['distance']:.4f}",
    ]
    assert {cloud.title.split("\n")[1] for cloud in latent} == {"100% of the variance of 3 numbers"}
    np.testing.assert_array_equal(spiral[0].real, opened[0].examples("test")[0].reshape(-1, 2))
    assert latent[0].real.shape == latent[0].mixed.shape == (1_000, 3)
    assert a["real"] < 1e-6 < a["blends"]
    assert (a["k"], c["k"], c["mixes"]) == (2, 4, 1_000)


def test_mixes_are_of_k_codes_and_repeat_for_the_same_seed(opened):
    """In the simplex of the codes: their mean is that of the codes, and their spread falls with k."""
    codes = opened[0].codes("test")
    spreads = []
    for run in (opened[0], opened[2]):
        (mixed, decoded), (again, _) = (run.mixes("test", np.random.default_rng(5)) for _ in range(2))
        np.testing.assert_array_equal(mixed, again)
        np.testing.assert_allclose(decoded, run.decode(mixed))
        spreads.append(mixed.std(axis=0).mean() / run.codes("test").std(axis=0).mean())
    assert codes.shape == (1_000, 3)
    # The variance of a mix of k is 2 / (k + 1) of a code's.
    np.testing.assert_allclose(spreads, [(2 / 3) ** 0.5, (2 / 5) ** 0.5], rtol=0.06)


def test_figures_that_cannot_be_drawn_are_one_line(tmp_path, capsys, refused):
    experiment.run(Config(run_dir=str(tmp_path / "run"), **(TINY | {"latent": 2})))
    capsys.readouterr()
    for figure, parts in (
        ("latent", ("codes of 3 numbers or more", "Received: 2")),
        ("interpolation", ("Received: --figures=interpolation", "spiral or latent")),
    ):
        error = refused(evaluate.main, f"--run_dir={tmp_path / 'run'}", f"--figures={figure}")
        assert all(part in error for part in parts)
