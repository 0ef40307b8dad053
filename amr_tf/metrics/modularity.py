"""Modularity: degree to which each dimension has information about a single factor only."""

from typing import Any

import numpy as np

from amr_tf.metrics import mutual_information
from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng, sample


def score(
    ground_truth: GroundTruth, encode: Encode, rng: Rng, samples: int = 10_000, bins: int = 20
) -> dict[str, Any]:
    """Computes modularity (Ridgeway and Mozer, 2018, https://arxiv.org/abs/1802.05312), section 3.

    The computation is as in disentanglement_lib. The score is the mean of the modularities of the dimensions, which
    `modularities` defines.

    Returns:
        `score`: in [0, 1]; 0 for constant codes. `per_dimension`: modularity of each dimension. `chance`: score of
        noise, 0.68 on dSprites. Chance is high because the mutual information with noise is overestimated more for
        factors with more values.
    """
    factors, codes = sample(ground_truth, encode, samples, rng)
    dimensions = modularities(mutual_information.between(codes, factors, bins))
    # For independent variables, the plug-in estimate is proportional to the factor's number of values minus 1.
    noise = modularities(np.array([ground_truth.factor_sizes]) - 1.0)
    return {
        "score": float(dimensions.mean()),
        "per_dimension": dimensions.tolist(),
        "chance": float(noise[0]),
    }


def modularities(information: np.ndarray) -> np.ndarray:
    """Computes the modularity of each dimension: mutual information [d, K] >= 0 -> [d] in [0, 1].

    Let m be the largest mutual information of the dimension with a factor, and s the sum of squares over the other
    factors. The modularity is 1 - s / ((K - 1) m^2). The modularity of a dimension without information is 0.
    """
    squared = information**2
    largest = squared.max(axis=1)
    rest = (squared.sum(axis=1) - largest) / (squared.shape[1] - 1)
    return np.where(largest > 0, 1 - rest / np.where(largest > 0, largest, 1.0), 0.0)
