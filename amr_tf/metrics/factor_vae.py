"""The FactorVAE metric: a majority-vote classifier that predicts the fixed factor from the least varying dimension."""

from typing import Any

import numpy as np

from amr_tf.metrics import votes
from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng, sample

DEVIATION_SAMPLES = 10_000
# A dimension with a smaller standard deviation counts as collapsed.
SMALLEST_DEVIATION = 0.05


# Number of images per vote, training votes and test votes. `paper` has the settings of Kim and Mnih. `dlib` has the
# settings of disentanglement_lib (Locatello et al., 2019, https://arxiv.org/abs/1811.12359).
PRESETS = {"paper": (100, 800, 800), "dlib": (64, 10_000, 5_000)}


def score(ground_truth: GroundTruth, encode: Encode, rng: Rng, preset: str = "dlib") -> dict[str, Any]:
    """Computes the metric of FactorVAE (Kim and Mnih, 2018, https://arxiv.org/abs/1802.05983), section 4.

    A vote samples images with the same value of one random factor. The vote is for the code dimension with the smallest
    variance in these images, divided by the dimension's variance over DEVIATION_SAMPLES random images. The training
    votes assign to each dimension the factor that was fixed most often when the dimension was chosen. The score is the
    accuracy of this assignment on the test votes. `preset` is a name in PRESETS.

    Returns:
        `score`: in [0, 1]; 0 if every dimension collapsed. `train_accuracy`: accuracy on the training votes.
        `per_factor`: accuracy on the test votes of each factor. `active_dimensions`: number of dimensions that did not
        collapse. `pruned_dimensions`: number of dimensions that collapsed. `chance`: 1/K for K factors.
    """
    images, train_votes, evaluation_votes = PRESETS[preset]
    factors = len(ground_truth.factor_sizes)
    _, codes = sample(ground_truth, encode, DEVIATION_SAMPLES, rng)
    variances = codes.var(axis=0, ddof=1)
    active = np.sqrt(variances) >= SMALLEST_DEVIATION
    result = {
        "score": 0.0,
        "train_accuracy": 0.0,
        "per_factor": [0.0] * factors,
        "active_dimensions": int(active.sum()),
        "pruned_dimensions": int((~active).sum()),
        "chance": 1 / factors,
    }
    if not active.any():
        return result

    def table(number: int) -> np.ndarray:
        fixed = rng.integers(factors, size=number)
        chosen = [
            np.argmin(codes.var(axis=1, ddof=1)[:, active] / variances[active], axis=1)
            for codes in votes.groups(ground_truth, encode, fixed, images, rng)
        ]
        return votes.count(fixed, np.concatenate(chosen), (factors, int(active.sum())))

    train, evaluation = table(train_votes), table(evaluation_votes)
    stands_for = train.argmax(axis=0)
    right = stands_for == np.arange(factors)[:, None]
    return result | {
        "score": float((evaluation * right).sum() / evaluation.sum()),
        "train_accuracy": float((train * right).sum() / train.sum()),
        "per_factor": ((evaluation * right).sum(axis=1) / evaluation.sum(axis=1)).tolist(),
    }
