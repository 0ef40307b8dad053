"""Keras's contract for models, for every method: compile, fit, evaluate, predict, callbacks, save and load.

Points of the spiral stand for images, since their networks compile in a second.
"""

import doctest
import functools
import importlib
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from amr_tf import registry
from amr_tf.config import Config, ConfigError
from amr_tf.data import Arrays, pipeline
from amr_tf.data.catalog import SPIRAL
from amr_tf.distributed.strategy import make_strategy
from amr_tf.models.acai import ACAI
from amr_tf.models.amr import AMR
from amr_tf.models.autoencoder import Autoencoder

SHAPE, CLASSES, N = (1, 1, 2), 10, 40
SMALL = {"arch": "mlp", "dataset": "spiral", "depth": 2, "update_g_every": 1, "batch_size": 8}
RNG = np.random.default_rng(0)
BYTES = RNG.integers(256, size=(N, *SHAPE)).astype("uint8")
FLOATS = BYTES.astype("float32") / np.float32(127.5) - np.float32(1)
LABELS = RNG.integers(CLASSES, size=N)
FIT = {"batch_size": 8, "shuffle": False, "verbose": 0}


def make(method="amr", **settings):
    return registry.load(registry.MODELS, method)(SHAPE, CLASSES, **SMALL | settings)


def compiled(method="amr", settings=None, **arguments):
    model = make(method, **settings or {})
    model.compile(**arguments)
    return model


def variables(model):
    """Weights, the step among them, and the state of every optimizer."""
    slots = [v for player in model.players for v in getattr(model, f"{player}_optimizer").variables]
    return [np.asarray(v) for v in (*model.weights, *slots)]


def assert_equal(one, other):
    for a, b in zip(variables(one), variables(other), strict=True):
        np.testing.assert_array_equal(a, b)


def with_steps(method, eager):
    """A method whose steps run as Python or are compiled, which takes seconds: by default for one method only."""
    name = f"{method}-{'eager' if eager else 'compiled'}"
    return pytest.param(
        (method, eager), id=name, marks=[] if eager != (method == "amr") else pytest.mark.slow
    )


TRAINED = [with_steps(method, eager) for method in registry.MODELS for eager in (True, False)]


@pytest.fixture(scope="module", params=TRAINED)
def trained(request):
    """A model after two epochs of three steps on integers, in calls of two and one, and its logs."""
    method, eager = request.param
    model = compiled(method, steps_per_execution=2, run_eagerly=eager)
    validation = (BYTES[:13], LABELS[:13])
    return model, model.fit(BYTES[:24], LABELS[:24], epochs=2, validation_data=validation, **FIT).history


def test_fit_on_integers_in_calls_equals_floats_in_steps(trained):
    """`steps_per_execution` takes every step, the shorter last call of an epoch too; bytes are scaled to [-1, 1]."""
    model, _ = trained
    other = compiled(model.config.model, run_eagerly=model.run_eagerly)
    other.fit(FLOATS[:24], LABELS[:24], epochs=2, **FIT)
    assert int(model.step) == 6
    assert_equal(model, other)


def test_fit_logs_the_reconstruction_as_loss(trained):
    """`loss` and `val_loss` are what `EarlyStopping()` and others watch by default."""
    model, logs = trained
    assert logs["loss"] == logs["recon"]
    assert logs["val_loss"] == logs["val_recon"]
    expected = np.mean(model.recon_loss(FLOATS[:13], model.reconstruct(FLOATS[:13])))
    assert logs["val_loss"][-1] == pytest.approx(expected, rel=1e-5)
    assert all(np.isfinite(values).all() for values in logs.values())


def test_evaluate_and_predict_scale_integers_as_fit_does(trained):
    """All batches are measured, whatever `steps_per_execution`; the first of the list is `loss`."""
    model, _ = trained
    found = model.evaluate(BYTES[:13], LABELS[:13], batch_size=4, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(
        np.mean(model.recon_loss(FLOATS[:13], model.reconstruct(FLOATS[:13])))
    )
    assert model.evaluate(FLOATS[:13], batch_size=4, verbose=0) == pytest.approx([found["loss"]] * 2)
    predicted = model.predict(BYTES, batch_size=16, verbose=0)
    np.testing.assert_allclose(predicted, model.reconstruct(FLOATS), atol=1e-6)
    np.testing.assert_array_equal(model.encode(BYTES), model.encode(FLOATS))


def test_saved_model_loads_and_continues_alike(trained, tmp_path):
    """Class, settings, weights, optimizers and step: further training gives the numbers of an unbroken one."""
    model, _ = trained
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (type(loaded), loaded.config, loaded.steps_per_execution) == (type(model), model.config, 2)
    assert_equal(model, loaded)
    before = variables(model)
    for one in (model, loaded):
        one.run_eagerly = True
        one.reset_step()
        one.fit(FLOATS[:8], LABELS[:8], **FIT)
    assert_equal(model, loaded)
    assert any(np.any(a != b) for a, b in zip(before, variables(model), strict=True))


def test_saved_weights_load_into_a_new_model(trained, tmp_path):
    """Optimizers too where both models are compiled; weights alone where the new one is not."""
    model, _ = trained
    model.save_weights(tmp_path / "model.weights.h5")
    other = compiled(model.config.model, {"seed": 7})
    other.load_weights(tmp_path / "model.weights.h5")
    assert_equal(model, other)
    bare = make(model.config.model, seed=7)
    bare.load_weights(tmp_path / "model.weights.h5")
    for a, b in zip(bare.weights, model.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", registry.MODELS)
def test_fit_without_labels_trains_no_probe(method):
    """No metric of the probe is logged, and the probe keeps its weights; a method that needs labels says so."""
    model = compiled(method, run_eagerly=True)
    if model.needs_attributes:
        with pytest.raises(ValueError, match=r"SupervisedAMR learns from labels\. Received: y=None"):
            model.fit(FLOATS, **FIT)
        return
    probe, encoder = model.probe.get_weights(), model.encoder.get_weights()
    logs = model.fit(FLOATS[:16], validation_data=(FLOATS[:8], None), **FIT).history
    assert {"loss", "val_loss"} <= logs.keys()
    assert not [name for name in logs if "probe" in name]
    assert all(np.array_equal(a, b) for a, b in zip(probe, model.probe.get_weights(), strict=True))
    assert any(np.any(a != b) for a, b in zip(encoder, model.encoder.get_weights(), strict=True))


@pytest.mark.parametrize("arch", ["amr", "resnet", "burgess"])
def test_spectral_layers_are_saved_and_loaded(arch, tmp_path):
    """u among the weights, in single layers and within residual blocks; every network by itself too."""
    sizes = {"amr": ((32, 32, 1), {"latent_width": 8}), "resnet": ((64, 64, 3), {"latent_width": 32})}
    shape, settings = sizes.get(arch, ((32, 32, 1), {}))
    model = AMR(shape, 3, arch=arch, depth=2, latent=4, **settings)
    model.discriminator.power_steps(1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert any(v.path.endswith("/u") for v in model.weights)
    for name, network in model.networks.items():
        network.save(tmp_path / f"{name}.keras")
        alone = keras.saving.load_model(tmp_path / f"{name}.keras")
        for a, b, c in zip(network.weights, loaded.networks[name].weights, alone.weights, strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(a, c)


def test_attribute_head_of_a_discriminator_is_saved(tmp_path):
    discriminator = make("amr_supervised").discriminator
    discriminator.save(tmp_path / "d.keras")
    loaded = keras.saving.load_model(tmp_path / "d.keras")
    images = tf.constant(FLOATS[:3])
    for a, b in zip(*(one.scores_and_attributes([images]) for one in (discriminator, loaded)), strict=True):
        np.testing.assert_array_equal(a, b)


def players(model):
    return [type(getattr(model, f"{player}_optimizer")).__name__ for player in model.players]


def test_compile_copies_an_optimizer_for_each_player():
    model = make()
    assert list(model.players) == ["discriminator", "generator", "probe"]
    model.compile("adam")
    assert players(model) == ["Adam"] * 3
    given = keras.optimizers.SGD(0.03, momentum=0.5)
    model.compile(given)
    made = [getattr(model, f"{player}_optimizer") for player in model.players]
    assert given not in made
    assert len({id(one) for one in made}) == 3
    assert all(one.momentum == 0.5 and float(one.learning_rate) == pytest.approx(0.03) for one in made)
    model.compile({"generator": "sgd", "discriminator": None})
    assert players(model) == ["FusedAdam", "SGD", "FusedAdam"]
    model.compile()
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4)


def test_optimizers_of_a_user_train_and_are_saved(tmp_path):
    """With momentum and clipping, by player; the loaded model is compiled with the same ones."""
    given = {"generator": keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=1.0), "probe": "adam"}
    model = compiled(optimizer=given, run_eagerly=True)
    model.fit(FLOATS, LABELS, **FIT)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert players(loaded) == ["FusedAdam", "SGD", "Adam"]
    assert loaded.generator_optimizer.clipnorm == 1.0
    assert loaded.run_eagerly
    assert_equal(model, loaded)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "mse"}, "loss= is not supported.*Received: loss='mse'"),
        ({"metrics": ["mae"]}, "metrics= is not supported"),
        ({"weighted_metrics": ["mae"]}, "weighted_metrics= is not supported"),
        ({"loss_weights": [1.0]}, "loss_weights= is not supported"),
        ({"steps_per_execution": 0}, "steps_per_execution is a whole number of at least 1. Received: 0"),
        ({"optimizer": "adamm"}, "Keras has no such optimizer. Received: optimizer='adamm'"),
        ({"optimizer": 3}, "An optimizer of Keras is needed. Received: optimizer=3"),
        ({"optimizer": {"critic": "adam"}}, "Received: 'critic'.*discriminator, generator, probe"),
        ({"optimizer": functools.partial(keras.optimizers.Adam, use_ema=True)}, "Received: use_ema=True"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, dict) else None,
)
def test_compile_refuses_in_a_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        make().compile(**{name: value() if callable(value) else value for name, value in arguments.items()})
    assert "\n" not in str(caught.value)


def in_batches(*parts):
    """Makes a data set of one batch, later: TensorFlow's devices are set up between the collection of tests and now."""
    return lambda: tf.data.Dataset.from_tensors(parts)


WIDE = np.zeros((8, 1, 3, 2), "float32")
REFUSED = {
    "sample_weight": (FLOATS, LABELS, {"sample_weight": np.ones(N)}, "sample_weight= is not supported"),
    "class_weight": (FLOATS, LABELS, {"class_weight": {0: 2.0}}, "class_weight= is not supported"),
    "weights": (in_batches(FLOATS, LABELS, np.ones(N)), None, {}, "Weights of training examples"),
    "shape": (WIDE, LABELS[:8], {}, r"Received: \(8, 1, 3, 2\), image_shape \(1, 1, 2\)"),
    "batches": (in_batches(WIDE, LABELS[:8]), None, {}, r"\(8, 1, 3, 2\), image_shape"),
    "rank": (FLOATS[:, 0], LABELS, {}, r"\(40, 1, 2\), image_shape"),
    "range": (BYTES.astype("float32"), LABELS, {}, r"float32 in \d+ \.\. 25\d\. Scale them"),
    "integers": (BYTES.astype("int32") * 9, LABELS, {}, "int32 in"),
    "bools": (BYTES > 9, LABELS, {}, "Received: bool"),
    "labels": (FLOATS, LABELS + 9, {}, r"whole numbers in 0 \.\. 9\. Received: 9 to"),
    "one_hot": (FLOATS, np.eye(CLASSES)[LABELS], {}, r"one whole number per image\. Received: shape \(40, 10\)"),
    "validation": (FLOATS, LABELS, {"validation_data": (WIDE, None)}, r"\(8, 1, 3, 2\), image_shape"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_fit_refuses_in_a_line(case):
    x, y, arguments, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as caught:
        compiled(run_eagerly=True).fit(x() if callable(x) else x, y, verbose=0, **arguments)
    assert "\n" not in str(caught.value)


def test_fit_takes_labels_in_a_column():
    """As Keras's own CIFAR-10 has them: [N, 1]."""
    logs = [compiled("ae", run_eagerly=True).fit(FLOATS, y, **FIT).history for y in (LABELS, LABELS[:, None])]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lamda": 3.0}, "AMR has no setting of this name. Received: lamda=. Did you mean lambda_?"),
        ({"k": 1}, "--k must be at least 2. Received: --k=1"),
        ({"mixer": "mix"}, "--mixer takes one of"),
        ({"model": "acai"}, "AMR is another method. Received: --model=acai"),
        ({"image_shape": (28,)}, r"image_shape is \(height, width, channels\). Received: \(28,\)"),
        ({"image_shape": (32, 30, 1)}, "take square images"),
        ({"image_shape": (30, 30, 1), "arch": "amr"}, "which they cannot here"),
        ({"num_classes": 0}, "num_classes is a whole number of at least 1. Received: 0"),
        ({"networks": 3}, "networks= takes"),
    ],
    ids=str,
)
def test_constructor_refuses_in_a_line(arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        AMR(**{"image_shape": (32, 32, 1), "num_classes": 10} | arguments)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_constructor_takes_published_defaults_of_its_method():
    assert (ACAI((32, 32, 1)).config.gan_loss, AMR((32, 32, 1)).config.gan_loss) == ("lsgan", "bce")


def test_class_that_extends_a_method_has_its_defaults():
    class Mine(ACAI):
        """A method of a user, in no registry."""

    assert Mine((32, 32, 1), 10).config.model == "acai"


class Turned:
    """A mixer whose shares can be changed in place."""

    own = 1.0

    def sample(self, batch_size, code_shape, seed):
        shares = tf.tile([[self.own, 1 - self.own]], [batch_size, 1])
        indices = tf.stack([tf.range(batch_size), tf.range(batch_size)[::-1]], axis=1)
        return indices, tf.reshape(shares, [-1, 2, *(1,) * len(code_shape)])


def test_reset_step_uses_a_mixer_changed_in_place():
    """A compiled step keeps what it read of the mixer when it was traced."""
    model = compiled(settings={"learning_rate": 1e-30, "weight_decay": 0.0})
    model.mixer = mixer = Turned()

    def mix_loss():
        return model.fit(FLOATS[:8], LABELS[:8], **FIT).history["gan_mix"][0]

    unmixed = mix_loss()
    mixer.own = 0.5
    assert mix_loss() == pytest.approx(unmixed, rel=1e-5)
    model.reset_step()
    assert abs(mix_loss() - unmixed) > 1e-4


def test_early_stopping_and_stop_training_end_fit():
    """By `val_loss`, which cannot improve by so much, after the second epoch; a callback of a user at once."""
    model = compiled("ae", run_eagerly=True)
    stopping = keras.callbacks.EarlyStopping(min_delta=100.0)
    assert (
        len(
            model.fit(
                FLOATS, LABELS, epochs=5, validation_data=(FLOATS, LABELS), callbacks=stopping, **FIT
            ).epoch
        )
        == 2
    )
    before = int(model.step)

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    model.fit(FLOATS, LABELS, epochs=5, callbacks=[Stop()], **FIT)
    assert int(model.step) == before + 1


def test_learning_rate_callback_reaches_every_player():
    model = compiled(run_eagerly=True)
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1))
    model.fit(FLOATS[:8], LABELS[:8], epochs=2, callbacks=[schedule], **FIT)
    assert [float(getattr(model, f"{player}_optimizer").learning_rate) for player in model.players] == [
        0.25
    ] * 3


def test_fit_counts_epochs_for_update_g_every():
    """Epochs of five steps: the generator moves at steps 0 and 3 of each, whatever was trained before."""
    model = compiled(settings={"update_g_every": 3}, run_eagerly=True)
    updates = model.generator_optimizer.iterations
    model.fit(FLOATS, LABELS, epochs=2, **FIT)
    assert int(updates) == 4
    model.fit(FLOATS[:32], LABELS[:32], **FIT)
    assert int(updates) == 6
    model.fit(FLOATS, LABELS, epochs=2, **FIT)
    assert int(updates) == 10
    assert int(model.step) == 24


def test_fit_knows_the_length_of_a_cosine_schedule():
    """Half a cosine over all steps of `fit`, down to 0 after the last one."""
    model = compiled("ae", {"schedule": "cosine", "learning_rate": 0.01}, run_eagerly=True)
    rates = []
    seen = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: rates.append(float(model.optimizer.learning_rate))
    )
    model.fit(FLOATS, LABELS, epochs=2, callbacks=[seen], **FIT)
    np.testing.assert_allclose(rates, 0.01 * (1 + np.cos(np.pi * np.arange(10) / 10)) / 2, rtol=1e-4)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0, abs=1e-9)


def test_fit_on_a_generator_takes_calls_of_several_steps():
    """Its length is unknown: calls of three steps end with the batches."""

    def batches():
        for start in range(0, N, 8):
            yield FLOATS[start : start + 8], LABELS[start : start + 8]

    model, other = (compiled(steps_per_execution=steps, run_eagerly=True) for steps in (3, 1))
    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(batches(), verbose=0)
    other.fit(FLOATS, LABELS, **FIT)
    assert int(model.step) == 5
    assert_equal(model, other)


def test_fit_on_the_batches_of_a_run_equals_its_loop():
    """Bit for bit: weights, optimizers and the means of each epoch, with the generator on every second step."""
    arrays = Arrays(FLOATS, LABELS, SPIRAL)
    looped, fitted = (compiled(settings={"update_g_every": 2}) for _ in range(2))
    looped.epoch_length, batches, rows = 5, iter(pipeline.batches(arrays, 8, 0)), []
    for _ in range(2):
        looped.reset_metrics()
        means = looped.make_train_function()(batches, 5)
        looped.reset_metrics()
        test = looped.make_test_function()(iter(pipeline.eval_batches(arrays, 64)))
        rows.append(means | {f"val_{name}": value for name, value in test.items()})
    fitted.compile(steps_per_execution=5)
    validation = pipeline.eval_batches(arrays, 64)
    data = pipeline.batches(arrays, 8, 0)
    logs = fitted.fit(data, epochs=2, steps_per_epoch=5, validation_data=validation, verbose=0).history
    assert_equal(looped, fitted)
    assert logs.keys() == rows[0].keys() | {"loss", "val_loss"}
    for epoch, name in itertools.product(range(2), rows[0]):
        assert logs[name][epoch] == float(rows[epoch][name]), (epoch, name)


@pytest.mark.parametrize("new_process", [False, True])
def test_backup_and_restore_resumes_where_it_stopped(new_process, tmp_path):
    """The second epoch after a stop equals that of an unbroken training."""
    unbroken, stopped, new = (compiled("ae", run_eagerly=True) for _ in range(3))
    few = {"x": FLOATS[:16], "y": LABELS[:16], "epochs": 2, **FIT}
    unbroken.fit(**few)

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise InterruptedError

    with pytest.raises(InterruptedError):
        stopped.fit(callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup"), Kill()], **few)
    resumed = new if new_process else stopped
    resumed.fit(callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")], **few)
    assert int(resumed.step) == 4
    assert_equal(unbroken, resumed)


@pytest.mark.slow
@pytest.mark.parametrize("method", registry.MODELS)
def test_saved_model_continues_alike_on_two_replicas(method, tmp_path):
    """Fit, save, load and resume under a strategy of two replicas; partial batches give each replica an example."""
    strategy = make_strategy(Config(strategy="mirrored", cpu_devices=2))
    with strategy.scope():
        model = compiled(method, steps_per_execution=2)
    few = FLOATS[:17], LABELS[:17]
    logs = model.fit(FLOATS[:33], LABELS[:33], epochs=2, validation_data=few, **FIT).history
    assert int(model.step.numpy()) == 8
    for x, y in (few, (few[0], None)):
        assert model.evaluate(x, y, batch_size=8, verbose=0)[0] == pytest.approx(
            logs["val_loss"][-1], rel=1e-5
        )
    np.testing.assert_allclose(
        model.predict(few[0], batch_size=8, verbose=0), model.reconstruct(few[0]), atol=1e-6
    )
    model.save(tmp_path / "model.keras")
    with strategy.scope():
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    alone = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(model, loaded)
    assert_equal(model, alone)
    for one in (model, loaded):
        one.fit(FLOATS, LABELS, **FIT)
    assert_equal(model, loaded)


def test_autoencoder_without_labels_needs_no_number_of_classes():
    model = Autoencoder(SHAPE, **SMALL)
    model.compile(run_eagerly=True)
    assert "loss" in model.fit(FLOATS, **FIT).history


@pytest.mark.parametrize(
    "module",
    [
        f"models.{name}"
        for name in (
            "contracts",
            "stepping",
            "inputs",
            "autoencoder",
            "amr",
            "acai",
            "vae",
            "amr_supervised",
            "gaia",
            "denoising",
            "dropout",
            "aae",
            "vqvae",
        )
    ]
    + ["networks.own", "mixing", "losses"]
    + [
        f"metrics.{name}"
        for name in ("accuracy", "clustering", "interpolation", "lines", "probe", "reconstruction", "spiral")
    ],
)
def test_examples_of_docstrings_run(module):
    found = doctest.testmod(importlib.import_module(f"amr_tf.{module}"))
    assert found.attempted > 0
    assert found.failed == 0
