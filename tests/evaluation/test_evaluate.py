"""`amr_tf.evaluate`: from run folders alone to numbers in results.json and pictures; what is wrong in one line."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from amr_tf import evaluate
from amr_tf.config import Config, ConfigError
from amr_tf.data.folder import key_of, split_of
from amr_tf.evaluation import figures, measures
from amr_tf.metrics import METRICS
from amr_tf.plotting import canvas
from amr_tf.runs.folder import RunError, RunFolder, best_row, read_rows
from amr_tf.runs.trained import TrainedRun, step_named
from amr_tf.training import experiment

TINY = {
    "arch": "acai", "depth": 2, "latent": 2, "latent_width": 8, "batch_size": 8, "steps_per_epoch": 2,
    "update_g_every": 1, "train_examples": 300,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folders of two runs on lines, with other mixers."""
    parent = tmp_path_factory.mktemp("runs")
    for name, mixer in (("mixup", "mixup"), ("bernoulli", "bernoulli")):
        experiment.run(Config(run_dir=str(parent / name), mixer=mixer, epochs=2, **TINY))
    return parent


@pytest.fixture
def run_dir(trained, tmp_path):
    """A copy that a test may write to or damage."""
    return shutil.copytree(trained / "mixup", tmp_path / "run")


def files(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_metric_that_is_named_can_be_computed():
    assert tuple(METRICS) == tuple(measures.METRICS)


def test_metrics_are_merged_into_the_results_and_shown(run_dir, capsys):
    """With settings, seed and time; what was there stays; another one later joins the first."""
    before = json.loads((run_dir / "results.json").read_bytes())
    assert (
        evaluate.main(
            [f"--run_dir={run_dir}", "--metrics=reconstruction,lines,factor_vae,attributes", "--seed=3"]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "factor_vae does not apply" in said
    assert "attributes does not apply" in said
    assert "--dataset=dsprites" in said
    assert evaluate.main([f"--run_dir={run_dir}", "--metrics=clustering", "--checkpoint=last"]) == 0
    after = json.loads((run_dir / "results.json").read_bytes())
    metrics = after.pop("metrics")
    assert after == before
    assert set(metrics) == {"reconstruction", "lines", "clustering"}
    assert metrics["lines"].items() >= {"checkpoint": "best", "seed": 3, "data": "lines"}.items()
    assert metrics["lines"]["seconds"] > 0
    assert metrics["lines"]["when"].startswith("20")
    assert metrics["clustering"].items() >= {"checkpoint": "last", "step": 4, "seed": 0}.items()
    assert 0 <= metrics["clustering"]["score"] <= 1
    assert "clustering" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_numbers_whatever_else_is_asked_for(run_dir):
    run = TrainedRun(run_dir, "last")
    first = measures.evaluate(run, "interpolation", "last", seed=1)
    measures.evaluate(run, "lines", "last", seed=1)
    again, other = (measures.evaluate(run, "interpolation", "last", seed=seed) for seed in (1, 2))
    changing = {"seconds", "when", "seed"}
    numbers = [{k: v for k, v in found.items() if k not in changing} for found in (first, again, other)]
    assert numbers[0] == numbers[1] != numbers[2]


def test_the_probe_of_a_trained_run_is_better_than_chance(run_dir, capsys):
    """And pixels are its floor, measured in the same way."""
    assert evaluate.main([f"--run_dir={run_dir}", "--metrics=probe,probe_pixels"]) == 0
    metrics = json.loads((run_dir / "results.json").read_bytes())["metrics"]
    for name in ("probe", "probe_pixels"):
        assert metrics[name]["score"] > 2 * metrics[name]["chance"]


@pytest.mark.slow
def test_supervised_mixes_are_judged_and_drawn_from_the_run_folder_alone(tmp_path, capsys):
    """Metric and figures of a run on shapes, and the obstacle of one that mixes without labels."""
    folder = tmp_path / "run"
    settings = TINY | {"latent": 16, "train_examples": 500, "labelled_examples": 250}
    experiment.run(Config(run_dir=str(folder), dataset="shapes", mixer="supervised", epochs=1, **settings))
    command = [f"--run_dir={folder}", "--metrics=attributes", "--figures=masks,attribute_mixes"]
    assert evaluate.main(command) == 0
    assert "attribute_mixes.png" in capsys.readouterr().out
    found = json.loads((folder / "results.json").read_bytes())["metrics"]["attributes"]
    assert found["mixes"] == 1_000
    assert found["chance"] == pytest.approx((3 / 4) ** 4, abs=0.03), (
        "each attribute is shared or asked of the other"
    )
    assert 0 <= found["random_mask"] <= 1
    assert found["classifier"] > 1 / 4
    assert found["mask_difference"] > 0

    run = TrainedRun(folder)
    parameters = run.mask_parameters(run.combinations())
    with Image.open(folder / "figures" / "masks.png") as file:
        picture = np.asarray(file)
    # 16 combinations under an empty row; 16 maps of 768 / 16 = 48 pixels. The parameters first, then a mask.
    cells = picture[figures.MASK_HEIGHT * 3 // 2 :: figures.MASK_HEIGHT, canvas.LABEL_WIDTH + 24 :: 48][:16]
    ends = np.array([canvas.PURPLE, canvas.YELLOW])
    np.testing.assert_allclose(
        cells, (1 - parameters[..., None]) * ends[0] + parameters[..., None] * ends[1], atol=1
    )
    with Image.open(folder / "figures" / "attribute_mixes.png") as file:
        assert file.size == (canvas.LABEL_WIDTH + 2 * (8 * 34 + 2), 2 * (18 * 34 + 2))


@pytest.mark.soak
def test_a_minute_of_supervised_mixing_does_what_random_masks_do_not(tmp_path):
    """More than half of the mixes on test images show all four attributes to a classifier that no model has seen."""
    folder = tmp_path / "run"
    settings = {"arch": "burgess", "latent": 64, "recon_loss": "l2", "lambda_": 100.0, "update_g_every": 1}
    settings |= {"attribute_weight": 3.0, "learning_rate": 1e-3, "steps_per_epoch": 800, "epochs": 1}
    experiment.run(Config(run_dir=str(folder), dataset="shapes", mixer="supervised", **settings))
    assert evaluate.main([f"--run_dir={folder}", "--metrics=attributes"]) == 0
    found = json.loads((folder / "results.json").read_bytes())["metrics"]["attributes"]
    assert found["classifier"] > 0.97
    assert found["random_mask"] < 0.4
    assert found["score"] > 0.6


def test_figures_of_masks_are_refused_for_a_run_without_them(run_dir, capsys):
    assert evaluate.main([f"--run_dir={run_dir}", "--figures=masks"]) == 2
    assert "Received: --mixer=mixup" in capsys.readouterr().err


def test_what_was_measured_stays_when_the_run_goes_on(run_dir):
    assert evaluate.main([f"--run_dir={run_dir}", "--metrics=reconstruction"]) == 0
    experiment.run(Config(run_dir=str(run_dir), mixer="mixup", epochs=3, **TINY))
    results = json.loads((run_dir / "results.json").read_bytes())
    assert results["last"]["epoch"] == 3
    assert results["metrics"]["reconstruction"]["step"] in (2, 4)


def test_the_model_is_the_checkpoint_that_was_asked_for(run_dir):
    """Each one's reconstructions are those of its own epoch: metrics.csv says the same error."""
    rows = {int(row["step"]): row for row in read_rows(run_dir / "metrics.csv")}
    assert sorted(rows) == [2, 4]
    best = int(best_row(list(rows.values()))["step"])
    for checkpoint, step in (("2", 2), ("4", 4), ("last", 4), ("best", best)):
        run = TrainedRun(run_dir, checkpoint)
        assert run.step == step
        images = run.splits.test.images
        recon = run.decode(run.encode(images))
        error = np.mean(np.abs(recon - (images / 127.5 - 1.0)))
        assert error == pytest.approx(rows[step]["test_recon"], rel=1e-4)


def test_figures_of_several_runs_show_a_row_for_each(trained, tmp_path, capsys):
    """Pictures alone: no metric is computed where only figures are asked for."""
    command = [f"--run_dir={trained}/*", "--figures=interpolation,triangle", f"--out={tmp_path}", "--animate"]
    assert evaluate.main(command) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "interpolation.gif",
        "interpolation.png",
        "triangle.png",
    ]
    with Image.open(tmp_path / "interpolation.png") as file:
        picture = np.asarray(file)
    # Enlarged twice: a row of labels, then cells of 32 + 2 pixels. The first pair's rows: pixels, bernoulli, mixup.
    rows = np.random.default_rng([0, *b"interpolation"]).choice(5_000, 8, replace=False)
    run = TrainedRun(trained / "mixup")
    real = run.splits.test.images[rows] / 127.5 - 1.0
    ends = run.decode(run.encode(real.astype("float32")))
    for row, column, expected in ((0, 0, real[0]), (0, 10, real[4]), (2, 0, ends[0]), (2, 10, ends[4])):
        top, left = 2 * (2 + 34 * row), canvas.LABEL_WIDTH + 2 * (2 + 34 * column)
        found = picture[top : top + 64 : 2, left : left + 64 : 2, 0]
        np.testing.assert_allclose(found, np.clip(127.5 * (expected[..., 0] + 1), 0, 255), atol=1)
    with Image.open(tmp_path / "interpolation.gif") as file:
        assert file.n_frames == 20
    assert "score" not in capsys.readouterr().out


def test_mixes_of_three_have_their_weights():
    """A corner is one of the codes; with a Bernoulli mixer feature maps come from one of them each."""
    codes = np.arange(3.0)[:, None, None] + np.zeros((3, 2, 8))
    for mixer in ("mixup", "bernoulli"):
        for corner in range(3):
            np.testing.assert_array_equal(
                figures.mix_of_three(codes, np.eye(3)[corner], mixer), codes[corner]
            )
    weights = np.array([0.25, 0.5, 0.25])
    np.testing.assert_allclose(figures.mix_of_three(codes, weights, "mixup"), np.ones((2, 8)))
    found = figures.mix_of_three(codes, weights, "bernoulli")
    np.testing.assert_array_equal(found, [[0, 0, 1, 1, 1, 1, 2, 2]] * 2)


def test_a_traversal_takes_flat_codes(trained, capsys):
    assert evaluate.main([f"--run_dir={trained / 'mixup'}", "--figures=traversal"]) == 2
    assert "takes flat codes" in one_line(capsys)


def one_line(capsys):
    said = capsys.readouterr().err
    assert said.startswith("amr_tf.evaluate: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "No run to measure"),
        (["--run_dir=nowhere"], "No such run folder"),
        (["--run_dir=."], "Not a run folder"),
        (["--run_dir=.", "--metrics=f1"], "--metrics takes probe, .*Received: 'f1'"),
        (["--run_dir=.", "--figures=pie"], "--figures takes interpolation, .*Received: 'pie'"),
        (["--run_dir=.", "--metrics="], "Nothing to measure"),
        (["--run_dir=.", "--seed=-1"], "seed"),
        (["--run_dir=.", "--color"], "color"),
    ],
)
def test_bad_words_are_one_line(words, message, tmp_path, monkeypatch, capsys):
    import re

    monkeypatch.chdir(tmp_path)
    assert evaluate.main(words) == 2
    assert re.search(message, one_line(capsys))


def test_damage_is_one_line_and_nothing_changes(run_dir, capsys):
    """No checkpoint of that step, a damaged one, a damaged results.json, no checkpoints at all."""
    command = [f"--run_dir={run_dir}", "--metrics=reconstruction", "--checkpoint"]

    def refused(checkpoint, message):
        before = files(run_dir)
        assert evaluate.main([*command, checkpoint]) == 2
        assert message in one_line(capsys)
        assert files(run_dir) == before

    refused("3", "No checkpoint of step 3")
    refused("first", "takes best, last or a number")
    refused("9" * 5000, "takes best, last or a number")
    for damaged in ('{"best": ', "[]", '{"metrics": {"probe": {"score": NaN}}}'):
        (run_dir / "results.json").write_text(damaged)
        refused("last", "The results cannot be read, and are left as they are")
    rows = (run_dir / "metrics.csv").read_text()
    for damaged in (rows.replace(",4,", ",nan,"), rows + "x" * 200_000):
        (run_dir / "metrics.csv").write_text(damaged)
        refused("best", "The metrics cannot be read")
    (run_dir / "results.json").unlink()
    refused("last", "has no results.json yet")
    state = next((run_dir / "checkpoints" / "step_0000000004").glob("state.data*"))
    state.write_bytes(state.read_bytes()[:-1])
    refused("last", "is not what was written")
    shutil.rmtree(run_dir / "checkpoints")
    refused("last", "has no checkpoint")


def test_checkpoints_that_may_not_be_read_are_not_taken_for_absent(closed_folder):
    folder = RunFolder(Config(run_dir=str(closed_folder("checkpoints").parent)))
    with pytest.raises(RunError, match=f"^No permission to read {folder.checkpoints}"):
        step_named(folder, "last")


def test_a_run_that_is_being_trained_is_refused_before_anything_is_computed(run_dir, capsys):
    run = TrainedRun(run_dir)
    with run.folder.held():
        assert evaluate.main([f"--run_dir={run_dir}", "--metrics=reconstruction"]) == 2
    said = capsys.readouterr()
    assert "is in use by another process" in said.err
    assert "reconstruction" not in said.out


def test_classes_that_were_not_trained_on_are_no_obstacle_to_other_metrics(tmp_path, capsys):
    """8 examples of 10 classes."""
    settings = TINY | {"train_examples": 8, "epochs": 1}
    experiment.run(Config(run_dir=str(tmp_path / "run"), **settings))
    assert evaluate.main([f"--run_dir={tmp_path / 'run'}"]) == 0
    said = capsys.readouterr().out
    assert "clustering does not apply" in said
    metrics = json.loads((tmp_path / "run" / "results.json").read_bytes())["metrics"]
    assert list(metrics) == ["reconstruction"]


def test_runs_on_pictures_that_metrics_or_a_figure_cannot_take_are_told_why(tmp_path, capsys):
    """One class, and one test picture of which no pair can be made; then two runs of other image sizes."""
    (tmp_path / "pics").mkdir()
    wanted, number = [12, 2, 1], 0
    while any(wanted):
        number += 1
        split = split_of(key_of(f"{number}.png"))
        if wanted[split]:
            wanted[split] -= 1
            Image.new("L", (40, 40), 10 * number % 256).save(tmp_path / "pics" / f"{number}.png")
    settings = TINY | {
        "dataset": f"folder:{tmp_path / 'pics'}",
        "epochs": 1,
        "steps_per_epoch": 1,
        "train_examples": 0,
    }
    run_dirs = {size: str(tmp_path / f"of_{size}") for size in (32, 64)}
    experiment.run(Config(run_dir=run_dirs[32], mixer="supervised", image_size=32, **settings))
    experiment.run(Config(run_dir=run_dirs[64], image_size=64, **settings))
    capsys.readouterr()
    names = "probe,probe_pixels,clustering,interpolation,attributes,reconstruction"
    assert evaluate.main([f"--run_dir={run_dirs[32]}", f"--metrics={names}"]) == 0
    said = capsys.readouterr().out
    for name in ("probe", "probe_pixels", "clustering"):
        assert f"{name} does not apply to {run_dirs[32]}: its training examples are all of one label" in said
    assert "interpolation does not apply" in said
    assert "attributes does not apply" in said
    metrics = json.loads((tmp_path / "of_32" / "results.json").read_bytes())["metrics"]
    assert list(metrics) == ["reconstruction"]

    both = [f"--run_dir={run_dir}" for run_dir in run_dirs.values()]
    assert evaluate.main([*both, "--figures=interpolation"]) == 2
    assert "one --image_size. Received: " in one_line(capsys)


@pytest.mark.slow
def test_codes_are_compared_with_the_factors_of_dsprites(tmp_path, capsys):
    """A beta-VAE after two steps, by three metrics and two figures."""
    folder = tmp_path / "run"
    experiment.run(Config(dataset="dsprites", model="vae", epochs=1, steps_per_epoch=2, run_dir=str(folder)))
    command = [f"--run_dir={folder}", "--metrics=mig,sap,factor_vae", "--figures=interpolation,traversal"]
    assert evaluate.main(command) == 0
    metrics = json.loads((folder / "results.json").read_bytes())["metrics"]
    assert set(metrics) == {"mig", "sap", "factor_vae"}
    assert metrics["factor_vae"]["data"] == "re-rendered dSprites"
    assert metrics["factor_vae"]["preset"] == "paper"
    assert 0 <= metrics["mig"]["score"] <= metrics["mig"]["maximum"]
    assert {path.name for path in (folder / "figures").iterdir()} == {"interpolation.png", "traversal.png"}


def test_one_run_that_fails_does_not_stop_the_others(run_dir, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    assert evaluate.main([f"--run_dir={tmp_path}/*", "--metrics=reconstruction"]) == 2
    assert "Not a run folder" in one_line(capsys)
    assert "reconstruction" in json.loads((run_dir / "results.json").read_bytes())["metrics"]


def test_data_that_are_gone_are_one_line(run_dir, tmp_path, capsys):
    """The run was one on MNIST, whose files are no longer where they were."""
    flags = (run_dir / "flags.txt").read_text()
    (run_dir / "flags.txt").write_text(flags.replace("--dataset=lines", "--dataset=mnist"))
    (tmp_path / "empty").mkdir()
    places = [f"--raw_dir={tmp_path / 'empty'}", f"--data_dir={tmp_path / 'empty'}"]
    assert evaluate.main([f"--run_dir={run_dir}", "--metrics=reconstruction", *places]) == 2
    assert "mnist" in one_line(capsys)


def test_runs_of_different_data_share_no_figure(trained, tmp_path, capsys):
    other = shutil.copytree(trained / "mixup", tmp_path / "other")
    flags = (other / "flags.txt").read_text()
    (other / "flags.txt").write_text(flags.replace("--image_fit=resize", "--image_fit=pad"))
    command = [f"--run_dir={trained / 'mixup'}", str(other), "--figures=interpolation"]
    assert evaluate.main(command) == 2
    assert "one data set" in one_line(capsys)


def test_names_with_brackets_are_folders_before_they_are_patterns(tmp_path):
    (tmp_path / "a[1]").mkdir()
    assert evaluate.parse([f"--run_dir={tmp_path}/a[1]"]).folders == [tmp_path / "a[1]"]
    with pytest.raises(ConfigError, match="No such run folder"):
        evaluate.parse([f"--run_dir={tmp_path}/b*"])
