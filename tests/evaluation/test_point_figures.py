"""Figures of points from run folders: each run in the panel of its settings, and the number that the metric gives."""

import json

import numpy as np
import pytest
from PIL import Image

from amr_tf import evaluate
from amr_tf.config import Config
from amr_tf.evaluation import point_figures
from amr_tf.plotting import canvas
from amr_tf.runs.trained import TrainedRun
from amr_tf.training import experiment

TINY = {
    "dataset": "spiral",
    "depth": 2,
    "latent": 3,
    "epochs": 1,
    "steps_per_epoch": 2,
    "train_examples": 200,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folders of three runs: two seeds of one setting, and another with mixes of four."""
    parent = tmp_path_factory.mktemp("runs")
    for name, settings in (("a", {"seed": 1}), ("b", {"seed": 2}), ("c", {"seed": 1, "k": 4, "beta": 0.1})):
        experiment.run(Config(run_dir=str(parent / name), **TINY, **settings))
    return parent


@pytest.fixture(scope="module")
def opened(trained):
    return [TrainedRun(trained / name, "last") for name in "abc"]


def test_runs_that_differ_by_their_seed_share_a_panel_named_after_what_differs(opened):
    named = point_figures._settings([opened[2], opened[0], opened[1]])
    assert [name for name, _ in named] == ["k = 4, beta = 0.1", "k = 2, beta = 0"]
    assert [[run.config.seed for run in alike] for _, alike in named] == [[1], [1, 2]]
    assert point_figures._settings(opened[:2])[0][0] == "amr, k = 2"


def test_the_spiral_shows_real_points_mixes_and_the_distance_that_the_metric_gives(
    trained, tmp_path, monkeypatch
):
    """Of two seeds their mean and sample standard deviation."""
    titles = []
    title = canvas.with_title
    monkeypatch.setattr(
        canvas, "with_title", lambda picture, lines: titles.append(lines) or title(picture, lines)
    )
    command = [f"--run_dir={trained}/*", "--checkpoint=last", "--figures=spiral,latent", "--metrics=spiral"]
    assert evaluate.main([*command, f"--out={tmp_path}"]) == 0
    found = {
        name: json.loads((trained / name / "results.json").read_bytes())["metrics"]["spiral"]
        for name in "abc"
    }
    one, two, three = (found[name]["distance"] for name in "abc")
    expected = f"distance {(one + two) / 2:.4f} ± {abs(one - two) / 2**0.5:.4f} (2 seeds)"
    assert titles[:2] == [["k = 2, beta = 0", expected], ["k = 4, beta = 0.1", f"distance {three:.4f}"]]
    assert [lines[1] for lines in titles[2:]] == ["100% of the variance of 3 numbers"] * 2
    assert found["a"]["real"] < 1e-6 < found["a"]["blends"]
    assert (found["a"]["k"], found["c"]["k"], found["c"]["mixes"]) == (2, 4, 1_000)
    width = 2 * point_figures.PANEL + point_figures.PANEL_GAP
    for name, colours in (("spiral", (canvas.BLUE, canvas.ORANGE)), ("latent", ())):
        with Image.open(tmp_path / f"{name}.png") as file:
            picture = np.asarray(file)
        assert picture.shape == (point_figures.PANEL + 2 * canvas.TITLE_LINE, width, 3)
        halves = picture[:, : point_figures.PANEL], picture[:, -point_figures.PANEL :]
        for half in halves:
            shown = {tuple(colour) for colour in half.reshape(-1, 3).tolist()}
            assert shown >= {(255, 255, 255), *colours}


def test_mixes_are_of_as_many_codes_as_in_training_and_the_same_for_the_same_draw(opened):
    """In the simplex of the codes: their mean is that of the codes, their spread smaller the more codes there are."""
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


def test_what_cannot_be_drawn_is_one_line(tmp_path, capsys):
    experiment.run(Config(run_dir=str(tmp_path / "run"), **(TINY | {"latent": 2})))
    capsys.readouterr()
    for figure, said in (
        ("latent", "codes of 3 numbers or more. Received: codes of 2"),
        ("interpolation", "Points have the figures spiral and latent. Received: --figures=interpolation"),
    ):
        assert evaluate.main([f"--run_dir={tmp_path / 'run'}", f"--figures={figure}"]) == 2
        out = capsys.readouterr().err
        assert said in out
        assert out.count("\n") == 1
