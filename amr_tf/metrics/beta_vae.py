"""The beta-VAE metric: a linear classifier of the factor that two images share."""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from amr_tf.metrics import votes
from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng


def score(
    ground_truth: GroundTruth,
    encode: Encode,
    rng: Rng,
    pairs: int = 64,
    train_points: int = 10_000,
    evaluation_points: int = 5_000,
) -> dict[str, Any]:
    """The metric of beta-VAE (Higgins et al., 2017, https://openreview.net/forum?id=Sy2fzU9gl), section 3.

    A point is the mean of `|z1 - z2|` over pairs of images that share a random factor. A logistic regression predicts
    that factor. The numbers of points are those of disentanglement_lib. Codes are not rescaled, so their scale matters.

    Returns:
        `score`, the accuracy on new points, in [0, 1]; `train_accuracy`; `per_factor`, the accuracy for each shared
        factor; `chance`, 1/K.
    """
    factors = len(ground_truth.factor_sizes)

    def points(number: int) -> tuple[np.ndarray, np.ndarray]:
        """(mean differences float64 [number, d], shared factors int64 [number])."""
        shared = rng.integers(factors, size=number)
        groups = votes.groups(ground_truth, encode, shared, 2 * pairs, rng, values=pairs)
        differences = [np.abs(codes[:, :pairs] - codes[:, pairs:]).mean(axis=1) for codes in groups]
        return np.concatenate(differences), shared

    train_x, train_y = points(train_points)
    x, y = points(evaluation_points)
    # The default solver is a hundred times slower where dimensions differ in scale.
    classifier = LogisticRegression(solver="newton-cholesky", max_iter=1_000).fit(train_x, train_y)
    right = classifier.predict(x) == y
    return {
        "score": float(right.mean()),
        "train_accuracy": float(classifier.score(train_x, train_y)),
        "per_factor": [float(right[y == k].mean()) for k in range(factors)],
        "chance": 1 / factors,
    }
