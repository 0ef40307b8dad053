"""Several replicas: the same training as on one device where the draws are the same, and other draws by default.

Two logical CPU devices stand for GPUs (conftest.py makes them).
"""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from amr_tf.config import Config, ConfigError
from amr_tf.data import Arrays, pipeline
from amr_tf.data.catalog import SPIRAL
from amr_tf.distributed.strategy import make_strategy
from amr_tf.models.aae import AAE
from amr_tf.models.build import build_model
from tests.support.shares import Shares

BATCH = 12
SMALL = {"dataset": "spiral", "depth": 2, "batch_size": BATCH, "update_g_every": 3}
CONVOLUTIONAL = {"dataset": "lines", "arch": "amr_fixed", "latent_width": 8, "latent": 2}
SHAPES = {"spiral": (1, 1, 2), "lines": (32, 32, 1)}
RNG = np.random.default_rng(0)
IMAGES = {name: RNG.uniform(-1, 1, (10, BATCH, *shape)).astype("float32") for name, shape in SHAPES.items()}
LABELS = RNG.integers(10, size=(10, BATCH))
SHARES = Shares(BATCH, 2, RNG)


def build(replicas, attributes=None, **settings):
    """Builds a small model on one device or on two."""
    strategy = {"strategy": "mirrored", "cpu_devices": 2} if replicas == 2 else {"strategy": "none"}
    config = Config(**(SMALL | strategy | settings))
    devices = make_strategy(config)
    assert devices.num_replicas_in_sync == replicas
    with devices.scope():
        return build_model(config, SHAPES[config.dataset], 10, attributes)


def train(model, steps=10, y=LABELS):
    """Returns the logs of each step and all final weights."""
    strategy = model.distribute_strategy
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES[model.config.dataset], y)).repeat()
    batches = iter(strategy.experimental_distribute_dataset(dataset))
    step, logs = model.make_train_function(), []
    at_once = model.config.steps_per_execution or 1
    for _ in range(steps // at_once):
        logs.append({name: float(value) for name, value in step(batches, at_once).items()})
    return logs, [v.numpy() for v in model.weights]


def copies(model, value):
    """The value on each replica."""
    return [one.numpy() for one in model.distribute_strategy.experimental_local_results(value)]


def trained_twice(y=LABELS, steps=10, **settings):
    """Trains on one device and on two; returns the logs of both, and the absolute differences of all weights."""
    results = []
    for replicas in (1, 2):
        model = build(replicas, weight_decay=0.01, **settings)
        model.mixer = SHARES
        results.append(train(model, steps, y))
    (one_logs, one), (two_logs, two) = results
    return one_logs, two_logs, np.concatenate([np.abs(a - b).ravel() for a, b in zip(one, two, strict=True)])


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "amr", "beta": 0.5},
        {"model": "acai"},
        {"model": "ae", "update_g_every": 1},
        # Without draws, which differ between replicas.
        {"model": "denoising", "update_g_every": 1, "input_noise": 0.0},
        {"model": "dropout", "update_g_every": 1, "keep_probability": 1.0},
        {"model": "vqvae", "update_g_every": 1, "codewords": 16},
        {"model": "aae"},
        {"model": "gaia", "update_g_every": 1, "structure_weight": 0.0},
        pytest.param({"model": "amr", **CONVOLUTIONAL}, marks=pytest.mark.slow),
    ],
    ids=lambda settings: "_".join(map(str, settings.values())),
)
def test_two_replicas_with_the_same_draws_equal_one_device(settings, monkeypatch):
    """Losses, gradient norms and weights after 10 steps; weight decay on, the generator every third step."""
    if settings["model"] == "aae":  # whose prior is a draw for each replica
        monkeypatch.setattr(AAE, "draw_prior", lambda model, h: tf.ones_like(h))
    one_logs, two_logs, found = trained_twice(**settings)
    for step, (one, two) in enumerate(zip(one_logs, two_logs, strict=True)):
        assert one.keys() == two.keys()
        for name in one.keys() - {"distance"}:  # of the pairs within each replica
            assert two[name] == pytest.approx(one[name], rel=2e-4, abs=1e-6), (step, name)
    assert np.mean(found) < 1e-6
    # Adam's first step is the sign of the gradient, which rounding decides where the gradient is almost 0.
    assert np.mean(found > 1e-5) < 0.01


def test_replicas_draw_different_numbers():
    """Given the same images, each replica mixes them in its own way; fails if they share a stream."""
    model = build(2)
    seeds, mixes = model.distribute_strategy.run(
        lambda: (model.seeds(), model.mixer.sample(6, model.code_shape, model.seeds()))
    )
    for drawn in (seeds, *mixes):
        one, two = copies(model, drawn)
        assert np.any(one != two)


def test_replicas_keep_equal_copies_of_variables():
    """u of the spectral norm is assigned on each replica: only equal kernels keep the copies equal."""
    model = build(2, **CONVOLUTIONAL)
    train(model, steps=3)
    assert any(v.path.endswith("/u") for v in model.weights)
    for variable in model.weights:
        np.testing.assert_array_equal(*copies(model, variable.value), err_msg=variable.path)


def test_evaluation_on_replicas_counts_each_example_once():
    """21 examples in batches of 8: the last batch has 5, of which one replica gets 4 and the other 1."""
    points = RNG.uniform(-1, 1, (21, 1, 1, 2)).astype("float32")
    arrays = Arrays(points, RNG.integers(10, size=21), SPIRAL)
    results = []
    for replicas in (1, 2):
        model = build(replicas)
        results.append(model.evaluate(pipeline.eval_batches(arrays, 8), return_dict=True, verbose=0))
    alone = model.evaluate(pipeline.eval_batches(arrays, 21 + 1), return_dict=True, verbose=0)
    for name in ("recon", "probe_loss", "probe_accuracy"):
        assert results[0][name] == pytest.approx(results[1][name], rel=1e-5)
        assert results[0][name] == pytest.approx(alone[name], rel=1e-5)
    assert results[0]["probe_accuracy"] * 21 == pytest.approx(
        round(results[0]["probe_accuracy"] * 21), abs=1e-4
    )


@pytest.mark.parametrize("settings", [{"batch_size": 7, "k": 2}, {"batch_size": 4, "k": 3}])
def test_make_strategy_unshared_batch_is_refused(settings):
    received = "--batch_size={batch_size} --k={k} on 2 devices".format(**settings)
    with pytest.raises(ConfigError, match=f"equal share.*{received}"):
        build(2, **settings)


def test_make_strategy_late_cpu_devices_are_refused():
    with pytest.raises(ConfigError, match=r"before TensorFlow is first used.*--cpu_devices=64"):
        make_strategy(Config(strategy="mirrored", cpu_devices=64))


def test_make_strategy_auto_without_gpus_is_one_device():
    assert make_strategy(Config()).num_replicas_in_sync == 1


# The table of docs/devices.md: data set, strategy, mixed precision, XLA, steps per execution.
TABLE = [
    row
    for row in itertools.product(
        SHAPES, ("none", "mirrored"), ("none", "bfloat16", "float16"), (False, True), (1, 2)
    )
    if row[0] == "spiral" or row[2] != "float16"
]
TOLERANCE = {"none": 1e-3, "bfloat16": 0.05, "float16": 0.02}
# Tried by default: all supported ways at once, and a refused one.
QUICK = {
    ("spiral", "none", "bfloat16", True, 2),
    ("spiral", "mirrored", "bfloat16", False, 2),
    ("spiral", "mirrored", "float16", False, 2),
    ("spiral", "mirrored", "none", True, 1),
}
SLOW = {
    ("lines", "mirrored", "none", False, 2),
    ("spiral", "none", "float16", True, 2),
    ("spiral", "mirrored", "float16", False, 1),
}


@functools.cache
def plain_logs(dataset):
    """Returns the logs of the fourth step on one device, in float32, without XLA, one step per call."""
    model = build(1, update_g_every=2, **(CONVOLUTIONAL if dataset == "lines" else {}))
    model.mixer = SHARES
    return train(model, steps=4)[0][-1]


@pytest.mark.parametrize(
    ("dataset", "strategy", "precision", "jit", "steps"),
    [
        pytest.param(
            *row, marks=() if row in QUICK else pytest.mark.slow if row in SLOW else pytest.mark.soak
        )
        for row in TABLE
    ],
)
def test_ways_to_run_a_step_combine_or_are_refused(dataset, strategy, precision, jit, steps):
    """Every combination has the plain one's losses after four steps, except XLA on several devices."""
    settings = {"mixed_precision": precision, "jit_compile": jit, "steps_per_execution": steps}
    settings |= CONVOLUTIONAL if dataset == "lines" else {}
    replicas = 2 if strategy == "mirrored" else 1
    if strategy == "mirrored" and jit:
        with pytest.raises(ConfigError, match="use --strategy=none or --nojit_compile"):
            build(replicas, **settings)
        return
    model = build(replicas, update_g_every=2, **settings)
    model.mixer = SHARES
    if precision == "float16":  # at the initial scale, 32,768, the first gradient overflows
        model.generator_optimizer.dynamic_scale.assign(1024.0)
    found = train(model, steps=4)[0][-1]
    for name, value in plain_logs(dataset).items():
        assert found[name] == pytest.approx(value, rel=TOLERANCE[precision]), name


@tf.custom_gradient
def _endless_on_the_second_replica(x, recon):
    """Returns the mean absolute error, whose gradient is infinite on one replica and 0 on the other."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group

    def gradient(upstream):
        value = tf.where(replica == 1, np.inf, 0.0)
        return tf.zeros_like(x), tf.fill(tf.shape(recon), value)

    return tf.reduce_mean(tf.abs(x - recon), axis=[1, 2, 3]), gradient


def test_overflow_on_one_replica_skips_the_update_on_all():
    """float16: the generator halves its scale and is not updated; the others learn. (Keras checks one replica.)"""
    model = build(2, mixed_precision="float16", update_g_every=1, model="aegan")
    model.recon_loss = _endless_on_the_second_replica
    generator = [v.numpy() for v in model.generator_variables]
    others = [v.numpy() for v in model.discriminator.trainable_variables]
    scale = model.generator_optimizer.dynamic_scale.numpy()
    logs, _ = train(model, steps=1)
    assert logs[0]["gen_gradient_norm"] == 0
    assert all(np.isfinite(value) for value in logs[0].values())
    for before, variable in zip(generator, model.generator_variables, strict=True):
        for copy in copies(model, variable.value):
            np.testing.assert_array_equal(copy, before)
    assert any(np.any(b != v) for b, v in zip(others, model.discriminator.trainable_variables, strict=True))
    assert model.generator_optimizer.dynamic_scale.numpy() == scale / 2
    assert model.generator_optimizer.iterations.numpy() == 0


@pytest.mark.slow
def test_supervised_mixing_on_two_replicas_equals_one_device():
    """Given parents, and attributes that all parents share, so that only the soft mask depends on them.

    Losses and weights after 6 steps; the weights of the examples differ, and with them the terms of each replica.
    """
    attributes = np.tile(np.float32([1, 0, 1]), (10, BATCH, 1))
    weights = np.tile(np.linspace(0.5, 1.5, BATCH, dtype=np.float32), (10, 1))
    y = {"label": LABELS, "attributes": attributes, "weight": weights}
    supervised = {"mixer": "supervised", "mask_gradient": "soft", "beta": 0.5, "attributes": 3}
    one_logs, two_logs, found = trained_twice(y, 6, **supervised)
    for name, value in one_logs[-1].items():
        assert two_logs[-1][name] == pytest.approx(value, rel=5e-4, abs=1e-6), name
    assert np.mean(found > 1e-5) < 0.02


@pytest.mark.slow
def test_supervised_replicas_draw_other_attributes_and_masks():
    model = build(2, attributes=10, mixer="supervised", latent=32)
    x = tf.constant(IMAGES["spiral"][0][:6])
    y = {"attributes": tf.cast(tf.eye(6, 10), tf.float32), "weight": tf.ones(6), "label": tf.range(6)}

    @tf.function
    def drawn():
        return model.distribute_strategy.run(lambda: model.forward(x, y).extras["supervised"][2:4])

    for values in drawn():
        one, two = copies(model, values)
        assert np.any(one != two)
