"""A whole run, from flags to the run folder: what lies there, and that it goes on where it stopped."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from amr_tf import command_line, experiment, runs
from amr_tf.config import Config, ConfigError
from amr_tf.errors import DataError

TINY = {
    "depth": 2,
    "latent": 2,
    "latent_width": 8,
    "batch_size": 8,
    "steps_per_epoch": 4,
    "update_g_every": 3,
}
# Networks that compile in a second, for what does not depend on them.
SHORT = {"arch": "acai", "latent_width": 16, "update_g_every": 1}


def tiny(folder, **settings):
    return Config(**(TINY | {"epochs": 2, "run_dir": str(folder)} | settings))


def weights(folder):
    """All variables of the newest checkpoint by name."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(folder / "checkpoints"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("model/")]
    return {name: reader.get_tensor(name) for name in names}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The folder of a finished run of two epochs."""
    return experiment.run(tiny(tmp_path_factory.mktemp("runs") / "unbroken"))


def test_run_folder_holds_what_it_promises(unbroken):
    results = json.loads((unbroken / "results.json").read_text())
    rows = runs.read_rows(unbroken / "metrics.csv")
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["step"] for row in rows] == [4, 8]
    best = max(rows, key=lambda row: row["val_probe_accuracy"])
    for name in ("epoch", "val_probe_accuracy", "test_probe_accuracy"):
        assert results["best"][name] == best[name]
    assert results["last"]["gen_loss"] == pytest.approx(rows[-1]["gen_loss"])
    assert results["config"]["update_g_every"] == 3
    assert results["examples"] == {"train": 50_000, "validation": 5_000, "test": 5_000}
    assert results["last"]["images_per_second"] > 0
    assert {"versions", "device", "commit", "sources"} <= set(results)
    assert not list(unbroken.rglob("*.tmp"))


def test_flags_txt_starts_the_same_run_again(unbroken):
    config, _ = command_line.parse([f"--flagfile={unbroken / 'flags.txt'}"])
    assert config == tiny(unbroken)


def test_pictures_are_written_each_epoch_and_change(unbroken):
    """Four rows (input, reconstruction, partner, mix) of twelve 32-pixel images, doubled in size."""
    pictures = [np.asarray(Image.open(unbroken / "images" / f"epoch_0000{n}.png")) for n in (1, 2)]
    for picture in pictures:
        assert picture.shape == (2 * (4 * 34 + 2), 2 * (12 * 34 + 2), 3)
        inputs, partners = picture[4 : 4 + 64], picture[4 + 2 * 68 : 4 + 2 * 68 + 64]
        assert inputs.max() == partners.max() == 255
        assert inputs.min() == 0
    assert np.any(pictures[0] != pictures[1])


def test_tensorboard_files_hold_scalars_and_pictures(unbroken):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tags = {}
    for part in ("train", "validation", "images"):
        events = EventAccumulator(str(unbroken / "tensorboard" / part))
        events.Reload()
        tags[part] = {**events.Tags(), "tensor_names": events.Tags()["tensors"]}
    assert {"epoch_recon", "epoch_gen_loss", "epoch_disc_loss", "epoch_probe_accuracy"} <= set(
        tags["train"]["tensor_names"]
    )
    assert "epoch_probe_accuracy" in tags["validation"]["tensor_names"]
    assert tags["images"]["tensor_names"] == ["inputs, reconstructions, partners, mixes"]


def test_a_run_taken_up_again_ends_where_an_unbroken_one_does(unbroken, tmp_path):
    """One epoch, then the same command with two: every weight and optimizer slot bit for bit, and the same rows."""
    folder = tmp_path / "in_two_parts"
    experiment.run(tiny(folder, epochs=1))
    experiment.run(tiny(folder))
    expected, found = weights(unbroken), weights(folder)
    assert expected.keys() == found.keys()
    assert len(expected) > 50
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    for before, after in zip(
        runs.read_rows(unbroken / "metrics.csv"), runs.read_rows(folder / "metrics.csv"), strict=True
    ):
        before.pop("images_per_second")
        after.pop("images_per_second")
        assert before == after
    assert command_line.parse([f"--flagfile={folder / 'flags.txt'}"])[0].epochs == 2


def test_a_finished_run_is_left_as_it_is(unbroken):
    before = {path: path.read_bytes() for path in (unbroken / "results.json", unbroken / "metrics.csv")}
    experiment.run(tiny(unbroken))
    assert before == {path: path.read_bytes() for path in before}


def test_a_folder_with_other_settings_is_refused_naming_the_difference(unbroken):
    with pytest.raises(runs.RunError, match=r"--lambda=3\.0 \(there: 10\.0\)") as error:
        experiment.run(tiny(unbroken, lambda_=3.0))
    assert "\n" not in str(error.value)


def test_a_folder_in_which_no_epoch_was_finished_is_taken_over(tmp_path):
    folder = runs.RunFolder(tiny(tmp_path / "run", epochs=9))
    folder.check()
    folder.start({"epochs": "flag"})
    other = runs.RunFolder(tiny(tmp_path / "run", lambda_=3.0))
    other.check()
    other.start(dict.fromkeys(vars(other.config), "flag"))
    assert command_line.parse([f"--flagfile={other.flags}"])[0].lambda_ == 3.0


def test_a_damaged_checkpoint_is_one_line(unbroken, tmp_path):
    folder = tmp_path / "damaged"
    experiment.run(tiny(folder, epochs=1, **SHORT))
    data = next((folder / "checkpoints").glob("*.data*"))
    data.write_bytes(data.read_bytes()[:100])
    index = folder / "checkpoints" / "checkpoint"
    for damage, message in (
        (lambda: None, "checkpoint cannot be restored"),
        (lambda: index.write_text(""), "index of the checkpoints is damaged"),
        (index.unlink, "Checkpoints without their index"),
    ):
        damage()
        with pytest.raises(runs.RunError, match=message) as error:
            experiment.run(tiny(folder, **SHORT))
        assert "\n" not in str(error.value)
    assert [row["epoch"] for row in runs.read_rows(folder / "metrics.csv")] == [1], "nothing was lost"


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match="A batch needs 60000"):
        experiment.run(tiny(tmp_path / "run", batch_size=60_000))
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(runs.RunError, match="run folder cannot be"):
        experiment.run(tiny(tmp_path / "file" / "run"))


def test_diverged_training_stops_and_keeps_no_checkpoint_of_that_epoch(tmp_path):
    from amr_tf.callbacks import DivergedError

    with pytest.raises(DivergedError, match="epoch 1"):
        experiment.run(tiny(tmp_path / "nan", learning_rate=1e30, **SHORT))
    assert not list((tmp_path / "nan" / "checkpoints").iterdir())


def test_spiral_is_drawn_as_a_plot(tmp_path):
    """2-D points train with their own networks; the picture shows both colours."""
    folder = experiment.run(
        Config(dataset="spiral", steps_per_epoch=3, epochs=1, run_dir=str(tmp_path / "spiral"))
    )
    colours = {
        tuple(pixel) for pixel in np.asarray(Image.open(folder / "images" / "epoch_00001.png")).reshape(-1, 3)
    }
    assert (31, 119, 180) in colours
    assert (255, 127, 14) in colours


def test_build_model_refuses_images_that_do_not_fit():
    with pytest.raises(ConfigError, match="64 px"):
        experiment.build_model(Config(arch="burgess"), (32, 32, 1), 10)


def test_the_demonstration_preset_is_what_runs_without_flags():
    config, sources = command_line.parse(["--flagfile=flags/demo.flags"])
    assert config.dataset == "lines"
    assert config.model == "amr"
    assert sources["lambda_"] == "preset flags/demo.flags"


def test_the_command_ends_with_result_picture_and_tensorboard_command(tmp_path):
    """Away from a terminal: no bar, no start-up chatter, no traceback."""
    settings = TINY | SHORT | {"epochs": 1, "update_g_every": 3, "run_dir": tmp_path / "run"}
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    root = experiment.pathlib.Path(experiment.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "amr_tf.train", *arguments],
        capture_output=True, text=True, cwd=root, env=environment, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    tail = done.stdout.splitlines()[-4:]
    assert [line.split(":")[0] for line in tail] == ["probe accuracy", "results", "picture", "TensorBoard"]
    assert "The generator is updated on one step in 3 only" in done.stdout
    assert "\r" not in done.stdout
