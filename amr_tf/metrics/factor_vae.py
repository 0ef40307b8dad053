"""The FactorVAE metric: majority votes of the dimension that varies least while a factor is fixed."""

from typing import Any

import numpy as np

from amr_tf.metrics import votes
from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng, sample

DEVIATION_SAMPLES = 10_000
# A dimension with a smaller standard deviation counts as collapsed.
SMALLEST_DEVIATION = 0.05


# Images per vote, votes for the classifier, votes to evaluate it. `paper` is as in Kim and Mnih, `dlib` as in
# disentanglement_lib (Locatello et al., 2019, https://arxiv.org/abs/1811.12359).
PRESETS = {"paper": (100, 800, 800), "dlib": (64, 10_000, 5_000)}


def score(ground_truth: GroundTruth, encode: Encode, rng: Rng, preset: str = "dlib") -> dict[str, Any]:
    """The metric of FactorVAE (Kim and Mnih, 2018, https://arxiv.org/abs/1802.05983), section 4.

    A vote fixes a random factor in L images and names the dimension of the smallest relative variance. In one set of
    votes each dimension is assigned its most frequent factor; the score is the accuracy on another set.
    `preset` is a name in PRESETS.

    Returns:
        `score` in [0, 1], 0 if every dimension collapsed; `train_accuracy`; `per_factor`, the accuracy for each factor;
        `active_dimensions` and `pruned_dimensions`, which add up to d; `chance`, 1/K.
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
