"""Statistics of comparisons: by hand, against SciPy, and their promises by simulation."""

import numpy as np
import pytest
from scipy import stats

from amr_tf.metrics import comparison as statistics

EXPERIMENTS = 2_000


def rng(seed=0):
    return np.random.default_rng(seed)


def test_paired_by_hand():
    """Differences 1, 2, 3: of the 8 sign patterns two have a mean as far from 0."""
    found = statistics.paired(np.array([1.0, 2.0, 3.0]), rng())
    assert (found.n, found.mean, found.sd, found.p) == (3, 2.0, 1.0, 0.25)
    low, high = stats.t.interval(0.95, 2, 2.0, 1 / 3**0.5)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert np.isnan(statistics.paired(np.array([1.0]), rng())[2:]).all()
    with pytest.raises(ValueError, match="needs a pair"):
        statistics.paired(np.array([]), rng())


@pytest.mark.parametrize("n", [4, 9])
def test_sign_flip_equals_scipys_permutation_test(n):
    differences = rng(n).normal(0.5, 1, n)
    expected = stats.permutation_test(
        (differences,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples", n_resamples=np.inf
    )
    assert statistics.sign_flip(differences, rng()) == pytest.approx(expected.pvalue)


def test_sampled_sign_flips_agree_with_the_t_test():
    differences = rng().normal(0.3, 1, 40)
    assert statistics.sign_flip(differences, rng()) == pytest.approx(
        stats.ttest_1samp(differences, 0).pvalue, abs=0.02
    )
    assert statistics.sign_flip(np.ones(40), rng()) > 0


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]


def test_mcnemar_is_the_binomial_test_of_discordant_images():
    a = np.array([1] * 12 + [0] * 5 + [1] * 80 + [0] * 3, bool)
    b = np.array([0] * 12 + [1] * 5 + [1] * 80 + [0] * 3, bool)
    assert statistics.mcnemar(a, b) == (12, 5, pytest.approx(stats.binomtest(12, 17).pvalue))
    assert statistics.mcnemar(a, a) == (0, 0, 1.0)


@pytest.mark.parametrize("n", [3, 5])
def test_t_interval_covers_and_p_is_uniform_without_an_effect(n):
    """2,000 experiments without an effect: coverage within 1.5 points of 95 %, p uniform on its 2^(n - 1) values."""
    draw = rng(n)
    found = [statistics.paired(draw.normal(0, 1, n), draw) for _ in range(EXPERIMENTS)]
    coverage = np.mean([one.low <= 0 <= one.high for one in found])
    assert coverage == pytest.approx(0.95, abs=0.015)
    steps = 2 ** (n - 1)
    ranks = np.round(np.array([one.p for one in found]) * steps).astype(int)
    counts = np.bincount(ranks, minlength=steps + 1)[1:]
    assert stats.chisquare(counts).pvalue > 0.001
    for limit in (0.25, 0.5):
        assert np.mean([one.p <= limit for one in found]) == pytest.approx(limit, abs=0.04)


@pytest.mark.parametrize(("sd", "effect"), [(0.5, 0.5), (0.3, 0.5), (1.0, 0.5)])
def test_power_is_as_predicted(sd, effect):
    """And the number of seeds is the least one that has it."""
    needed = statistics.seeds_needed(sd, effect)
    draw = rng(1)
    rejected = [
        stats.ttest_1samp(draw.normal(effect, sd, needed), 0).pvalue < 0.05 for _ in range(EXPERIMENTS)
    ]
    assert np.mean(rejected) == pytest.approx(statistics.power(sd, needed, effect), abs=0.03)
    assert statistics.power(sd, needed, effect) >= 0.8 > statistics.power(sd, needed - 1, effect)
    assert statistics.seeds_needed(1e6, effect) is None
    assert statistics.seeds_needed(0.0, effect) == 2


def coverage(seeds, spread):
    """Share of 2,000 experiments without an effect whose interval over seeds and images contains 0."""
    draw, hits = rng(2), 0
    for _ in range(EXPERIMENTS):
        skill = draw.normal(0, spread, (2, seeds, 1))
        difficulty = draw.normal(0, 1, (1, 1, 300))
        right = draw.random((2, seeds, 300)) < stats.norm.cdf(1 + skill - difficulty)
        low, high = statistics.over_seeds_and_images(*right)
        hits += low <= 0 <= high
    return hits / EXPERIMENTS


@pytest.mark.parametrize("seeds", [3, 5, 20])
def test_interval_over_seeds_and_images_covers(seeds):
    """Accuracies vary by seed and image: coverage within 1.5 points of 95 %."""
    assert coverage(seeds, spread=0.25) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("seeds", [3, 20])
def test_interval_is_conservative_if_seeds_do_not_matter(seeds):
    """Then the interval may be too wide, but not too narrow."""
    assert 0.95 <= coverage(seeds, spread=0.0) <= 0.985


def test_interval_over_seeds_and_images_by_hand():
    """No variation: a point. One seed: unknown. Without an effect of seeds it is about the interval over images."""
    same = np.ones((3, 5), bool)
    assert statistics.over_seeds_and_images(same, ~same) == (1.0, 1.0)
    assert np.isnan(statistics.over_seeds_and_images(same[:1], ~same[:1])).all()
    right = np.repeat(rng().random((2, 1, 2_000)) < 0.8, 4, axis=1)
    differences = right[0, 0].astype(float) - right[1, 0]
    expected = stats.t.interval(0.95, 1_999, differences.mean(), stats.sem(differences))
    assert statistics.over_seeds_and_images(*right) == pytest.approx(expected, abs=1e-9)


def test_equivalence_needs_a_narrow_interval():
    close = np.array([0.01, -0.02, 0.0, 0.01, -0.01])
    p, equal = statistics.equivalent(close, 0.5)
    assert (p < 0.001, equal) == (True, True)
    assert not statistics.equivalent(np.array([0.6, 0.5, 0.7]), 0.5)[1]
    assert not statistics.equivalent(np.array([2.0, -2.0, 0.1]), 0.5)[1]
    assert not statistics.equivalent(np.array([0.0]), 0.5)[1]


def test_equivalence_is_rarely_claimed_wrongly():
    """At a true difference of the margin itself."""
    draw = rng(3)
    wrong = [statistics.equivalent(draw.normal(0.5, 0.3, 4), 0.5)[1] for _ in range(EXPERIMENTS)]
    assert np.mean(wrong) <= 0.05 + 0.015


def test_sign_patterns_are_complete():
    """The least p of n pairs is 2^(1 - n)."""
    for n in (2, 3, 6):
        assert statistics.sign_flip(np.ones(n), rng()) == 2.0 ** (1 - n)
