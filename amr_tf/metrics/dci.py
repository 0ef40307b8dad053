"""DCI metric, computed from the importance of each code dimension for predicting each factor."""

from typing import Any

import numpy as np
from scipy import stats
from sklearn.ensemble import GradientBoostingClassifier

from amr_tf.metrics.ground_truth import Encode, GroundTruth, Rng, sample

# Number of training examples, number of test examples, and trees per value of a factor. `dlib` has the settings of
# disentanglement_lib.
PRESETS = {"dlib": (10_000, 5_000, 100), "quick": (2_000, 1_000, 10)}


def score(ground_truth: GroundTruth, encode: Encode, rng: Rng, preset: str = "dlib") -> dict[str, Any]:
    """Disentanglement, completeness and informativeness (Eastwood and Williams, 2018,
    https://openreview.net/forum?id=By-7dz-AZ), section 2, as in disentanglement_lib.

    One gradient-boosted classifier predicts each factor (trees of depth 3, learning rate 0.1). The importance of a
    dimension is the fraction of the impurity reduction that comes from splits on this dimension. `preset` is a name in
    PRESETS.

    Returns:
        `score` and `disentanglement`: the same value, in [0, 1]. `completeness`: in [0, 1]. `informativeness_train` and
        `informativeness_test`: mean accuracy over the factors. `per_factor`: test accuracy for each factor. `chance`:
        0, although noise scores slightly more. `informativeness_chance`: mean over the factors of 1 / number of values.
    """
    train_size, test_size, trees = PRESETS[preset]
    factors, codes = sample(ground_truth, encode, train_size, rng)
    test_factors, test_codes = sample(ground_truth, encode, test_size, rng)
    of_factors, train, test = [], [], []
    for y, test_y in zip(factors.T, test_factors.T, strict=True):
        classifier = GradientBoostingClassifier(
            n_estimators=trees,
            max_depth=3,
            learning_rate=0.1,
            random_state=int(rng.integers(2**31)),  # breaks ties between dimensions
        ).fit(codes, y)
        of_factors.append(classifier.feature_importances_)
        train.append(float(classifier.score(codes, y)))
        test.append(float(classifier.score(test_codes, test_y)))
    importances = np.stack(of_factors, axis=1)
    disentanglement = concentration(importances)
    return {
        "score": disentanglement,
        "disentanglement": disentanglement,
        "completeness": concentration(importances.T),
        "informativeness_train": float(np.mean(train)),
        "informativeness_test": float(np.mean(test)),
        "per_factor": test,
        "chance": 0.0,
        "informativeness_chance": float(np.mean(1 / np.array(ground_truth.factor_sizes))),
    }


def concentration(importances: np.ndarray) -> float:
    """Returns how strongly each row is concentrated on one column, in [0, 1].

    For importances [d, K] the result is the disentanglement. For the transpose [K, d] the result is the completeness.
    The value of a row is 1 minus the normalised entropy of the row. The result is the mean over rows, weighted by the
    sums of the rows. If all importances are 0, the result is 0.
    """
    # As in disentanglement_lib, the small constant makes a row of zeros a uniform distribution.
    rows = (1 - stats.entropy(importances + 1e-11, base=importances.shape[1], axis=1)).clip(0, 1)
    if importances.sum() == 0:
        return 0.0
    return float(rows @ importances.sum(axis=1) / importances.sum())
