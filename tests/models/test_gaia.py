"""GAIA: its losses, shares and distances by hand. tests/test_golden_gaia.py replays the reference implementation."""

import numpy as np
import pytest
import tensorflow as tf

from amr_tf import losses
from amr_tf.models.build import build_model
from tests.support.config import tiny_config

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (6, 1, 1, 2)).astype("float32")


def build(**settings):
    model = build_model(tiny_config(model="gaia", **settings), (1, 1, 2), 10)
    model.run_eagerly = True
    return model


def means(real, recon, mix, distance=0.0):
    values = {"disc_real": real, "gan_recon": recon, "gan_mix": mix, "distance": distance, "recon": 0.7}
    return {name: tf.constant(value, tf.float32) for name, value in values.items()}


def test_losses_and_shares_by_hand():
    """r 0.10, a 0.12, m 0.16, slope 20."""
    gen, disc, shares = build()._objectives(means(0.10, 0.12, 0.16))
    assert shares["disc_share"].numpy() == pytest.approx(0.310026, abs=1e-6)
    assert shares["share_fake"].numpy() == pytest.approx(0.401312, abs=1e-6)
    assert shares["share_mix"].numpy() == pytest.approx(0.689974, abs=1e-6)
    assert disc.numpy() == pytest.approx(0.0438163, abs=1e-7)
    assert gen.numpy() == pytest.approx(0.147599, abs=1e-6)


def test_share_of_decoded_images_and_losses_are_limited():
    gen, disc, shares = build(structure_weight=1.0)._objectives(means(0.0, 3.0, 5.0, distance=4.0))
    assert shares["share_fake"].numpy() == pytest.approx(0.9)
    assert (gen.numpy(), disc.numpy()) == (1.0, -1.0)


def test_weights_of_structure_and_pixels_enter_the_loss():
    plain = build()._objectives(means(0.1, 0.1, 0.1))[0]
    distance = build(structure_weight=0.5)._objectives(means(0.1, 0.1, 0.1, distance=0.2))[0]
    pixels = build(lambda_=2.0)._objectives(means(0.1, 0.1, 0.1))[0]
    assert (distance - plain).numpy() == pytest.approx(0.1, abs=1e-6)
    assert (pixels - plain).numpy() == pytest.approx(1.4, abs=1e-6)


def test_distance_of_pairs_by_hand():
    x = tf.constant([[0.0], [1.0], [3.0]])
    h = tf.constant([[0.0, 0.0], [0.0, 2.0], [0.0, 4.0]])
    assert losses.pairwise_distances(x, h).numpy() == pytest.approx(0.0335480, abs=1e-7)
    scaled = tf.concat([7 * x + 3, tf.zeros_like(x)], axis=1)
    assert losses.pairwise_distances(x, scaled).numpy() == pytest.approx(0, abs=1e-10)


def test_distance_of_equal_codes_is_finite_with_its_gradient():
    h = tf.Variable(tf.ones([4, 2]))
    with tf.GradientTape() as tape:
        distance = losses.pairwise_distances(tf.constant(RNG.normal(size=(4, 3)).astype("float32")), h)
    assert np.isfinite(distance)
    assert np.all(np.isfinite(tape.gradient(distance, h)))


def test_step_divides_the_learning_rate_between_the_players():
    model = build(learning_rate=1e-2)
    logs = model.train_on_batch(X, return_dict=True)
    assert logs["disc_rate"] + logs["gen_rate"] == pytest.approx(1e-2, rel=1e-5)
    fake = (logs["gan_recon"] + logs["gan_mix"]) / 2
    share = 1 / (1 + np.exp(-20 * (logs["disc_real"] - fake)))
    assert logs["disc_rate"] == pytest.approx(1e-2 * share, rel=1e-4)
    assert model.probe_optimizer.learning_rate.numpy() == pytest.approx(1e-2)


def test_cosine_schedule_scales_the_rate_that_is_divided():
    model = build(learning_rate=1e-2, schedule="cosine", epochs=1, steps_per_epoch=2)
    model.epoch_length = 2
    totals = []
    for _ in range(2):
        model.reset_metrics()
        logs = model.train_on_batch(X, return_dict=True)
        totals.append(logs["disc_rate"] + logs["gen_rate"])
    np.testing.assert_allclose(totals, [1e-2, 5e-3], rtol=1e-4)


def test_score_is_the_error_of_the_discriminators_reconstruction():
    """L1 on [0, 1], half of that on [-1, 1]."""
    model = build()
    expected = np.abs(X - model.discriminator(X)).mean(axis=(1, 2, 3)) / 2
    np.testing.assert_allclose(model.score(X), expected, rtol=1e-6)


def test_players_have_networks_of_their_own():
    """Other initial weights, and neither player's optimizer holds a variable of the other."""
    model = build()
    second = {v.path.split("/")[-3] for v in model.discriminator.trainable_variables}
    assert second
    shapes = [tuple(v.shape) for v in model.generator_variables]
    assert shapes == [tuple(v.shape) for v in model.discriminator.trainable_variables]
    kernels = zip(model.generator_variables, model.discriminator.trainable_variables, strict=True)
    assert all(np.any(a.numpy() != b.numpy()) for a, b in kernels if a.name == "kernel")
    ids = [{id(v) for v in variables} for variables in model.players.values()]
    assert not set.intersection(*ids[:2])
