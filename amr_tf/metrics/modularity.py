"""Modularity: information of each dimension about a single factor."""

from typing import Any

import numpy as np

from amr_tf.metrics import mutual_information
from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng, sample


def score(
    ground_truth: GroundTruth, encode: Encode, rng: Rng, samples: int = 10_000, bins: int = 20
) -> dict[str, Any]:
    """Modularity (Ridgeway and Mozer, 2018, https://arxiv.org/abs/1802.05312), section 3, as in disentanglement_lib.

    The mean over dimensions of 1 - (sum of squared informations without the largest) / ((K - 1) largest squared),
    which is 0 for a dimension without information.

    Returns:
        `score` in [0, 1], 0 for constant codes; `per_dimension`; `chance`: the score of noise, 0.68 on dSprites. It is
        high because estimates of information grow with the number of a factor's values.
    """
    factors, codes = sample(ground_truth, encode, samples, rng)
    dimensions = modularities(mutual_information.between(codes, factors, bins))
    # For independent variables the plug-in estimate is proportional to (factor's size - 1), whatever the bins.
    noise = modularities(np.array([ground_truth.factor_sizes]) - 1.0)
    return {
        "score": float(dimensions.mean()),
        "per_dimension": dimensions.tolist(),
        "chance": float(noise[0]),
    }


def modularities(information: np.ndarray) -> np.ndarray:
    """Mutual informations [d, K] >= 0 -> the modularity of each dimension, [d] in [0, 1]."""
    squared = information**2
    largest = squared.max(axis=1)
    rest = (squared.sum(axis=1) - largest) / (squared.shape[1] - 1)
    return np.where(largest > 0, 1 - rest / np.where(largest > 0, largest, 1.0), 0.0)
