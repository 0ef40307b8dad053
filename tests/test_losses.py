"""Losses by hand, one value per example, with finite gradients where logits saturate."""

import numpy as np
import pytest
import tensorflow as tf

from amr_tf import losses, registry
from amr_tf.registry import load

TARGET = np.array([[[[-1.0], [1.0]]], [[[0.0], [0.5]]]], "float32")
OUTPUT = np.array([[[[-0.5], [0.0]]], [[[0.0], [-0.5]]]], "float32")
# p = 0, 1 against q = 0.25, 0.5; then p = 0.5, 0.75 against q = 0.5, 0.25
CROSS_ENTROPY = -np.log([0.75 * 0.5, 0.5 * 0.25**0.75 * 0.75**0.25])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l1", [0.75, 0.5]),
        ("l2", [0.625, 0.5]),
        ("bce", CROSS_ENTROPY / 2),
        ("bce_sum", CROSS_ENTROPY),
    ],
)
def test_reconstruction_losses_by_hand(name, expected):
    np.testing.assert_allclose(load(registry.RECON_LOSSES, name)(TARGET, OUTPUT), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("target", "expected"), [(1.0, [0, 0]), (0.0, [0, 2]), (np.array([0.5, 0.25]), [0, 1.5])]
)
def test_gan_losses_by_hand(target, expected):
    score, certain = tf.constant([0.0, 2.0]), [np.log(2), np.log1p(np.exp(-2.0))]
    np.testing.assert_allclose(losses.gan_bce(score, target), np.add(certain, expected), rtol=1e-6)
    np.testing.assert_allclose(losses.gan_lsgan(score, 0.5), [0.25, 2.25], rtol=1e-6)


def test_kl_to_the_standard_normal_by_hand():
    """Nothing for the standard normal itself; half the squared distance of means; (v - 1 - log v) / 2."""
    mean = tf.constant([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    log_variance = tf.constant([[0.0, 0.0], [0.0, 0.0], [np.log(2.0), np.log(0.5)]], tf.float32)
    expected = [0.0, 12.5, (2 - 1 - np.log(2) + 0.5 - 1 + np.log(2)) / 2]
    np.testing.assert_allclose(
        losses.kl_to_standard_normal(mean, log_variance), expected, rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_saturated_logits_keep_loss_and_gradient_finite(target, logit):
    score = tf.constant([logit])
    with tf.GradientTape() as tape:
        tape.watch(score)
        loss = losses.gan_bce(score, target)
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, score)).all()


@pytest.mark.parametrize("name", ["bce", "bce_sum"])
def test_saturated_pixels_keep_loss_and_gradient_finite(name):
    output = tf.constant([[[[-1.0], [1.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(output)
        loss = load(registry.RECON_LOSSES, name)(tf.constant([[[[1.0], [-1.0]]]]), output)
    np.testing.assert_allclose(loss, [100.0 if name == "bce" else 200.0])
    assert np.isfinite(tape.gradient(loss, output)).all()


@pytest.mark.parametrize("name", registry.RECON_LOSSES)
def test_recon_losses_give_one_value_per_example_best_if_equal(name):
    loss = load(registry.RECON_LOSSES, name)(TARGET, TARGET)
    assert loss.shape == (2,)
    assert np.all(loss <= load(registry.RECON_LOSSES, name)(TARGET, OUTPUT))
