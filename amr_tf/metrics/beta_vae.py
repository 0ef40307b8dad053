"""The beta-VAE metric: accuracy of a linear classifier that predicts which factor two images have in common."""

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
    """Computes the metric of beta-VAE (Higgins et al., 2017, https://openreview.net/forum?id=Sy2fzU9gl), section 3.

    Each data point of the classifier belongs to one random factor. The point is the mean absolute difference between
    the codes of two images, over pairs of images with the same value of the factor. A logistic regression predicts the
    factor from the point. The default numbers of points equal the defaults of disentanglement_lib. Codes are not
    rescaled, so the scale of the codes affects the score.

    Returns:
        `score`: accuracy on new points, in [0, 1]. `train_accuracy`: accuracy on the training points. `per_factor`:
        accuracy on the new points of each factor. `chance`: 1/K for K factors.
    """
    factors = len(ground_truth.factor_sizes)

    def points(number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean absolute differences float64 [number, d] and the shared factors int64 [number]."""
        shared = rng.integers(factors, size=number)
        groups = votes.groups(ground_truth, encode, shared, 2 * pairs, rng, values=pairs)
        differences = [np.abs(codes[:, :pairs] - codes[:, pairs:]).mean(axis=1) for codes in groups]
        return np.concatenate(differences), shared

    train_x, train_y = points(train_points)
    x, y = points(evaluation_points)
    # The default solver is a hundred times slower if the scales of the dimensions differ.
    classifier = LogisticRegression(solver="newton-cholesky", max_iter=1_000).fit(train_x, train_y)
    right = classifier.predict(x) == y
    return {
        "score": float(right.mean()),
        "train_accuracy": float(classifier.score(train_x, train_y)),
        "per_factor": [float(right[y == k].mean()) for k in range(factors)],
        "chance": 1 / factors,
    }
