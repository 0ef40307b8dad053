"""Mixers: what they draw and what `mix` makes of it (habit: weights sum to 1, parents reach the output)."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from amr_tf import registry
from amr_tf.mixing import ReversedMixup, mix

CODES = [(4, 4, 3), (10,)]
SEED = np.array([3, 7], np.int64)


def make(name: str, k: int):
    return registry.load(registry.MIXERS, name)(k)


def every_mixer():
    return [pytest.param(name, k, shape) for name in registry.MIXERS for k in (2, 3, 8) for shape in CODES]


@pytest.mark.parametrize(("name", "k", "code_shape"), every_mixer())
def test_weights_sum_to_one_and_have_the_broadcast_shape(name, k, code_shape):
    indices, weights = make(name, k).sample(16, code_shape, SEED)
    inner = (1,) * (len(code_shape) - 1)
    shared = (*inner, 1) if name == "mixup" else (*inner, code_shape[-1])
    assert weights.shape == (16, k, *shared)
    assert indices.shape == (16, k)
    np.testing.assert_allclose(tf.reduce_sum(weights, axis=1), np.ones((16, *shared)), atol=1e-6)
    assert np.min(weights) >= 0
    assert np.all(np.max(np.moveaxis(weights, 1, 0).reshape(k, -1), axis=1) > 0), "a parent reaches no mix"
    if name.startswith("bernoulli"):
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


def test_draws_run_under_xla():
    for mixer in (make(name, 3) for name in registry.MIXERS):
        indices, weights = tf.function(mixer.sample, jit_compile=True)(8, (4, 4, 2), SEED)
        assert indices.shape == (8, 3)
        assert np.all(np.isfinite(weights))
