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


def build(replicas, **settings):
    """A small model on one device or on two."""
    strategy = {"strategy": "mirrored", "cpu_devices": 2} if replicas == 2 else {"strategy": "none"}
    config = Config(**(SMALL | strategy | settings))
    devices = make_strategy(config)
    assert devices.num_replicas_in_sync == replicas
    with devices.scope():
        return build_model(config, SHAPES[config.dataset], 10)


def train(model, steps=10):
    """The logs of each step and all final weights."""
    strategy = model.distribute_strategy
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES[model.config.dataset], LABELS)).repeat()
    batches = iter(strategy.experimental_distribute_dataset(dataset))
    step, logs = model.make_train_function(), []
    at_once = model.config.steps_per_execution or 1
    for _ in range(steps // at_once):
        logs.append({name: float(value) for name, value in step(batches, at_once).items()})
    return logs, [v.numpy() for v in model.weights]


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "amr", "beta": 0.5},
        {"model": "acai"},
        {"model": "ae", "update_g_every": 1},
        pytest.param({"model": "amr", **CONVOLUTIONAL}, marks=pytest.mark.slow),
    ],
    ids=lambda settings: "_".join(map(str, settings.values())),
)
def test_two_replicas_train_as_one_device_does_where_draws_respect_the_shares(settings):
    """Losses, gradient norms and weights after 10 steps; weight decay on, the generator every third step."""
    results = []
    for replicas in (1, 2):
        model = build(replicas, weight_decay=0.01, **settings)
        model.mixer = SHARES
        results.append(train(model))
    (one_logs, one_weights), (two_logs, two_weights) = results
    for step, (one, two) in enumerate(zip(one_logs, two_logs, strict=True)):
        assert one.keys() == two.keys()
        for name in one:
            assert two[name] == pytest.approx(one[name], rel=2e-4, abs=1e-6), (step, name)
    pairs = zip(one_weights, two_weights, strict=True)
    differences = np.concatenate([np.abs(one - two).ravel() for one, two in pairs])
    assert np.mean(differences) < 1e-6
    # Adam moves a weight by the sign of its gradient first, and where that is almost 0 rounding decides it.
    assert np.mean(differences > 1e-5) < 0.01


def test_replicas_draw_different_numbers():
    """Given the same images, each replica mixes them in its own way; fails if they share a stream."""
    model = build(2)
    seeds, mixes = model.distribute_strategy.run(
        lambda: (model.seeds(), model.mixer.sample(6, model.code_shape, model.seeds()))
    )
    first, second = (value.numpy() for value in model.distribute_strategy.experimental_local_results(seeds))
    assert np.any(first != second)
    for drawn in mixes:
        one, two = (value.numpy() for value in model.distribute_strategy.experimental_local_results(drawn))
        assert np.any(one != two)


def test_copies_of_a_variable_stay_equal_on_all_replicas():
    """u of the spectral norm is assigned within each replica: nothing but equal kernels keeps the copies equal."""
    model = build(2, **CONVOLUTIONAL)
    train(model, steps=3)
    vectors = [v for v in model.weights if v.path.endswith("/u")]
    assert vectors
    for variable in model.weights:
        copies = [
            copy.numpy() for copy in model.distribute_strategy.experimental_local_results(variable.value)
        ]
        np.testing.assert_array_equal(copies[0], copies[1], err_msg=variable.path)


def test_an_evaluation_counts_every_example_once_on_any_number_of_replicas():
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


def test_a_batch_that_cannot_be_shared_is_refused_naming_both_numbers():
    with pytest.raises(ConfigError, match=r"equal share.*--batch_size=7 --k=2 on 2 devices"):
        build(2, batch_size=7)
    with pytest.raises(ConfigError, match=r"k codes of its own share.*--batch_size=4 --k=3 on 2 devices"):
        build(2, batch_size=4, k=3)


def test_more_cpu_devices_than_tensorflow_was_started_with_are_refused():
    with pytest.raises(ConfigError, match=r"before TensorFlow is first used.*--cpu_devices=64"):
        make_strategy(Config(strategy="mirrored", cpu_devices=64))


def test_auto_stays_on_one_device_where_there_are_not_several_gpus():
    assert make_strategy(Config()).num_replicas_in_sync == 1


# The table of BUILD_NOTES 5: data set, strategy, mixed precision, XLA, steps per execution.
TABLE = [
    row
    for row in itertools.product(
        SHAPES, ("none", "mirrored"), ("none", "bfloat16", "float16"), (False, True), (1, 2)
    )
    if row[0] == "spiral" or row[2] != "float16"
]
TOLERANCE = {"none": 1e-3, "bfloat16": 0.05, "float16": 0.02}
# All that goes together at once, and what is refused, are tried by default.
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
    """What four steps give on one device, in float32, without XLA, one at a time."""
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
def test_ways_to_run_a_step_go_together_or_are_refused(dataset, strategy, precision, jit, steps):
    """Every combination trains four steps to the losses of the plain one, but for XLA on several devices."""
    settings = {"mixed_precision": precision, "jit_compile": jit, "steps_per_execution": steps}
    settings |= CONVOLUTIONAL if dataset == "lines" else {}
    replicas = 2 if strategy == "mirrored" else 1
    if strategy == "mirrored" and jit:
        with pytest.raises(ConfigError, match="use --strategy=none or --nojit_compile"):
            build(replicas, **settings)
        return
    model = build(replicas, update_g_every=2, **settings)
    model.mixer = SHARES
    if precision == "float16":  # at the first scale, 32,768, the first gradient overflows
        model.generator_optimizer.dynamic_scale.assign(1024.0)
    found = train(model, steps=4)[0][-1]
    for name, value in plain_logs(dataset).items():
        assert found[name] == pytest.approx(value, rel=TOLERANCE[precision]), name


@tf.custom_gradient
def _endless_on_the_second_replica(x, recon):
    """The mean absolute error, whose gradient is not finite on one replica; elsewhere it is 0."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group

    def gradient(upstream):
        value = tf.where(replica == 1, np.inf, 0.0)
        return tf.zeros_like(x), tf.fill(tf.shape(recon), value)

    return tf.reduce_mean(tf.abs(x - recon), axis=[1, 2, 3]), gradient


def test_a_gradient_that_overflows_on_one_replica_updates_nothing_anywhere():
    """float16: the generator stays as it was and halves its scale; the others learn. (Keras looks at one replica.)"""
    model = build(2, mixed_precision="float16", update_g_every=1, model="aegan")
    model.recon_loss = _endless_on_the_second_replica
    generator = [v.numpy() for v in model.generator_variables]
    others = [v.numpy() for v in model.discriminator.trainable_variables]
    scale = model.generator_optimizer.dynamic_scale.numpy()
    logs, _ = train(model, steps=1)
    assert logs[0]["gen_gradient_norm"] == 0
    assert all(np.isfinite(value) for value in logs[0].values())
    for before, variable in zip(generator, model.generator_variables, strict=True):
        for copy in model.distribute_strategy.experimental_local_results(variable.value):
            np.testing.assert_array_equal(copy.numpy(), before)
    assert any(np.any(b != v) for b, v in zip(others, model.discriminator.trainable_variables, strict=True))
    assert model.generator_optimizer.dynamic_scale.numpy() == scale / 2
    assert model.generator_optimizer.iterations.numpy() == 0


@pytest.mark.slow
def test_supervised_mixing_on_two_replicas_trains_as_on_one_device():
    """Given parents, and attributes that all parents share, so that nothing but the soft mask depends on them.

    Losses and weights after 6 steps; the weights of the examples differ, and with them what each replica adds.
    """
    attributes = np.tile(np.float32([1, 0, 1]), (10, BATCH, 1))
    weights = np.tile(np.linspace(0.5, 1.5, BATCH, dtype=np.float32), (10, 1))
    y = {"label": LABELS, "attributes": attributes, "weight": weights}
    results = []
    for replicas in (1, 2):
        strategy = {"strategy": "mirrored", "cpu_devices": 2} if replicas == 2 else {"strategy": "none"}
        supervised = {"mixer": "supervised", "mask_gradient": "soft", "beta": 0.5, "weight_decay": 0.01}
        config = Config(**(SMALL | strategy | supervised))
        with make_strategy(config).scope():
            model = build_model(config, SHAPES[config.dataset], 10, 3)
        model.mixer = SHARES
        dataset = tf.data.Dataset.from_tensor_slices((IMAGES[config.dataset], y)).repeat()
        batches = iter(model.distribute_strategy.experimental_distribute_dataset(dataset))
        step = model.make_train_function()
        logs = [{name: float(value) for name, value in step(batches, 1).items()} for _ in range(6)]
        results.append((logs[-1], [v.numpy() for v in model.weights]))
    (one_logs, one_weights), (two_logs, two_weights) = results
    for name, value in one_logs.items():
        assert two_logs[name] == pytest.approx(value, rel=5e-4, abs=1e-6), name
    pairs = zip(one_weights, two_weights, strict=True)
    differences = np.concatenate([np.abs(one - two).ravel() for one, two in pairs])
    assert np.mean(differences > 1e-5) < 0.02


@pytest.mark.slow
def test_replicas_ask_for_other_attributes_and_draw_other_masks():
    config = Config(
        **(SMALL | {"mixer": "supervised", "strategy": "mirrored", "cpu_devices": 2, "latent": 32})
    )
    devices = make_strategy(config)
    with devices.scope():
        model = build_model(config, SHAPES["spiral"], 10, 10)
    x = tf.constant(IMAGES["spiral"][0][:6])
    y = {"attributes": tf.cast(tf.eye(6, 10), tf.float32), "weight": tf.ones(6), "label": tf.range(6)}

    @tf.function
    def drawn():
        return devices.run(lambda: model.forward(x, y).extras["supervised"][2:4])

    for values in drawn():
        one, two = (value.numpy() for value in devices.experimental_local_results(values))
        assert np.any(one != two)
