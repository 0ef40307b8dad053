"""Linear classifier of the labels on frozen codes."""

import copy
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_consistent_length

from amr_tf.metrics import accuracy

# From strong to weak penalty: each fit starts from the solution of an easier one.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
MAX_ITERATIONS = 500
# A tenfold tolerance ends some fits at their start; a third of it doubles the time.
TOLERANCE = 1e-4

Split = tuple[np.ndarray, np.ndarray]


def score(train: Split, validation: Split, test: Split, rng: np.random.Generator) -> dict:
    """Test accuracy of a multinomial logistic regression on frozen codes, or on pixels as a baseline.

    Codes are standardised with the train split, on which the classifier is fitted for each C of STRENGTHS (the inverse
    of the L2 penalty). The highest validation accuracy selects C, and the stronger penalty in case of a tie. The
    classifier is not refitted with the validation split.

    Args:
        train, validation, test: codes float [N, ...], flattened here, and labels int [N].
        rng: not used; the solver draws nothing.

    Returns:
        score: test accuracy in [0, 1]; interval: its 95 % Wilson interval, [low, high]; test_examples; C: the selected
        one; right: the correctly classified test examples, as packed bits in hexadecimal; validation_score: its
        validation accuracy; converged: False if that fit reached MAX_ITERATIONS; chance:
        share of the most frequent test class.

    Raises:
        ValueError: a split is empty, codes are not finite, codes and labels differ in number, or the train split has a
            single class.

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
