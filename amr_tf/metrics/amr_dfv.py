"""The disentanglement score of Table 3 of the AMR paper: FactorVAE's metric with one factor omitted."""

from typing import Any

import numpy as np

from amr_tf.metrics import votes
from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng

VOTES_PER_FACTOR = 160
IMAGES = 800


def score(ground_truth: GroundTruth, encode: Encode, rng: Rng) -> dict[str, Any]:
    """Computes the score of Table 3 of AMR (Beckham et al., 2019, https://arxiv.org/abs/1903.02709) as in AMR's code.

    Each factor gets 160 votes. A vote samples 800 images with the same value of the factor. The vote is for the code
    dimension with the smallest variance in these images, divided by the dimension's variance over all votes. V[k, d]
    is the number of votes for dimension d when factor k was fixed. The score is the sum of max_d V[k, d] over all
    factors except the last one, divided by the number of votes. docs/metrics.md lists the differences from FactorVAE.

    Returns:
        `score` in [chance, maximum]. `per_factor`: max_d V[k, d] / 160 for each factor k. `maximum`: (K - 1) / K for K
        factors; collapsed codes also reach the maximum. `chance`: the maximum divided by the number of dimensions.
        `note`: a warning to print with the score.
    """
    names = ground_truth.factor_names
    fixed = np.repeat(np.arange(len(names)), VOTES_PER_FACTOR)
    parts, origin = [], None
    for codes in votes.groups(ground_truth, encode, fixed, IMAGES, rng):
        # Without this shift, rounding errors would give a constant dimension a variance above 0.
        origin = codes[0, 0] if origin is None else origin
        parts.append(((codes - origin).mean(axis=1), (codes - origin).var(axis=1)))
    means, variances = (np.concatenate(part) for part in zip(*parts, strict=True))
    # All votes have the same number of images, so the sum of these two terms is the variance of all codes.
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
