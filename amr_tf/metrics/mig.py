"""MIG: information of the best dimension about a factor, minus that of the second best."""

from typing import Any

import numpy as np

from amr_tf.metrics import mutual_information
from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng, sample


def score(
    ground_truth: GroundTruth, encode: Encode, rng: Rng, samples: int = 10_000, bins: int = 20
) -> dict[str, Any]:
    """The mutual information gap (Chen et al., 2018, https://arxiv.org/abs/1802.04942), section 4.1.

    The mean over factors of (largest - second largest I(dimension; factor)) / H(factor), binned as in
    disentanglement_lib.

    Returns:
        `score` in [0, maximum]; `per_factor`, the gap of each; `maximum`, below 1 where a factor has more values than
        there are bins (0.90 on dSprites); `chance`, 0.
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
    """Returns the share of a uniform factor's entropy that remains after its values are binned evenly."""
    shares = np.array([len(part) for part in np.array_split(np.arange(size), min(size, bins))]) / size
    return float(-np.sum(shares * np.log(shares)) / np.log(size))
