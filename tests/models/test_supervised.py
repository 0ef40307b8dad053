"""Supervised mixing: its losses, who learns by them, and that labels which may not be used are not."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from amr_tf.mixing import draw_mask, labelled_partners, requested_attributes
from amr_tf.models.build import build_model
from amr_tf.registry import MASK_GRADIENTS
from amr_tf.training import tensorboard
from tests.models.by_hand import bce, l1, moved, snapshot
from tests.support.config import tiny_config

BATCH, ATTRIBUTES = 6, 3
SEED = np.array([3, 7], np.int64)
POINTS = {"arch": "mlp", "dataset": "spiral"}


def make(seed=0, **settings):
    """A small model, images or points, and what is known of them; two examples are not labelled."""
    small = {"arch": "acai", "latent": 8, "latent_width": 16, "depth": 1}
    config = tiny_config(mixer="supervised", seed=seed, batch_size=BATCH, **small | settings)
    shape = (1, 1, 2) if config.arch == "mlp" else (32, 32, 3)
    model = build_model(config, shape, 8, ATTRIBUTES)
    model.run_eagerly = True
    rng = np.random.default_rng(1)
    y = {
        "label": rng.integers(8, size=BATCH),
        "attributes": rng.integers(2, size=(BATCH, ATTRIBUTES)).astype("float32"),
        "weight": np.array([1.5, 0, 1.5, 1.5, 0, 1.5], np.float32),
    }
    return model, rng.uniform(-1, 1, (BATCH, *shape)).astype("float32"), y


def class_mixer_by_hand(model, requested):
    """The three dense layers in NumPy, no relu after the last."""
    weights = [w.numpy() for w in model.class_mixer.weights]
    out = np.maximum(requested @ weights[0] + weights[1], 0)
    out = np.maximum(out @ weights[2] + weights[3], 0)
    return 1 / (1 + np.exp(-(out @ weights[4] + weights[5])))


def test_losses_are_those_of_the_definition():
    """Every term of both players from the draw, the networks' outputs and NumPy alone; D without spectral norm."""
    model, x, y = make(beta=1.5, attribute_weight=2.5, mask_eps=0.01, lambda_=4.0)
    forward = model.forward(tf.constant(x), y)
    made, w = forward.extras["supervised"], y["weight"]
    partners = labelled_partners(forward.indices[:, 1], tf.constant(w > 0)).numpy()
    asked, mask = made.requested.numpy(), made.mask.numpy()
    assert np.all((asked == y["attributes"]) | (asked == y["attributes"][partners]))
    assert set(np.unique(mask)) == {0, 1}
    h = model.encode(x).numpy()
    h_mix = mask[:, None, None] * h + (1 - mask[:, None, None]) * h[partners]
    np.testing.assert_allclose(made.h_mix, h_mix, atol=1e-5)
    np.testing.assert_allclose(made.mix, model.decode(h_mix), atol=1e-4)
    np.testing.assert_allclose(model.mask_parameters(asked), class_mixer_by_hand(model, asked), atol=1e-5)

    passes = [tf.constant(x), forward.recon, forward.mix, made.mix]
    (real, recon, mixed, supervised), (c_real, _, _, c_mix) = model.discriminator.scores_and_attributes(
        passes
    )
    np.testing.assert_allclose(real, model.discriminator(x), rtol=1e-5)
    generator = 4 * l1(x, forward.recon) + bce(recon, 1) + bce(mixed, 1)
    generator += 1.5 * l1(model.encode(forward.mix), forward.h_mix)
    balance = (mask.sum(axis=1) - 8 / 2) ** 2
    consistency = l1(model.encode(made.mix), h_mix)
    generator += w * (bce(supervised, 1) + 2.5 * bce(c_mix, asked) + 0.01 * balance + 1.5 * consistency)
    discriminator = bce(real, 1) + bce(recon, 0) + bce(mixed, 0)
    discriminator += w * (bce(supervised, 0) + bce(c_real, y["attributes"]))
    logs = model.train_on_batch(x, y, return_dict=True)
    assert logs["gen_loss"] == pytest.approx(generator.mean(), rel=1e-4)
    assert logs["disc_loss"] == pytest.approx(discriminator.mean(), rel=1e-4)
    assert logs["mask_balance"] == pytest.approx((w * balance).mean(), rel=1e-4)
    assert logs["consistency_supervised"] == pytest.approx((w * consistency).mean(), rel=1e-4)
    assert set(logs) <= set(tensorboard.tags(model)), "each has a place in TensorBoard"


@pytest.mark.parametrize("gradient", MASK_GRADIENTS)
def test_each_player_learns_by_its_own_losses(gradient):
    """The class mixer moves with encoder and decoder, whatever the mask's gradient; the head with the discriminator."""
    model, x, y = make(mask_gradient=gradient, weight_decay=0.0, **POINTS)
    generator = (model.encoder, model.decoder, model.class_mixer)
    before, others = snapshot(*generator), snapshot(model.discriminator, model.probe)
    forward = model.generator_step(tf.constant(x), y)
    assert all(moved(before, *generator))
    assert not any(moved(others, model.discriminator, model.probe))

    before, head = snapshot(*generator, model.probe), snapshot(model.discriminator.attribute_head)
    model.discriminator_step(forward)
    assert not any(moved(before, *generator, model.probe))
    assert all(moved(head, model.discriminator.attribute_head))


@pytest.mark.parametrize("gradient", MASK_GRADIENTS)
def test_masks_are_bernoulli_draws_with_the_requested_gradient(gradient):
    logits = tf.constant(np.tile([[-2.0, 0.0, 1.0, 80.0, -80.0]], (20_000, 1)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        mask = draw_mask(logits, gradient, SEED)
    slope = tape.gradient(mask, logits).numpy()
    p = 1 / (1 + np.exp(-logits[0].numpy().astype("float64")))
    np.testing.assert_allclose(mask.numpy().mean(axis=0), p, atol=0.02)
    assert np.all(np.isfinite(slope))
    if gradient == "soft":
        np.testing.assert_allclose(mask[0], p, rtol=1e-5)
    else:
        assert set(np.unique(mask)) == {0, 1}
    if gradient == "gumbel":
        # As steep as the sigmoid of the drawn number over the temperature: other numbers draw by draw.
        assert slope[:, 1].std() > 0.05
        assert slope.max() <= 1.5 / 4 + 1e-6
    else:
        np.testing.assert_allclose(slope[0], p * (1 - p), atol=1e-6)


def test_half_of_the_attributes_are_requested_of_each_parent():
    partners = np.roll(np.arange(4_000), 1)
    attributes = np.tile([[1.0, 0.0, 1.0]], (4_000, 1)).astype("float32")
    attributes[::2] = [0, 0, 1]
    asked = requested_attributes(tf.constant(attributes), tf.constant(partners), SEED).numpy()
    assert np.mean(asked == attributes, axis=0) == pytest.approx([0.5, 1, 1], abs=0.03)
    assert np.all((asked == attributes) | (asked == attributes[partners]))


@settings(max_examples=25)
@given(st.lists(st.booleans(), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_labelled_examples_meet_each_other(labelled, random):
    """Every example is a partner once; where all are labelled the partners stay as they were."""
    partners = random.sample(range(len(labelled)), len(labelled))
    found = labelled_partners(tf.constant(partners), tf.constant(labelled)).numpy()
    labelled = np.array(labelled)
    assert sorted(found) == list(range(len(labelled)))
    np.testing.assert_array_equal(labelled[found], labelled)
    if labelled.all():
        np.testing.assert_array_equal(found, partners)


def test_attributes_of_unlabelled_examples_change_nothing():
    """Two steps with other attributes where the weight is 0 end with the same weights, bit for bit."""
    results = []
    for flip in (False, True):
        model, x, y = make(**POINTS)
        unlabelled = y["weight"][:, None] == 0
        y["attributes"] = np.where(unlabelled & flip, 1 - y["attributes"], y["attributes"])
        logs = [model.train_on_batch(x, y, return_dict=True) for _ in range(2)]
        results.append((logs, [v.numpy() for v in model.weights]))
    assert results[0][0] == results[1][0]
    for one, other in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_labels_are_one_hot_attributes_unless_others_exist():
    config = tiny_config(mixer="supervised", batch_size=4, depth=1, **POINTS)
    model = build_model(config, (1, 1, 2), 10)
    model.run_eagerly = True
    x, labels = np.zeros((4, 1, 1, 2), "float32"), np.array([3, 1, 4, 1])
    made = model.forward(tf.constant(x), labels).extras["supervised"]
    np.testing.assert_array_equal(made.attributes, np.eye(10)[labels])
    assert np.isfinite(model.train_on_batch(x, labels, return_dict=True)["attributes"])
    model, x, y = make(**POINTS)
    with pytest.raises(ValueError, match="which of 3 attributes"):
        model.train_on_batch(x, y["label"])


def test_without_labels_it_is_amr():
    """The same weights and draws as AMR: supervised mixing adds to them and replaces nothing."""
    model, x, y = make(**POINTS)
    plain = build_model(dataclasses.replace(model.config, model="amr"), (1, 1, 2), 8)
    supervised, unsupervised = model.forward(tf.constant(x), y), plain.forward(tf.constant(x))
    for name in ("x", "h", "recon", "h_mix", "mix", "indices", "weights"):
        np.testing.assert_array_equal(getattr(supervised, name), getattr(unsupervised, name))
