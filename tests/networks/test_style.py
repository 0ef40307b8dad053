"""The networks of style mixing: a row of the code for each layer, which changes that layer and later ones only."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from amr_tf.config import Config
from amr_tf.models.build import build_model
from amr_tf.networks import style
from amr_tf.networks.base import Sizes
from amr_tf.networks.layers import Seeds

RNG = np.random.default_rng(0)


def build(width=32, **settings):
    settings = {"arch": "style", "depth": 2, "latent": 3, "update_g_every": 1, "batch_size": 8} | settings
    return build_model(Config(**settings), (width, width, 1), 10)


@pytest.mark.parametrize(("width", "rows"), [(8, 4), (16, 6), (32, 8), (64, 10)])
def test_code_has_two_rows_for_each_resolution(width, rows):
    networks = style.STYLE
    shape = networks.code_shape((width, width, 1), 3, 4)
    sizes = Sizes((width, width, 1), shape, 2)
    assert shape == (rows, 3)
    x = np.zeros((2, width, width, 1), np.float32)
    code = networks.encoder(sizes, Seeds(0))(x)
    assert code.shape == (2, rows, 3)
    assert networks.decoder(sizes, Seeds(0))(code).shape == x.shape


def layer_inputs(decoder):
    """A model of the inputs of every AdaIN, in the order of the code's rows."""
    norms = [layer for layer in decoder.layers if isinstance(layer, keras.layers.GroupNormalization)]
    return keras.Model(decoder.input, [norm.output for norm in norms])


@pytest.mark.parametrize("row", [0, 3, 7])
def test_another_row_leaves_earlier_layers_bit_equal(row):
    """And it changes every later one."""
    decoder = build().decoder
    for variable in decoder.trainable_variables:  # so that the constant has no feature map without variance
        if variable.name == "bias":
            variable.assign(RNG.normal(size=variable.shape))
    features = layer_inputs(decoder)
    code = RNG.normal(size=(2, 8, 3)).astype("float32")
    other = code.copy()
    other[:, row] += 1
    for number, (one, two) in enumerate(zip(features(code), features(other), strict=True)):
        same = np.array_equal(one, two)
        assert same == (number <= row), number


def test_adain_by_hand():
    """The map (1, 2, 3, 4) with y_s = 1 and y_b = 3."""
    x = tf.reshape(tf.constant([1.0, 2.0, 3.0, 4.0]), (1, 2, 2, 1))
    normalised = style._norm()(x)
    np.testing.assert_allclose(
        tf.reshape(normalised, [-1]), [-1.341641, -0.447214, 0.447214, 1.341641], atol=1e-6
    )
    styled = style.styled(normalised, tf.constant([[1.0, 3.0]]))
    np.testing.assert_allclose(tf.reshape(styled, [-1]), [0.316718, 2.105573, 3.894427, 5.683282], atol=1e-6)


def test_adain_of_a_constant_map_is_its_shift():
    x = tf.Variable(tf.fill([1, 4, 4, 1], 7.0))
    with tf.GradientTape() as tape:
        styled = style.styled(style._norm()(x), tf.constant([[1.0, 3.0]]))
    np.testing.assert_array_equal(styled, np.full((1, 4, 4, 1), 3.0))
    assert np.all(np.isfinite(tape.gradient(styled, x)))


def test_statistics_by_hand_and_of_a_constant_map():
    x = tf.reshape(tf.constant([1.0, 2.0, 3.0, 4.0]), (1, 2, 2, 1))
    np.testing.assert_allclose(style.statistics(x), [[2.5, 1.25**0.5]], rtol=1e-6)
    constant = tf.Variable(tf.ones([1, 2, 2, 1]))
    with tf.GradientTape() as tape:
        found = style.statistics(constant)
    assert np.all(np.isfinite(tape.gradient(found, constant)))


def test_mixes_have_coarse_and_fine_rows_of_two_images():
    """In training too: the mix of a step is the crossover of two codes of the batch."""
    model = build(mixer="style", style_mixing=1.0)
    x = RNG.uniform(-1, 1, (8, 32, 32, 1)).astype("float32")
    made = model.forward(tf.constant(x))
    h, mixed, parents = made.h.numpy(), made.h_mix.numpy(), made.indices.numpy()
    assert h.shape == (8, 8, 3)
    for row in range(8):
        first, second = h[parents[row, 0]], h[parents[row, 1]]
        cut = int(made.weights[row, 0].numpy().sum())
        assert 1 <= cut <= 7
        np.testing.assert_array_equal(mixed[row], np.concatenate([first[:cut], second[cut:]]))


@pytest.mark.parametrize("method", ["amr", "aegan"])
def test_style_networks_train(method):
    """The reconstruction of a few images improves, and every weight moves."""
    mixer = {"mixer": "style"} if method == "amr" else {}
    model = build(model=method, learning_rate=1e-3, recon_loss="l2", lambda_=50.0, **mixer)
    x = RNG.uniform(-1, 1, (8, 32, 32, 1)).astype("float32") * 0.2
    before = [v.numpy() for v in model.trainable_variables]
    first = model.evaluate(x, verbose=0)[0]
    for _ in range(30):
        model.train_on_batch(x, np.arange(8))
    assert model.evaluate(x, verbose=0)[0] < first
    moved = [np.any(a != b) for a, b in zip(before, model.trainable_variables, strict=True)]
    fixed = [v.path for v, changed in zip(model.trainable_variables, moved, strict=True) if not changed]
    assert all("constant" in path for path in fixed)  # the kernel of a dense layer on zeros
