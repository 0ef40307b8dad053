"""SAP: gap in linear predictability of a factor between the best and the second-best dimension."""

from typing import Any

import numpy as np

from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng, sample

# A dimension with a smaller variance counts as collapsed.
SMALLEST_VARIANCE = 1e-12


def score(ground_truth: GroundTruth, encode: Encode, rng: Rng, samples: int = 10_000) -> dict[str, Any]:
    """Computes separated attribute predictability (Kumar et al., 2018, https://arxiv.org/abs/1711.00848), section 3.

    The version is disentanglement_lib's version for continuous factors. The gap of a factor is the largest minus the
    second-largest squared correlation of the factor with a dimension. The score is the mean gap over the factors.

    Returns:
        `score`: in [0, 1]. `per_factor`: gap of each factor. `chance`: 0; noise scores about 1/samples.
    """
    factors, codes = sample(ground_truth, encode, samples, rng)
    ordered = np.sort(squared_correlations(codes, factors), axis=0)
    gaps = ordered[-1] - ordered[-2]
    return {"score": float(gaps.mean()), "per_factor": gaps.tolist(), "chance": 0.0}


def squared_correlations(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Computes the squared Pearson correlations: codes [n, d], factors [n, K] -> float64 [d, K] in [0, 1].

    The value is 0 for collapsed dimensions.
    """
    z, y = codes - codes.mean(axis=0), factors - factors.mean(axis=0)
    z_variances, y_variances = z.var(axis=0, ddof=1), y.var(axis=0, ddof=1)
    covariances = z.T @ y / (len(z) - 1)
    active = z_variances > SMALLEST_VARIANCE
    squared = covariances**2 / (np.where(active, z_variances, 1.0)[:, None] * y_variances)
    return np.where(active[:, None], squared, 0.0)
