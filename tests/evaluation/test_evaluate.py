"""`amr_tf.evaluate`: run folders alone give numbers in results.json and pictures; errors are one line."""

import json
import os
import pathlib
import re
import shutil
import tempfile

import numpy as np
import pytest
from PIL import Image

from amr_tf import evaluate, registry
from amr_tf.config import Config, ConfigError
from amr_tf.data import pixels
from amr_tf.data.sources.folder_layout import key_of, split_of
from amr_tf.evaluation import measures
from amr_tf.plotting import charts
from amr_tf.runs.best import ACCURACY, best_row
from amr_tf.runs.folder import RunError, RunFolder, read_rows
from amr_tf.runs.trained import TrainedRun, step_named
from amr_tf.training import experiment

TINY = {
    "arch": "acai", "depth": 2, "latent": 2, "latent_width": 8, "batch_size": 8, "steps_per_epoch": 2,
    "update_g_every": 1, "train_examples": 300,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns the folder of two runs on lines, one by mixup and one by Bernoulli mixing."""
    parent = tmp_path_factory.mktemp("runs")
    for mixer in ("mixup", "bernoulli"):
        experiment.run(Config(run_dir=str(parent / mixer), mixer=mixer, epochs=2, **TINY))
    return parent


@pytest.fixture
def run_dir(trained, tmp_path):
    """Returns a copy that a test may write to or damage."""
    return shutil.copytree(trained / "mixup", tmp_path / "run")


def metrics_of(folder):
    return json.loads((folder / "results.json").read_bytes())["metrics"]


def files(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("table", [registry.METRICS, registry.FIGURES], ids=["metrics", "figures"])
def test_every_name_stands_for_something_with_a_description(table):
    for name in table:
        assert registry.load(table, name).description


def test_metrics_are_merged_into_the_results_and_shown(run_dir, capsys):
    """Settings, seed and time are recorded; earlier entries are kept; a later metric joins the first."""
    before = json.loads((run_dir / "results.json").read_bytes())
    names = "reconstruction,lines,factor_vae,attributes"
    assert evaluate.main([f"--run_dir={run_dir}", f"--metrics={names}", "--seed=3"]) == 0
    said = capsys.readouterr().out
    assert re.search("factor_vae does not apply to .*--dataset=lines", said)
    assert re.search("attributes does not apply to .*--model=amr_supervised", said)
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


def test_the_same_seed_gives_the_same_numbers(run_dir):
    """Other requested metrics change nothing."""
    run = TrainedRun(run_dir, "last")
    first = measures.evaluate(run, "interpolation", "last", seed=1)
    measures.evaluate(run, "lines", "last", seed=1)
    again, other = (measures.evaluate(run, "interpolation", "last", seed=seed) for seed in (1, 2))
    changing = {"seconds", "when", "seed"}
    numbers = [{k: v for k, v in found.items() if k not in changing} for found in (first, again, other)]
    assert numbers[0] == numbers[1] != numbers[2]


def test_the_probe_of_a_trained_run_is_better_than_chance(run_dir, capsys):
    assert evaluate.main([f"--run_dir={run_dir}", "--metrics=probe,probe_pixels"]) == 0
    for found in metrics_of(run_dir).values():
        assert found["score"] > 2 * found["chance"]


@pytest.mark.slow
def test_supervised_mixes_are_scored_and_drawn(tmp_path, monkeypatch):
    """Metric and figures of a run on shapes, from its folder alone."""
    folder, drawn = tmp_path / "run", []
    settings = TINY | {"latent": 16, "train_examples": 500, "labelled_examples": 250}
    experiment.run(
        Config(run_dir=str(folder), dataset="shapes", model="amr_supervised", epochs=1, **settings)
    )
    masks = charts.masks
    monkeypatch.setattr(charts, "masks", lambda *given: drawn.append(masks(*given)) or drawn[0])
    command = [f"--run_dir={folder}", "--metrics=attributes", "--figures=masks,attribute_mixes"]
    assert evaluate.main(command) == 0
    found = metrics_of(folder)["attributes"]
    assert found["mixes"] == 1_000
    assert found["chance"] == pytest.approx((3 / 4) ** 4, abs=0.03), "own, or requested from the other parent"
    assert 0 <= found["random_mask"] <= 1
    assert found["classifier"] > 1 / 4
    assert found["mask_difference"] > 0

    run = TrainedRun(folder)
    parameters, mask = (axes.images[0].get_array() for axes in drawn[0].axes[:2])
    np.testing.assert_allclose(parameters, run.mask_parameters(run.combinations()), rtol=1e-6)
    assert parameters.shape == mask.shape == (16, 16)
    assert set(np.unique(mask)) == {0, 1}
    with Image.open(folder / "figures" / "attribute_mixes.png") as file:
        assert file.size[1] == 2 * (18 * 34 + 2)


@pytest.mark.soak
def test_supervised_mixing_beats_random_masks(tmp_path):
    """After a minute most mixes of test images show all four attributes to an independent classifier."""
    folder = tmp_path / "run"
    settings = {"arch": "burgess", "latent": 64, "recon_loss": "l2", "lambda_": 100.0, "update_g_every": 1}
    settings |= {"attribute_weight": 3.0, "learning_rate": 1e-3, "steps_per_epoch": 800, "epochs": 1}
    experiment.run(Config(run_dir=str(folder), dataset="shapes", model="amr_supervised", **settings))
    assert evaluate.main([f"--run_dir={folder}", "--metrics=attributes"]) == 0
    found = metrics_of(folder)["attributes"]
    assert found["classifier"] > 0.97
    assert found["random_mask"] < 0.4
    assert found["score"] > 0.6


@pytest.mark.parametrize(("figure", "received"), [("masks", "--model=amr"), ("traversal", "--arch=acai")])
def test_figures_that_a_run_cannot_have_are_refused(trained, refused, figure, received):
    words = (f"--run_dir={trained / 'mixup'}", f"--figures={figure}")
    assert f"Received: {received}" in refused(evaluate.main, *words)


def test_metrics_stay_when_the_run_resumes(run_dir):
    assert evaluate.main([f"--run_dir={run_dir}", "--metrics=reconstruction"]) == 0
    experiment.run(Config(run_dir=str(run_dir), mixer="mixup", epochs=3, **TINY))
    results = json.loads((run_dir / "results.json").read_bytes())
    assert results["last"]["epoch"] == 3
    assert results["metrics"]["reconstruction"]["step"] in (2, 4)


def test_the_model_is_the_requested_checkpoint(run_dir):
    """The error of its reconstructions is the one in its row of metrics.csv."""
    rows = {int(row["step"]): row for row in read_rows(run_dir / "metrics.csv")}
    assert sorted(rows) == [2, 4]
    best = int(best_row(list(rows.values()), ACCURACY)["step"])
    for checkpoint, step in (("2", 2), ("4", 4), ("last", 4), ("best", best)):
        run = TrainedRun(run_dir, checkpoint)
        assert run.step == step
        images = run.splits.test.images
        recon = run.decode(run.encode(images))
        error = np.mean(np.abs(recon - (images / 127.5 - 1.0)))
        assert error == pytest.approx(rows[step]["test_recon"], rel=1e-4)


def test_figures_of_several_runs_show_a_row_for_each(trained, tmp_path, capsys):
    """No metric is computed where only figures are requested. The first pair's rows: pixels, bernoulli, mixup."""
    command = [f"--run_dir={trained}/*", "--figures=interpolation,triangle", f"--out={tmp_path}", "--animate"]
    assert evaluate.main(command) == 0
    assert "score" not in capsys.readouterr().out
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"interpolation.gif", "interpolation.png", "triangle.png"}
    with Image.open(tmp_path / "interpolation.gif") as file:
        assert file.n_frames == 20
    run = TrainedRun(trained / "mixup")
    test = run.splits.test
    rows = np.random.default_rng([0, *b"interpolation"]).choice(5_000, 8, replace=False)
    real = pixels.to_float(test.images[rows])
    ends = run.decode(run.encode(real))
    # Images are enlarged twice to cells of 68 pixels, 4 of them a gap.
    with Image.open(tmp_path / "interpolation.png") as file:
        picture = np.asarray(file)[:, -11 * 68 :]
    for row, column, expected in ((0, 0, real[0]), (0, 10, real[4]), (2, 0, ends[0]), (2, 10, ends[4])):
        assert_shows(picture[68 * row + 4 :, 68 * column :], expected)
    # The corners of the triangle are reconstructions of its images.
    _, first = np.unique(test.labels, return_index=True)
    chosen = np.random.default_rng([0, *b"triangle"]).choice(first, 3, replace=False)
    run = TrainedRun(trained / "bernoulli")
    real = pixels.to_float(test.images[chosen])
    ends = run.decode(run.encode(real))
    with Image.open(tmp_path / "triangle.png") as file:
        picture = np.asarray(file)
    for top, left, expected in ((0, 3 * 68, ends[0]), (6 * 72, 0, ends[1]), (6 * 72, 6 * 68, ends[2])):
        assert_shows(picture[top + 4 :, left + 4 :], expected)
    assert_shows(picture[7 * 72 + 16 :, 3 * 68 + 4 :], real[1])


def assert_shows(picture, expected):
    """Asserts that the upper left corner of the picture is the image, enlarged twice."""
    found = picture[:64:2, :64:2, 0].astype(int)
    assert np.abs(found - pixels.to_uint8(expected)[..., 0]).max() <= 1


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
def test_bad_words_are_one_line(words, message, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    assert re.search(message, refused(evaluate.main, *words))


def test_damage_is_one_line_and_nothing_changes(run_dir, refused):
    """No checkpoint of that step, a damaged one, a damaged results.json, no checkpoints at all."""
    command = [f"--run_dir={run_dir}", "--metrics=reconstruction", "--checkpoint"]

    def check(checkpoint, message):
        before = files(run_dir)
        assert message in refused(evaluate.main, *command, checkpoint)
        assert files(run_dir) == before

    check("3", "checkpoint of step 3")
    check("first", "takes best, last or a number")
    check("9" * 5000, "takes best, last or a number")
    for damaged in ('{"best": ', "[]", '{"metrics": {"probe": {"score": NaN}}}'):
        (run_dir / "results.json").write_text(damaged)
        check("last", "The results cannot be read")
    rows = (run_dir / "metrics.csv").read_text()
    for damaged in (rows.replace(",4,", ",nan,"), rows + "x" * 200_000):
        (run_dir / "metrics.csv").write_text(damaged)
        check("best", "The metrics cannot be read")
    (run_dir / "results.json").unlink()
    check("last", "has no results.json yet")
    state = next((run_dir / "checkpoints" / "step_0000000004").glob("state.data*"))
    state.write_bytes(state.read_bytes()[:-1])
    check("last", "is not what was written")
    shutil.rmtree(run_dir / "checkpoints")
    check("last", "has no checkpoint")


def test_unreadable_checkpoints_are_not_absent_ones(closed_folder):
    folder = RunFolder(Config(run_dir=str(closed_folder("checkpoints").parent)))
    with pytest.raises(RunError, match=f"^No permission to read {folder.checkpoints}"):
        step_named(folder, "last")


def test_a_run_in_training_is_refused_at_once(run_dir, capsys):
    run = TrainedRun(run_dir)
    with run.folder.held():
        assert evaluate.main([f"--run_dir={run_dir}", "--metrics=reconstruction"]) == 2
    said = capsys.readouterr()
    assert "is in use by another process" in said.err
    assert "reconstruction" not in said.out


def test_untrained_classes_leave_other_metrics(tmp_path, capsys):
    """8 examples of 10 classes."""
    settings = TINY | {"train_examples": 8, "epochs": 1}
    experiment.run(Config(run_dir=str(tmp_path / "run"), **settings))
    assert evaluate.main([f"--run_dir={tmp_path / 'run'}"]) == 0
    assert "clustering does not apply" in capsys.readouterr().out
    assert list(metrics_of(tmp_path / "run")) == ["reconstruction"]


def test_inapplicable_metrics_and_figures_are_explained(tmp_path, capsys, refused):
    """One class, and one test picture, which is no pair; then two runs of different image sizes."""
    (tmp_path / "pics").mkdir()
    wanted, number = [12, 2, 1], 0
    while any(wanted):
        number += 1
        split = split_of(key_of(f"{number}.png"))
        if wanted[split]:
            wanted[split] -= 1
            Image.new("L", (40, 40), 10 * number % 256).save(tmp_path / "pics" / f"{number}.png")
    settings = TINY | {"dataset": f"folder:{tmp_path / 'pics'}", "epochs": 1, "steps_per_epoch": 1}
    settings |= {"train_examples": 0}
    run_dirs = {size: str(tmp_path / f"of_{size}") for size in (32, 64)}
    experiment.run(Config(run_dir=run_dirs[32], model="amr_supervised", image_size=32, **settings))
    experiment.run(Config(run_dir=run_dirs[64], image_size=64, **settings))
    capsys.readouterr()
    names = "probe,probe_pixels,clustering,interpolation,attributes,reconstruction"
    assert evaluate.main([f"--run_dir={run_dirs[32]}", f"--metrics={names}"]) == 0
    said = capsys.readouterr().out
    for name in ("probe", "probe_pixels", "clustering"):
        assert f"{name} does not apply to {run_dirs[32]}: its training examples are all of one label" in said
    assert "interpolation does not apply" in said
    assert "attributes does not apply" in said
    assert list(metrics_of(tmp_path / "of_32")) == ["reconstruction"]

    both = [f"--run_dir={run_dir}" for run_dir in run_dirs.values()]
    assert "one --image_size. Received: " in refused(evaluate.main, *both, "--figures=interpolation")


@pytest.mark.slow
def test_codes_are_compared_with_the_factors_of_dsprites(tmp_path, capsys):
    """A beta-VAE after two steps, by three metrics and two figures."""
    folder = tmp_path / "run"
    experiment.run(Config(dataset="dsprites", model="vae", epochs=1, steps_per_epoch=2, run_dir=str(folder)))
    command = [f"--run_dir={folder}", "--metrics=mig,sap,factor_vae", "--figures=interpolation,traversal"]
    assert evaluate.main(command) == 0
    metrics = metrics_of(folder)
    assert set(metrics) == {"mig", "sap", "factor_vae"}
    assert metrics["factor_vae"]["data"] == "re-rendered dSprites"
    assert metrics["factor_vae"]["preset"] == "paper"
    assert 0 <= metrics["mig"]["score"] <= metrics["mig"]["maximum"]
    assert {path.name for path in (folder / "figures").iterdir()} == {"interpolation.png", "traversal.png"}


def test_one_run_that_fails_does_not_stop_the_others(run_dir, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    assert evaluate.main([f"--run_dir={tmp_path}/*", "--metrics=reconstruction"]) == 2
    assert "Not a run folder" in capsys.readouterr().err
    assert "reconstruction" in metrics_of(run_dir)


def test_missing_data_are_one_line(run_dir, tmp_path, refused):
    """The files of MNIST are no longer where they were."""
    flags = (run_dir / "flags.txt").read_text()
    (run_dir / "flags.txt").write_text(flags.replace("--dataset=lines", "--dataset=mnist"))
    (tmp_path / "empty").mkdir()
    places = [f"--raw_dir={tmp_path / 'empty'}", f"--data_dir={tmp_path / 'empty'}"]
    assert "mnist" in refused(evaluate.main, f"--run_dir={run_dir}", "--metrics=reconstruction", *places)


@pytest.fixture
def read_only(trained):
    """Gives a copy of a run that this process may only read, beside a folder `out` to write to."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as parent:  # pytest closes its own to other users
        folder = shutil.copytree(trained / "mixup", pathlib.Path(parent, "run"))
        pathlib.Path(parent, "out").mkdir()
        for path in (pathlib.Path(parent), *pathlib.Path(parent).rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        pathlib.Path(parent, "out").chmod(0o777)
        (folder / ".lock").unlink(missing_ok=True)
        folder.chmod(0o555)
        if user == 0:
            os.setresuid(65534, 65534, 0)  # root may write anywhere
        yield folder
        os.setresuid(user, user, user)
        folder.chmod(0o755)


def test_run_that_may_only_be_read_is_measured(read_only, capsys, refused):
    """The results are printed, and written where --out says; the run does not change."""
    before, out = files(read_only), read_only.with_name("out")
    command = [f"--run_dir={read_only}", "--metrics=reconstruction"]
    assert evaluate.main(command) == 0
    said = capsys.readouterr().out
    assert "may only be read: the results are not added" in said
    assert "mse" in said
    assert evaluate.main([*command, f"--out={out / 'new' / 'r.json'}"]) == 0
    capsys.readouterr()
    assert list(json.loads((out / "new" / "r.json").read_bytes())[str(read_only)]) == ["reconstruction"]
    figures = ["--figures=interpolation", f"--run_dir={read_only}"]
    assert evaluate.main([*figures, f"--out={out}"]) == 0
    capsys.readouterr()
    assert evaluate.main(figures) == 2
    assert "Choose another --out" in capsys.readouterr().err
    assert "a folder. Received: --out=a.json" in refused(evaluate.main, *figures, "--out=a.json")
    assert files(read_only) == before


def test_runs_of_different_data_share_no_figure(trained, tmp_path, refused):
    """Another `--image_fit` is no other data where images are not enlarged, as lines are not."""
    other = shutil.copytree(trained / "mixup", tmp_path / "other")
    flags = (other / "flags.txt").read_text()
    command = (f"--run_dir={trained / 'mixup'}", other, "--figures=interpolation", f"--out={tmp_path}")
    (other / "flags.txt").write_text(flags.replace("--dataset=lines", "--dataset=digits"))
    assert "one data set" in refused(evaluate.main, *command)
    (other / "flags.txt").write_text(flags.replace("--image_fit=resize", "--image_fit=pad"))
    assert evaluate.main([*map(str, command)]) == 0


def test_file_in_place_of_a_run_is_not_called_absent(tmp_path, refused):
    (tmp_path / "a").write_text("")
    (tmp_path / "b" / "flags.txt").mkdir(parents=True)
    assert "Not a folder." in refused(evaluate.main, f"--run_dir={tmp_path / 'a'}")
    assert "flags.txt in it is not a regular file" in refused(evaluate.main, f"--run_dir={tmp_path / 'b'}")


def test_a_name_with_brackets_is_a_folder_first(tmp_path):
    (tmp_path / "a[1]").mkdir()
    assert evaluate.parse([f"--run_dir={tmp_path}/a[1]"]).folders == [tmp_path / "a[1]"]
    with pytest.raises(ConfigError, match="No such run folder"):
        evaluate.parse([f"--run_dir={tmp_path}/b*"])
