"""Comparison of two methods, paired by seed and by test image: intervals, tests, power and number of seeds.

SciPy computes the distributions and McNemar's test.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from scipy import special, stats

MOST_EXACT = 16  # largest number of pairs for which all sign patterns are enumerated
SAMPLES = 20_000  # number of sampled sign patterns
POWER, LEVEL = 0.8, 0.05
MOST_SEEDS = 10_000


class Paired(NamedTuple):
    """Summary of the differences of n pairs.

    `sd` is the standard deviation. `low` and `high` are the ends of the 95 % t interval of the mean. `p` is the p value
    of the sign-flip test. If n is 1, these four values are NaN.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p: float


def paired(differences: np.ndarray, rng: np.random.Generator) -> Paired:
    """Summarises the differences A - B of n pairs, float [n].

    The sign-flip test has one assumption: without an effect, a difference and its negative are equally likely.
    The n differences have 2^n sign patterns. The p value is the fraction of sign patterns that give a mean at least as
    far from 0 as the observed mean. The smallest possible p is 2^(1 - n), which is 0.25 for three seeds. For more than
    MOST_EXACT pairs, p is estimated from SAMPLES random sign patterns.

    Example:
        >>> found = paired(np.array([1.0, 2.0, 3.0]), np.random.default_rng(0))
        >>> found.mean, found.p
        (2.0, 0.25)

    Raises:
        ValueError: `differences` is empty.
    """
    differences = np.asarray(differences, float)
    n = len(differences)
    if n == 0:
        raise ValueError("A comparison needs a pair. Received: no difference")
    mean = float(differences.mean())
    if n == 1:
        return Paired(1, mean, math.nan, math.nan, math.nan, math.nan)
    sd = float(differences.std(ddof=1))
    half = float(special.stdtrit(n - 1, 1 - LEVEL / 2)) * sd / math.sqrt(n)
    return Paired(n, mean, sd, mean - half, mean + half, sign_flip(differences, rng))


def sign_flip(differences: np.ndarray, rng: np.random.Generator) -> float:
    """Returns the p value of the two-sided sign-flip test that the mean is 0. `paired` describes the test."""
    n = len(differences)
    if n <= MOST_EXACT:
        signs = np.array(list(itertools.product((1, -1), repeat=n)))
    else:
        signs = rng.choice((1, -1), size=(SAMPLES, n))
    means = np.abs(signs @ differences) / n
    observed = abs(differences.mean())
    extreme = means >= observed * (1 - 1e-9) - 1e-15
    # The observed pattern counts as one more sample, so that p is never 0.
    return float(extreme.mean() if n <= MOST_EXACT else (extreme.sum() + 1) / (SAMPLES + 1))


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> tuple[int, int, float]:
    """Compares two classifiers on the same examples (McNemar's exact test).

    Args:
        right_a, right_b: bool [N], True for the examples that classifier A or B predicts correctly.

    Returns:
        Number of examples that only A predicts correctly, number that only B predicts correctly, and the exact
        two-sided p value.

    Example:
        >>> mcnemar(np.array([1, 1, 1, 0], bool), np.array([0, 0, 0, 0], bool))
        (3, 0, 0.25)
    """
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    if only_a + only_b == 0:
        return 0, 0, 1.0
    return only_a, only_b, float(stats.binomtest(only_a, only_a + only_b).pvalue)


def over_seeds_and_images(right_a: np.ndarray, right_b: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % interval of the difference A - B in accuracy over random seeds and random test images.

    The model is a two-way analysis of variance with seeds and images as random effects. The variance of the mean is
    estimated from the mean squares. The degrees of freedom follow Satterthwaite (1946,
    https://doi.org/10.2307/3002019).

    Args:
        right_a, right_b: bool [S, N] for S seeds of each method and N test images. True is a correct prediction.

    Returns:
        Lower and upper end of the interval. Both are NaN for fewer than two seeds or fewer than two images.

    Example:
        >>> right = np.random.default_rng(0).random((2, 3, 100)) < 0.9
        >>> low, high = over_seeds_and_images(*right)
        >>> bool(low < right[0].mean() - right[1].mean() < high)
        True
    """
    differences = right_a.astype(float) - right_b
    seeds, images = differences.shape
    if min(seeds, images) < 2:
        return math.nan, math.nan
    mean = float(differences.mean())
    by_seed, by_image = differences.mean(axis=1), differences.mean(axis=0)
    rest = differences - by_seed[:, None] - by_image + mean
    free = np.array([seeds - 1, images - 1, (seeds - 1) * (images - 1)])
    squares = np.array(
        [images * by_seed.var(ddof=1), seeds * by_image.var(ddof=1), (rest**2).sum() / free[2]]
    )
    # The expected mean square of seeds, and of images, is at least the expected residual mean square. If an estimate
    # is smaller than the residual, the maximum prevents a total that is too small.
    total = max(squares[0] + squares[1] - squares[2], squares[0], squares[1])
    if total == 0:
        return mean, mean
    degrees = total**2 / (squares**2 / free).sum()
    half = float(special.stdtrit(degrees, 1 - LEVEL / 2)) * math.sqrt(total / (seeds * images))
    return mean - half, mean + half


def holm(p_values: list[float]) -> list[float]:
    """Adjusts the p values of several comparisons (Holm, 1979). Each adjusted p value is compared with the same level.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    adjusted, largest = np.empty(len(p_values)), 0.0
    for rank, number in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[number]))
        adjusted[number] = largest
    return [round(float(value), 12) for value in adjusted]


def power(sd: float, n: int, effect: float) -> float:
    """Returns the probability that a paired t test of n seeds finds a true difference of `effect` at the 5 % level."""
    if n < 2:
        return 0.0
    if sd == 0:
        return 1.0
    shift, limit = effect * math.sqrt(n) / sd, float(special.stdtrit(n - 1, 1 - LEVEL / 2))
    return float(stats.nct.sf(limit, n - 1, shift) + stats.nct.cdf(-limit, n - 1, shift))


def seeds_needed(sd: float, effect: float) -> int | None:
    """Returns the smallest number of seeds that detects a true difference of `effect` with 80 % power.

    Returns None if more than MOST_SEEDS seeds are needed.

    Example:
        >>> seeds_needed(sd=0.5, effect=0.5)
        10
    """
    if power(sd, MOST_SEEDS, effect) < POWER:
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if power(sd, middle, effect) < POWER else (low, middle)
    return high


def equivalent(differences: np.ndarray, margin: float) -> tuple[float, bool]:
    """Tests whether the mean difference lies within +- `margin` (two one-sided t tests).

    Returns:
        The larger of the two p values, and True if this p value is below 5 %. For a single pair the p value is NaN.
    """
    n = len(differences)
    if n < 2:
        return math.nan, False
    mean, error = float(np.mean(differences)), float(np.std(differences, ddof=1)) / math.sqrt(n)
    if error == 0:
        return (0.0, True) if abs(mean) < margin else (1.0, False)
    p = max(stats.t.sf((mean + margin) / error, n - 1), stats.t.cdf((mean - margin) / error, n - 1))
    return float(p), bool(p < LEVEL)
