"""The disentanglement score of Table 3 of the AMR paper: FactorVAE's metric with an omission, kept for comparison."""

from typing import Any

import numpy as np

from amr_tf.metrics import votes
from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng

VOTES_PER_FACTOR = 160
IMAGES = 800


def score(ground_truth: GroundTruth, encode: Encode, rng: Rng) -> dict[str, Any]:
    """Computes the score of Table 3 of AMR (Beckham et al., 2019, https://arxiv.org/abs/1903.02709) as in its code.

    Each of 160 votes per factor fixes the factor in 800 images and names the dimension of the smallest variance,
    relative to the variance over all votes. With V[k, d] votes for dimension d and factor k, the score is the sum of
    max_d V[k, d] over all factors except the last, divided by the number of votes. See docs/metrics.md for the
    differences from FactorVAE.

    Returns:
        `score` in [chance, maximum]; `per_factor`, max_d V[k, d] / 160 of every factor; `maximum`, (K - 1) / K, which
        collapsed codes reach too; `chance`, the maximum divided by d; `note`, to be shown with the score.
    """
    names = ground_truth.factor_names
    fixed = np.repeat(np.arange(len(names)), VOTES_PER_FACTOR)
    parts, origin = [], None
    for codes in votes.groups(ground_truth, encode, fixed, IMAGES, rng):
        # Without the shift, rounding gives a constant dimension a variance above 0.
        origin = codes[0, 0] if origin is None else origin
        parts.append(((codes - origin).mean(axis=1), (codes - origin).var(axis=1)))
    means, variances = (np.concatenate(part) for part in zip(*parts, strict=True))
    # Votes have equal sizes, hence these two terms add up to the variance of all codes.
    total = variances.mean(axis=0) + means.var(axis=0)
    relative = np.divide(variances, total, out=np.zeros_like(variances), where=total > 0)
    table = votes.count(fixed, relative.argmin(axis=1), (len(names), relative.shape[1]))
    largest = table.max(axis=1)
    maximum = (len(names) - 1) / len(names)
    return {
        "score": float(largest[:-1].sum() / len(fixed)),
        "per_factor": (largest / VOTES_PER_FACTOR).tolist(),
        "maximum": maximum,
        "chance": maximum / relative.shape[1],
        "note": (
            f"The ceiling is {maximum:.2f}, because {names[-1]} is left out of the sum; "
            f"a collapsed code also scores {maximum:.2f}."
        ),
    }
