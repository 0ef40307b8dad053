"""Mixers: what they draw and what `mix` makes of it (habit: weights sum to 1, parents reach the output)."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from amr_tf import registry
from amr_tf.mixing import GaussianMixup, GaussianPairs, ReversedMixup, StyleCrossover, mix

CODES = [(4, 4, 3), (10,)]
STYLES = (9, 4)  # of codes with rows, which `style` exchanges
SEED = np.array([3, 7], np.int64)


def make(name: str, k: int):
    return registry.load(registry.MIXERS, name)(k)


def every_mixer():
    return [
        pytest.param(name, k, shape)
        for name in registry.MIXERS
        for k in (2, 3, 8)
        for shape in ((STYLES,) if name == "style" else CODES)
    ]


@pytest.mark.parametrize(("name", "k", "code_shape"), every_mixer())
def test_weights_sum_to_one_and_have_the_broadcast_shape(name, k, code_shape):
    indices, weights = make(name, k).sample(16, code_shape, SEED)
    inner = (1,) * (len(code_shape) - 1)
    one = name in ("mixup", "gaussian")
    shared = (9, 1) if name == "style" else (*inner, 1) if one else (*inner, code_shape[-1])
    assert weights.shape == (16, k, *shared)
    assert indices.shape == (16, k)
    np.testing.assert_allclose(tf.reduce_sum(weights, axis=1), np.ones((16, *shared)), atol=1e-6)
    assert np.min(weights) >= 0 or name == "gaussian"
    assert np.all(np.max(np.moveaxis(weights, 1, 0).reshape(k, -1), axis=1) > 0), "a parent reaches no mix"
    if name.startswith("bernoulli") or name == "style":
        assert set(np.unique(weights)) <= {0.0, 1.0}


@pytest.mark.parametrize(("name", "k", "code_shape"), every_mixer())
def test_parents_are_the_example_and_permutations_of_the_batch(name, k, code_shape):
    indices = make(name, k).sample(16, code_shape, SEED)[0].numpy()
    np.testing.assert_array_equal(indices[:, 0], np.arange(16))
    for parent in range(1, k):
        np.testing.assert_array_equal(np.sort(indices[:, parent]), np.arange(16))
    columns = {tuple(indices[:, parent]) for parent in range(k)}
    assert len(columns) == k, "two parents share one permutation"


@pytest.mark.parametrize(("name", "k", "code_shape"), every_mixer())
def test_same_seed_same_draw_and_another_seed_another(name, k, code_shape):
    mixer = make(name, k)
    first, again = mixer.sample(16, code_shape, SEED), mixer.sample(16, code_shape, SEED)
    other = mixer.sample(16, code_shape, SEED + 1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert np.any(first[0] != other[0])
    assert np.any(first[1] != other[1])


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(2, 5), st.integers(0, 2**31 - 1))
def test_mix_is_the_weighted_sum_over_parents(batch, k, seed):
    """Against a loop in plain NumPy."""
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(batch, 2, 2, 3)).astype("float32")
    indices = rng.integers(batch, size=(batch, k))
    weights = rng.dirichlet(np.ones(k), size=batch).astype("float32")[..., None, None, None]
    expected = np.stack([sum(weights[b, i] * h[indices[b, i]] for i in range(k)) for b in range(batch)])
    np.testing.assert_allclose(mix(h, indices, weights), expected, atol=1e-5)


def test_mixup_pair_is_uniform_and_one_scalar_per_example():
    alpha = make("mixup", 2).sample(20_000, (4, 4, 2), SEED)[1].numpy()[:, 0].ravel()
    assert alpha.size == 20_000
    np.testing.assert_allclose(
        np.quantile(alpha, [0.1, 0.25, 0.5, 0.75, 0.9]), [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.02
    )


@pytest.mark.parametrize("k", [3, 8])
def test_larger_mixes_are_dirichlet(k):
    """Moments of Dirichlet(1, ..., 1): mean 1/k, variance (k - 1) / (k^2 (k + 1))."""
    weights = make("mixup", k).sample(20_000, (2,), SEED)[1].numpy()[..., 0]
    np.testing.assert_allclose(weights.mean(axis=0), 1 / k, atol=0.01)
    np.testing.assert_allclose(weights.var(axis=0), (k - 1) / (k**2 * (k + 1)), rtol=0.1)


def test_bernoulli_shares_one_p_per_batch_and_unit_one_half():
    """The share of ones varies from draw to draw like U(0, 1) for the first, and stays at 1/2 for the second."""
    shares = {
        name: [
            make(name, 2).sample(500, (8,), tf.constant([0, s], tf.int64))[1][:, 0].numpy().mean()
            for s in range(60)
        ]
        for name in ("bernoulli", "bernoulli_unit")
    }
    assert 0.2 < np.std(shares["bernoulli"]) < 0.38
    assert np.std(shares["bernoulli_unit"]) < 0.02
    np.testing.assert_allclose(np.mean(shares["bernoulli_unit"]), 0.5, atol=0.01)


def test_acai_pairs_with_the_reversed_batch_and_small_alpha():
    indices, weights = ReversedMixup().sample(1000, (4, 4, 2), SEED)
    np.testing.assert_array_equal(indices[:, 1], np.arange(1000)[::-1])
    alpha = weights[:, 0].numpy()
    assert alpha.min() >= 0
    assert alpha.max() <= 0.5
    assert 0.2 < alpha.mean() < 0.3
    np.testing.assert_allclose(weights[:, 0] + weights[:, 1], np.ones((1000, 1, 1, 1)), atol=1e-6)


def test_gaussian_pair_is_normal_and_extrapolates_as_published():
    """a ~ N(0.5, 0.25^2): 4.6 % of the weights lie outside [0, 1]."""
    a = GaussianMixup().sample(20_000, (4, 4, 2), SEED)[1].numpy()[:, 0].ravel()
    assert a.mean() == pytest.approx(0.5, abs=0.006)
    assert a.std() == pytest.approx(0.25, abs=0.005)
    assert np.mean((a < 0) | (a > 1)) == pytest.approx(0.0455, abs=0.005)


def test_gaias_pairs_are_halves_in_order_and_reversed():
    """By hand for B = 4, a1 = (1, 0), a2 = (1, 0): rows 0, 3, 1, 3 of h."""
    indices, weights = GaussianPairs().sample(4, (2,), SEED)
    np.testing.assert_array_equal(indices, [[0, 2], [1, 3], [1, 2], [0, 3]])
    assert weights.shape == (4, 2, 1)
    h = tf.constant([[0.0], [1.0], [2.0], [3.0]])
    a = np.array([1.0, 0.0, 1.0, 0.0], np.float32)[:, None]
    mixed = mix(h, indices, np.stack([a, 1 - a], axis=1))
    np.testing.assert_array_equal(mixed[:, 0], [0, 3, 1, 3])
    odd = GaussianPairs().sample(5, (2,), SEED)[0]
    np.testing.assert_array_equal(odd[-1], [4, 0])


def test_crossover_is_cut_once_and_all_cuts_are_hit():
    """One-hot rows, coarse ones of the first parent; P(no cut) = 0.1, and the cuts are equally likely."""
    count, rows = 10_000, 4
    weights = StyleCrossover().sample(count, (rows, 3), SEED)[1].numpy()[..., 0]
    first = weights[:, 0]
    assert set(np.unique(first)) == {0.0, 1.0}
    assert np.all(np.diff(first, axis=1) <= 0), "a coarse row of the second parent above one of the first"
    cuts = np.bincount(first.sum(axis=1).astype(int), minlength=rows + 1) / count
    sigma = (0.1 * 0.9 / count) ** 0.5
    assert cuts[rows] == pytest.approx(0.1, abs=3 * sigma)
    np.testing.assert_allclose(cuts[1:rows], 0.3, atol=3 * (0.3 * 0.7 / count) ** 0.5)
    assert cuts[0] == 0


def test_crossover_without_mixing_keeps_each_code():
    indices, weights = StyleCrossover(style_mixing=0.0).sample(16, STYLES, SEED)
    h = tf.random.stateless_normal((16, *STYLES), SEED)
    np.testing.assert_array_equal(mix(h, indices, weights), h)


def test_crossover_by_hand():
    """L = 4, c = 1: rows h1, h2, h2, h2. The path switches from fine to coarse."""
    mixer = StyleCrossover()
    np.testing.assert_array_equal(
        mixer.weights(tf.constant([[0.25, 0.75]]), (4, 2))[0, 0, :, 0], [1, 0, 0, 0]
    )
    path = mixer.path(tf.zeros([1, 4, 2]), tf.ones([1, 4, 2]), 5)
    np.testing.assert_array_equal(path[:, 0, :, 0], np.tri(5, 4, -1)[::-1])


def test_draws_run_under_xla():
    for name in registry.MIXERS:
        shape = STYLES if name == "style" else (4, 4, 2)
        indices, weights = tf.function(make(name, 3).sample, jit_compile=True)(8, shape, SEED)
        assert indices.shape == (8, 3)
        assert np.all(np.isfinite(weights))
