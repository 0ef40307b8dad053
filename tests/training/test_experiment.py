"""A whole run, from the flags to the run folder: its files, and exact resuming."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from amr_tf.config import Config, ConfigError, command_line
from amr_tf.models.build import build_model
from amr_tf.runs.best import ACCURACY, best_row
from amr_tf.runs.folder import RunError, RunFolder, read_rows
from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime.errors import DataError, DivergedError, Interrupted, UserError
from amr_tf.training import experiment
from tests.support.config import tiny_config

# Networks that compile in a second, for tests that do not depend on them.
SHORT = {"arch": "acai", "latent_width": 16, "update_g_every": 1}
# Points instead of images: quicker still.
POINTS = {"dataset": "spiral", "arch": "mlp"}


def tiny(folder, **settings):
    own = {"dataset": "lines", "epochs": 2, "steps_per_epoch": 4, "update_g_every": 3, "run_dir": str(folder)}
    return tiny_config(**own | settings)


def weights(folder):
    """Returns all variables of the newest checkpoint by name, with those of optimizers and spectral norms."""
    reader = tf.train.load_checkpoint(str(max((folder / "checkpoints").glob("step_*")) / "state"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("model/")]
    return {name: reader.get_tensor(name) for name in names}


def assert_equal_runs(expected, found):
    """Compares every variable bit for bit, and the rows except their speed."""
    before, after = weights(expected), weights(found)
    assert before.keys() == after.keys()
    assert len(before) > 50
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
    assert rows_without_speed(expected) == rows_without_speed(found)


def rows_without_speed(folder):
    """Returns the rows of metrics.csv without the speed."""
    rows = read_rows(folder / "metrics.csv")
    return [{name: value for name, value in row.items() if name != "images_per_second"} for row in rows]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The folder of a finished run of two epochs."""
    return experiment.run(tiny(tmp_path_factory.mktemp("runs") / "unbroken"))


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """The folder of a finished run of two epochs on points."""
    return experiment.run(tiny(tmp_path_factory.mktemp("runs") / "points", **POINTS))


def test_run_writes_the_promised_files(unbroken):
    results = json.loads((unbroken / "results.json").read_text())
    rows = read_rows(unbroken / "metrics.csv")
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 4), (2, 8)]
    best = best_row(rows, ACCURACY)
    assert results["best_by"] == ACCURACY.name
    for name in ("epoch", "val_probe_accuracy", "test_probe_accuracy"):
        assert results["best"][name] == best[name]
    assert results["last"]["gen_loss"] == pytest.approx(rows[-1]["gen_loss"])
    assert results["config"]["update_g_every"] == 3
    assert results["examples"] == {"train": 50_000, "validation": 5_000, "test": 5_000}
    assert results["last"]["images_per_second"] > 0
    assert {"versions", "device", "commit", "sources"} <= set(results)
    assert json.loads((unbroken / "data.json").read_text()) == {
        "name": "lines", "classes": 10, "attributes": [], "examples": results["examples"],
    }  # fmt: skip
    assert not list(unbroken.rglob("*.tmp"))

    assert command_line.parse([f"--flagfile={unbroken / 'flags.txt'}"])[0] == tiny(unbroken)
    first, second = (np.asarray(Image.open(unbroken / f"images/epoch_0000{n}_mixes.png")) for n in (1, 2))
    assert np.any(first != second)


@pytest.mark.slow
def test_resume_with_more_epochs_is_exact(unbroken, tmp_path):
    folder = tmp_path / "in_two_parts"
    experiment.run(tiny(folder, epochs=1))
    experiment.run(tiny(folder))
    assert_equal_runs(unbroken, folder)
    assert command_line.parse([f"--flagfile={folder / 'flags.txt'}"])[0].epochs == 2


@pytest.mark.parametrize(
    ("settings", "stops"), [({}, (1, 4)), ({"schedule": "cosine", "learning_rate": 0.01}, (3,))]
)
def test_resume_within_and_after_an_epoch_is_exact(tmp_path, settings, stops):
    """The first and the last of an epoch's 4 steps update the generator; the evaluation follows."""
    settings = POINTS | settings
    unbroken = experiment.run(tiny(tmp_path / "unbroken", **settings))
    for stop in stops:
        with pytest.raises(Interrupted, match=f"at step {stop} of 8, which is saved"):
            experiment.run(tiny(tmp_path / "stopped", **settings), stop_at=stop)
        assert int(weights(tmp_path / "stopped")["model/step/.ATTRIBUTES/VARIABLE_VALUE"]) == stop
    assert_equal_runs(unbroken, experiment.run(tiny(tmp_path / "stopped", **settings)))
    if "schedule" in settings:
        rates = [row["learning_rate"] for row in read_rows(unbroken / "metrics.csv")]
        np.testing.assert_allclose(rates, [0.005, 0.0], atol=1e-8)
        with pytest.raises(RunError, match=r"--epochs=3 \(there: 2\)"):
            experiment.run(tiny(unbroken, epochs=3, **settings))


@pytest.mark.parametrize(
    "settings",
    [{"model": "gaia", "learning_rate": 0.01}, {"model": "vqvae", "codewords": 16}, {"model": "aae"}],
)
def test_resume_of_a_method_with_further_state_is_exact(settings, tmp_path):
    """GAIA's share of the learning rate, a codebook, and draws of a prior."""
    settings = POINTS | {"update_g_every": 1} | settings
    unbroken = experiment.run(tiny(tmp_path / "unbroken", **settings))
    with pytest.raises(Interrupted):
        experiment.run(tiny(tmp_path / "stopped", **settings), stop_at=3)
    assert_equal_runs(unbroken, experiment.run(tiny(tmp_path / "stopped", **settings)))


def test_resume_with_changed_data_is_refused(unbroken, tmp_path):
    folder = shutil.copytree(unbroken, tmp_path / "run")
    record = folder / "data.json"
    record.write_text(record.read_text().replace("50000", "49999"))
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    with pytest.raises(DataError, match=r'"train": 50000.*then: .*"train": 49999') as error:
        experiment.run(tiny(folder, epochs=3))
    assert "\n" not in str(error.value)
    run = TrainedRun(folder, "last")
    with pytest.raises(DataError, match="not those that"):
        run.examples("test")
    assert before == {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    record.unlink()
    assert len(run.examples("test")[0]) == 5_000


def test_folder_without_checkpoints_is_reused(tmp_path):
    for settings in ({"epochs": 9}, {"lambda_": 3.0}):
        folder = RunFolder(tiny(tmp_path / "run", **settings))
        folder.check()
        with folder.started(dict.fromkeys(vars(folder.config), "flag")):
            pass
    assert command_line.parse([f"--flagfile={folder.flags}"])[0].lambda_ == 3.0


def test_run_with_unusable_settings_is_refused(unbroken, tmp_path):
    (tmp_path / "file").write_text("")
    for config, message in (
        (tiny(unbroken, lambda_=3.0), r"--lambda=3\.0 \(there: 10\.0\)"),
        (tiny(tmp_path / "run", batch_size=60_000), "A batch needs 60000"),
        (tiny(tmp_path / "file" / "run"), "run folder cannot be"),
    ):
        with pytest.raises(UserError, match=message) as error:
            experiment.run(config)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_run_diverged_stops_at_the_step(tmp_path, steps_per_execution):
    """The first step breaks the weights, which the losses of the second one show."""
    settings = SHORT | {"steps_per_epoch": 4, "steps_per_execution": steps_per_execution}
    with pytest.raises(DivergedError, match=r"at step 2: .*recon.* no longer finite") as error:
        experiment.run(tiny(tmp_path / "nan", learning_rate=1e30, **settings))
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "nan" / "checkpoints").iterdir())


def test_run_diverged_evaluation_is_not_recorded(tmp_path):
    """The only step's own losses are those of the weights before it."""
    settings = POINTS | {"model": "ae", "update_g_every": 1, "steps_per_epoch": 1, "learning_rate": 1e30}
    for _ in range(2):
        with pytest.raises(DivergedError, match=r"at step 1: .*val_recon"):
            experiment.run(tiny(tmp_path / "nan", epochs=1, **settings))
    assert not (tmp_path / "nan" / "metrics.csv").exists()


def test_resume_without_metrics_ends(points, tmp_path):
    """And with other names among the checkpoints."""
    folder = shutil.copytree(points, tmp_path / "run")
    (folder / "metrics.csv").unlink()
    for name in ("step_abc", "step_0000000099.bak", "step_"):
        (folder / "checkpoints" / name).mkdir()
    for epochs in (3, 3, 4):
        experiment.run(tiny(folder, **POINTS | {"epochs": epochs}))
    assert [row["epoch"] for row in read_rows(folder / "metrics.csv")] == [2, 3, 4]


@pytest.mark.parametrize(
    "settings",
    [{"steps_per_execution": 1}, {"steps_per_execution": 3}, {"device_data": True}],
    ids=lambda settings: str(*settings),
)
def test_run_steps_per_call_and_feeding_change_nothing(points, tmp_path, settings):
    """By default the speed decides the steps per call, and the CPU feeds them; 3 does not divide an epoch of 4."""
    assert_equal_runs(points, experiment.run(tiny(tmp_path / "other", **POINTS, **settings)))


def test_run_on_two_replicas_ends(tmp_path):
    """Recorded values are those of variables on two devices."""
    settings = POINTS | {"strategy": "mirrored", "cpu_devices": 2, "schedule": "cosine"}
    folder = experiment.run(tiny(tmp_path / "run", **settings))
    rows = read_rows(folder / "metrics.csv")
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[-1]["learning_rate"] == pytest.approx(0.0, abs=1e-9)


def test_build_model_images_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="64 px"):
        build_model(Config(arch="burgess"), (16, 16, 1), 10)


def test_resume_finished_run_changes_nothing(unbroken, tmp_path, monkeypatch, capsys):
    """Also if the working folder was removed."""
    before = {path: path.read_bytes() for path in (unbroken / "results.json", unbroken / "metrics.csv")}
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    experiment.run(tiny(unbroken))
    assert before == {path: path.read_bytes() for path in before}
    assert "-m tensorboard.main --logdir" in capsys.readouterr().out


def test_demo_preset_is_the_default_command():
    config, sources = command_line.parse(["--flagfile=flags/demo.flags"])
    assert (config.dataset, config.model) == ("lines", "acai")
    assert sources["lambda_"] == "preset flags/demo.flags"


def test_train_command_output_ends_with_the_results(tmp_path):
    """Without a terminal: no bar, no start-up messages, no traceback."""
    config = tiny(tmp_path / "a run", **SHORT | {"epochs": 1, "update_g_every": 3})
    names = ("arch", "depth", "latent", "latent_width", "batch_size", "steps_per_epoch", "epochs")
    arguments = [config.flag(name) for name in (*names, "update_g_every", "run_dir")]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    root = pathlib.Path(experiment.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "amr_tf.train", *arguments],
        capture_output=True, text=True, cwd=root, env=environment, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    tail = done.stdout.splitlines()[-4:]
    assert [line.split(":")[0] for line in tail] == ["probe accuracy", "results", "picture", "TensorBoard"]
    assert all(pathlib.Path(line.split(maxsplit=1)[1]).is_file() for line in tail[1:3])
    assert shlex.split(tail[3])[-1] == str(tmp_path / "a run" / "tensorboard"), "can be pasted into a shell"
    assert "The generator is updated on one step in 3 only" in done.stdout
    assert "\r" not in done.stdout
