"""MIG: gap in mutual information with a factor between the best and the second-best dimension."""

from typing import Any

import numpy as np

from amr_tf.metrics import mutual_information
from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng, sample


def score(
    ground_truth: GroundTruth, encode: Encode, rng: Rng, samples: int = 10_000, bins: int = 20
) -> dict[str, Any]:
    """Computes the mutual information gap (Chen et al., 2018, https://arxiv.org/abs/1802.04942), section 4.1.

    The gap of a factor is the largest minus the second-largest I(dimension; factor), divided by the entropy H(factor).
    The score is the mean gap over the factors. Codes are binned as in disentanglement_lib.

    Returns:
        `score`: in [0, maximum]. `per_factor`: gap of each factor. `maximum`: highest possible score, which is below 1
        if a factor has more values than there are bins (0.90 on dSprites). `chance`: 0.
    """
    factors, codes = sample(ground_truth, encode, samples, rng)
    ordered = np.sort(mutual_information.between(codes, factors, bins), axis=0)
    gaps = (ordered[-1] - ordered[-2]) / mutual_information.entropy(factors)
    return {
        "score": float(gaps.mean()),
        "per_factor": gaps.tolist(),
        "maximum": float(np.mean([_ceiling(size, bins) for size in ground_truth.factor_sizes])),
        "chance": 0.0,
    }


def _ceiling(size: int, bins: int) -> float:
    """Returns the fraction of the entropy of a uniform factor that remains if the values are binned evenly."""
    shares = np.array([len(part) for part in np.array_split(np.arange(size), min(size, bins))]) / size
    return float(-np.sum(shares * np.log(shares)) / np.log(size))
