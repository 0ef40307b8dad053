"""Linear probe: a linear classifier of the labels, trained on frozen codes."""

import copy
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_consistent_length

from amr_tf.metrics import accuracy

# The order is from the strongest to the weakest penalty. Each fit starts from the solution of the previous fit.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
MAX_ITERATIONS = 500
# With 1e-3, some fits stop at their initial values. With a third of 1e-4, the fits take twice as long.
TOLERANCE = 1e-4

Split = tuple[np.ndarray, np.ndarray]


def score(train: Split, validation: Split, test: Split, rng: np.random.Generator) -> dict:
    """Computes the test accuracy of a multinomial logistic regression on frozen codes, or on pixels as a baseline.

    Codes are standardised with statistics of the train split. One classifier is fitted on the train split for each C of
    STRENGTHS, where C is the inverse strength of the L2 penalty. The C with the highest validation accuracy is
    selected. In case of a tie, the stronger penalty is selected. The classifier is not refitted with the validation
    split.

    Args:
        train, validation, test: codes float [N, ...], flattened here, and labels int [N].
        rng: not used, because the solver has no randomness.

    Returns:
        score: test accuracy in [0, 1]. interval: 95 % Wilson interval of the score, [low, high]. test_examples: number
        of test examples. C: the selected C. right: dict of `examples`, the number of test examples, and `bits`, one bit
        per test example in hexadecimal, 1 if the prediction is correct. validation_score: validation accuracy with the
        selected C. converged: False if the fit with the selected C reached MAX_ITERATIONS. chance: fraction of test
        examples in the most frequent class.

    Raises:
        ValueError: a split is empty, codes are not finite, the numbers of codes and labels differ, or the train split
            has a single class.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat([0, 1], 20)
        >>> codes = rng.normal(size=(40, 2)) + 10 * labels[:, None]
        >>> score((codes, labels), (codes, labels), (codes, labels), rng)["score"]
        1.0
    """
    parts = [(np.reshape(codes, (len(codes), -1)), labels) for codes, labels in (train, validation, test)]
    scaler = StandardScaler().fit(parts[0][0])
    train, validation, (codes, labels) = ((scaler.transform(codes), labels) for codes, labels in parts)
    fitted = LogisticRegression(tol=TOLERANCE, max_iter=MAX_ITERATIONS, warm_start=True)
    model: Any = None
    validation_score = -1.0
    for strength in STRENGTHS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the result reports `converged`
            fitted.set_params(C=strength).fit(*train)
        validated = float(fitted.score(*validation))
        if validated > validation_score:
            model, validation_score = copy.deepcopy(fitted), validated
    check_consistent_length(codes, labels)
    correct = model.predict(codes) == labels
    right, total = int(correct.sum()), len(labels)
    return {
        "score": right / total,
        "interval": accuracy.interval(right, total),
        "test_examples": total,
        "C": model.C,
        "validation_score": validation_score,
        "converged": bool(model.n_iter_.max() < MAX_ITERATIONS),
        "right": {"examples": total, "bits": np.packbits(correct).tobytes().hex()},
        "chance": float(np.unique(labels, return_counts=True)[1].max() / total),
    }
