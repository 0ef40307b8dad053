"""The Python API: what `amr_tf` exports does what the command line does."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import amr_tf
from amr_tf.config import ConfigError
from amr_tf.runs.folder import RunError
from tests.training.test_experiment import weights

TINY = {
    "dataset": "lines", "depth": 2, "latent": 2, "latent_width": 8, "batch_size": 8, "update_g_every": 1,
    "steps_per_epoch": 2, "epochs": 2,
}  # fmt: skip

POINTS = {"dataset": "spiral", "depth": 2, "batch_size": 8, "steps_per_epoch": 2, "epochs": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two epochs, opened at its last step."""
    return amr_tf.train(run_dir=tmp_path_factory.mktemp("api") / "run", checkpoint="last", **TINY)


@pytest.fixture(scope="module")
def images(run):
    return run.examples("test")[0][:6]


def test_import_is_quick_and_imports_no_tensorflow():
    """A program that imports the package for one name pays nothing for the others."""
    code = (
        "import sys, amr_tf; print({'tensorflow', 'keras', 'numpy'} & {*sys.modules}, 'AMR' in dir(amr_tf))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set() True\n"


def test_every_public_name_loads():
    for name in dir(amr_tf):
        assert getattr(amr_tf, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'AMRR'"):
        amr_tf.AMRR  # noqa: B018


def test_train_equals_the_command_bit_for_bit(run, tmp_path):
    """Same settings, same machine: the same weights, although Keras was imported here before the package."""
    flags = [f"--{name}={value}" for name, value in TINY.items()]
    command = [sys.executable, "-m", "amr_tf.train", *flags, f"--run_dir={tmp_path / 'run'}"]
    subprocess.run(command, check=True, capture_output=True)
    api, binary = weights(run.path), weights(tmp_path / "run")
    assert api.keys() == binary.keys()
    for name, value in api.items():
        np.testing.assert_array_equal(binary[name], value, err_msg=name)
    assert (run.path / "flags.txt").read_text().count("=") == (tmp_path / "run/flags.txt").read_text().count(
        "="
    )


def test_train_called_again_resumes(tmp_path):
    assert amr_tf.train(run_dir=tmp_path, checkpoint="last", **POINTS).step == 4
    longer = amr_tf.train(run_dir=tmp_path, checkpoint="last", **POINTS | {"epochs": 3})
    assert [row["epoch"] for row in longer.history] == [1, 2, 3]
    assert longer.step == 6


def test_train_reads_a_preset_by_name(tmp_path):
    run = amr_tf.train("base/spiral", run_dir=tmp_path, **POINTS)
    assert run.config.learning_rate == 2e-3
    assert run.config.epochs == 2


def test_train_callbacks_see_the_model_and_stop_it(tmp_path):
    """A callback of the user's ends the run with its epoch, and the same call without it resumes there."""

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert np.isfinite(logs["val_recon"])
            self.model.stop_training = True

    stopped = amr_tf.train(run_dir=tmp_path, callbacks=[Stop()], **POINTS)
    assert len(stopped.history) == 1
    assert len(amr_tf.train(run_dir=tmp_path, **POINTS).history) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "Did you mean: epochs"),
        ({"lambda_": -1}, "--lambda"),
        ({"preset": "fast/none"}, "flags/fast/none.flags"),
        ({"mixer": "mixupp"}, "--mixer"),
    ],
)
def test_train_refuses_what_the_command_refuses(settings, message):
    with pytest.raises(ConfigError, match=message):
        amr_tf.train(**settings)


def test_load_takes_text_and_paths(run):
    for path in (run.path, str(run.path)):
        assert amr_tf.load(path, "last").step == run.step


def test_load_without_a_run_is_one_line(tmp_path):
    with pytest.raises(RunError, match=r"^[^\n]*no flags.txt[^\n]*$"):
        amr_tf.load(str(tmp_path))


def test_run_history_has_the_rows_of_metrics_csv(run):
    assert [row["step"] for row in run.history[:2]] == [2, 4]
    assert all(np.isfinite(row["val_probe_accuracy"]) for row in run.history)


def test_run_codes_are_alike_for_bytes_and_floats(run, images):
    codes = run.encode(images)
    assert codes.shape == (6, 8, 8, 2)
    # A division by 127.5 compiles to a product with its inverse: the last bit may differ.
    floats = images / np.float32(127.5) - np.float32(1.0)
    np.testing.assert_allclose(run.encode(floats), codes, atol=1e-6)
    np.testing.assert_array_equal(run.reconstruct(images), run.decode(codes))


def test_run_interpolation_begins_and_ends_at_the_images(run, images):
    strip = run.interpolate(images[0], images[1], steps=5)
    ends = run.reconstruct(images[:2])
    assert strip.shape == (5, 32, 32, 1)
    np.testing.assert_allclose(strip[[0, -1]], ends, atol=1e-6)
    strips = run.interpolate(images[:3], images[3:], steps=4)
    assert strips.shape == (3, 4, 32, 32, 1)


def test_run_mixes_of_one_image_are_its_reconstruction(run, images):
    mixes = run.mix(images[:3], np.eye(3))
    np.testing.assert_allclose(mixes, run.reconstruct(images[:3]), atol=1e-6)
    middle = run.decode((run.encode(images[:2]) / 2).sum(axis=0, keepdims=True))[0]
    np.testing.assert_allclose(run.mix(images[:2], [0.5, 0.5]), middle, atol=1e-6)


def test_run_evaluate_returns_and_saves_results(run):
    found = run.evaluate(["reconstruction"])
    assert found["reconstruction"]["mse"] > 0
    saved = json.loads((run.path / "results.json").read_text())["metrics"]
    assert saved["reconstruction"]["mse"] == found["reconstruction"]["mse"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run, x: run.encode(x[:, :8]), "None, 32, 32, 1.*6, 8, 32, 1"),
        (lambda run, x: run.encode(x.astype(np.float32)), "float are in .-1, 1.* 0 to 255"),
        (lambda run, x: run.encode(x.astype(np.int64)), "uint8, or float.*int64"),
        (lambda run, x: run.interpolate(x[0], x[:2]), "one shape"),
        (lambda run, x: run.interpolate(x[0], x[1], 1), "at least 2"),
        (lambda run, x: run.mix(x[:3], [0.5, 0.5]), "3 images take weights"),
        (lambda run, x: run.mix(x[:2], [0.5, 0.6]), "sum to 1"),
    ],
)
def test_run_refuses_arrays_that_do_not_fit(run, images, call, message):
    with pytest.raises(ValueError, match=message):
        call(run, images)


def test_run_evaluate_refuses_unknown_and_unfit_metrics(run):
    with pytest.raises(ConfigError, match="probes"):
        run.evaluate(["probes"])
    with pytest.raises(ConfigError, match="mig does not apply"):
        run.evaluate(["mig"])
