"""Comparison of two methods, paired by seed and by test image: intervals, tests, and the seeds that more would need.

All functions take arrays. Names and methods are those of the literature; SciPy computes what it has.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from scipy import special, stats

MOST_EXACT = 16  # pairs whose sign flips are all enumerated; more are sampled
SAMPLES = 20_000  # sampled sign flips
POWER, LEVEL = 0.8, 0.05
MOST_SEEDS = 10_000


class Paired(NamedTuple):
    """Differences of n pairs: mean, standard deviation, 95 % t interval, and p of the exact sign-flip test.

    Values are NaN where n is 1.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p: float


def paired(differences: np.ndarray, rng: np.random.Generator) -> Paired:
    """Summarises differences A - B of pairs, float [n].

    The sign-flip test has no assumption but that a difference and its negative are equally likely without an effect:
    p is the share of all 2^n sign patterns whose mean is at least as far from 0. Its smallest value is 2^(1 - n),
    0.25 for three seeds. Above MOST_EXACT pairs it is estimated from SAMPLES patterns.

    Example:
        >>> found = paired(np.array([1.0, 2.0, 3.0]), np.random.default_rng(0))
        >>> found.mean, found.p
        (2.0, 0.25)

    Raises:
        ValueError: no difference.
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
    """Returns p of the two-sided sign-flip test of a mean of 0; see `paired`."""
    n = len(differences)
    if n <= MOST_EXACT:
        signs = np.array(list(itertools.product((1, -1), repeat=n)))
    else:
        signs = rng.choice((1, -1), size=(SAMPLES, n))
    means = np.abs(signs @ differences) / n
    observed = abs(differences.mean())
    extreme = means >= observed * (1 - 1e-9) - 1e-15
    # The observed pattern is one of the sampled ones, so that p is never 0.
    return float(extreme.mean() if n <= MOST_EXACT else (extreme.sum() + 1) / (SAMPLES + 1))


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> tuple[int, int, float]:
    """Compares two classifiers on the same examples (McNemar's exact test).

    Args:
        right_a, right_b: bool [N], which examples each got right.

    Returns:
        Number of examples that only A got right, that only B got right, and the two-sided exact p.

    Example:
        >>> mcnemar(np.array([1, 1, 1, 0], bool), np.array([0, 0, 0, 0], bool))
        (3, 0, 0.25)
    """
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    if only_a + only_b == 0:
        return 0, 0, 1.0
    return only_a, only_b, float(stats.binomtest(only_a, only_a + only_b).pvalue)


def over_seeds_and_images(right_a: np.ndarray, right_b: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % interval of the difference A - B in accuracy, for other seeds and other test images.

    Seeds and images are random effects of a two-way layout. The variance of the mean is estimated from the mean squares
    of the layout, and its degrees of freedom are those of Satterthwaite (1946, https://doi.org/10.2307/3002019).

    Args:
        right_a, right_b: bool [S, N] for S seeds of each method and N test images. True is a correct prediction.

    Returns:
        Lower and upper end of the interval; NaN for fewer than two seeds or two images.

    Example:
        >>> right = np.random.default_rng(0).random((2, 3, 100)) < 0.9
        >>> low, high = over_seeds_and_images(*right)
        >>> low < right[0].mean() - right[1].mean() < high
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
    # A mean square of the seeds below that of the rest is chance: the true one is at least as large.
    total = max(squares[0] + squares[1] - squares[2], squares[0], squares[1])
    if total == 0:
        return mean, mean
    degrees = total**2 / (squares**2 / free).sum()
    half = float(special.stdtrit(degrees, 1 - LEVEL / 2)) * math.sqrt(total / (seeds * images))
    return mean - half, mean + half


def holm(p_values: list[float]) -> list[float]:
    """Adjusts p values of several comparisons (Holm, 1979): each is then compared with the common level.

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
    """Returns the least number of seeds with which a difference of `effect` is found with 80 % power.

    None if it is more than MOST_SEEDS.

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
        The larger of the two p values, NaN for a single pair, and whether it is below 5 %.
    """
    n = len(differences)
    if n < 2:
        return math.nan, False
    mean, error = float(np.mean(differences)), float(np.std(differences, ddof=1)) / math.sqrt(n)
    if error == 0:
        return (0.0, True) if abs(mean) < margin else (1.0, False)
    p = max(stats.t.sf((mean + margin) / error, n - 1), stats.t.cdf((mean - margin) / error, n - 1))
    return float(p), bool(p < LEVEL)
