"""Spectral norm, instance norm and initial values against plain NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from amr_tf.networks import layers

RNG = np.random.default_rng(0)


def conv(**kwargs):
    layer = layers.SpectralConv2D(5, 3, padding="same", u_seed=0, **kwargs)
    layer.build((None, 6, 6, 4))
    return layer


def matrix(layer):
    return layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1])


def test_sigma_tends_to_the_largest_singular_value():
    layer = conv()
    layer.power_steps(200)
    x = RNG.normal(size=(2, 6, 6, 4)).astype("float32")
    (output,) = layer([x])
    largest = np.linalg.svd(matrix(layer), compute_uv=False)[0]
    np.testing.assert_allclose(output, tf.nn.conv2d(x, layer.kernel / largest, 1, "SAME"), atol=1e-5)


def test_each_pass_of_a_call_divides_by_its_own_sigma():
    layer = conv()
    x = RNG.normal(size=(2, 6, 6, 4)).astype("float32")
    u = layer.u.numpy()
    outputs = layer([x, x, x])
    for output in outputs:
        v = matrix(layer) @ u / np.linalg.norm(matrix(layer) @ u)
        u = matrix(layer).T @ v / np.linalg.norm(matrix(layer).T @ v)
        sigma = u @ matrix(layer).T @ v
        np.testing.assert_allclose(output, tf.nn.conv2d(x, layer.kernel / sigma, 1, "SAME"), atol=1e-5)
    np.testing.assert_allclose(layer.u, u, atol=1e-6)


def test_the_raw_kernel_is_left_alone():
    layer = conv()
    before = layer.kernel.numpy()
    layer([tf.ones((1, 6, 6, 4))], training=True)
    np.testing.assert_array_equal(layer.kernel, before)


@pytest.mark.parametrize("last", [False, True])
def test_gradient_reaches_the_kernel_through_sigma(last):
    """d/dW of <a, W> / sigma is a / sigma - <a, W> / sigma^2 times v u^T, of the same or of the last pass."""
    layer = layers.SpectralDense(3, last_gradient=last, u_seed=0)
    layer.build((None, 4))
    inputs = [RNG.normal(size=(1, 4)).astype("float32") for _ in range(2)]
    w, u = layer.kernel.numpy().astype("float64"), layer.u.numpy().astype("float64")
    with tf.GradientTape() as tape:
        loss = tf.add_n([tf.reduce_sum(output) for output in layer(inputs)])
    found = tape.gradient(loss, layer.kernel.value)

    outer, sigmas = [], []
    for _ in inputs:
        v = w @ u / np.linalg.norm(w @ u)
        u = w.T @ v / np.linalg.norm(w.T @ v)
        outer.append(np.outer(v, u))
        sigmas.append(v @ w @ u)
    expected = 0.0
    for x, own, sigma in zip(inputs, outer, sigmas, strict=True):
        a = np.outer(x[0], np.ones(3))
        expected = expected + a / sigma - np.sum(a * w) / sigma**2 * (outer[-1] if last else own)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_power_steps_in_evaluation_happen_only_where_asked_for():
    x = [tf.ones((1, 6, 6, 4))]
    for steps_in_eval in (True, False):
        layer = conv(steps_in_eval=steps_in_eval)
        before = layer.u.numpy()
        layer(x, training=False)
        assert np.any(layer.u.numpy() != before) == steps_in_eval


def test_instance_norm_normalises_each_map_of_each_example():
    layer = layers.instance_norm(keras.initializers.Ones())
    x = RNG.normal(2.0, 3.0, size=(3, 5, 5, 4)).astype("float32")
    mean, variance = x.mean(axis=(1, 2), keepdims=True), x.var(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(layer(x), (x - mean) / np.sqrt(variance + 1e-5), atol=1e-4)


SHAPE = (3, 3, 40, 60)


@pytest.mark.parametrize(
    ("initializer", "stddev"),
    [
        (layers.KernelRowNormal(0.2, 1), (1.04 * 60 * 40 * 3) ** -0.5),
        (layers.fan_in_normal(0.2, 1), (1.04 * 9 * 40) ** -0.5),
        (layers.he_normal(1), (2 / 360) ** 0.5),
        (layers.fan_in_uniform(1), 360**-0.5 / 3**0.5),
    ],
)
def test_initial_values_have_the_published_spread(initializer, stddev):
    values = np.asarray(initializer(SHAPE, dtype="float32"))
    assert values.std() == pytest.approx(stddev, rel=0.02)
    assert abs(values.mean()) < 0.02 * stddev


def test_uniform_initial_values_keep_their_limit():
    values = np.asarray(layers.fan_in_uniform(1)(SHAPE, dtype="float32"))
    assert np.abs(values).max() <= 360**-0.5
    assert np.abs(values).max() > 0.99 * 360**-0.5


def test_seeds_differ_between_layers_and_repeat_between_runs():
    first, again = layers.Seeds(3), layers.Seeds(3)
    drawn = [first.next() for _ in range(50)]
    assert len(set(drawn)) == 50
    assert drawn == [again.next() for _ in range(50)]
