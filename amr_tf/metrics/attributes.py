"""Requested attributes of mixes, judged by a classifier trained on real images."""

import itertools
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_consistent_length

from amr_tf.metrics import accuracy

HIDDEN = 128
# Training stops earlier if the accuracy on held-out images does not improve in 10 passes.
MAX_PASSES = 60
LEAST_EXAMPLES = 11  # scikit-learn holds out a tenth, at least two

Split = tuple[np.ndarray, np.ndarray]


def score(
    train: Split,
    test: Split,
    requested: np.ndarray,
    parents: np.ndarray,
    mixes: np.ndarray,
    random_mixes: np.ndarray,
    parameters: np.ndarray,
    rng: np.random.Generator,
) -> dict:
    """Share of mixes in which a classifier finds exactly the requested attributes.

    The classifier is a perceptron with one hidden layer on standardised pixels of real images.

    Args:
        train, test: real images float [N, ...] and their attributes [N, A], 0 or 1.
        requested, parents: attributes requested of the mixes [M, A], and those of the images that were mixed [M, 2, A].
        mixes, random_mixes: float [M, ...], the latter with random masks.
        parameters: Bernoulli parameters [K, C] of the masks of K combinations of attributes.
        rng: seeds the classifier.

    Returns:
        score in [0, 1]; interval: its 95 % Wilson interval, [low, high]; random_mask: the score of `random_mixes`;
        chance: share of requests that a parent fulfils, mean of both parents; classifier: share of test images judged
        correctly; per_attribute: share of mixes with each attribute as requested, [A]; mask_difference,
        least_mask_difference: mean and least absolute difference of the parameters of two combinations, in [0, 1];
        mixes: M.

    Raises:
        ValueError: images and attributes differ in number.
    """
    check_consistent_length(*train)
    check_consistent_length(*test)
    check_consistent_length(requested, parents, mixes, random_mixes)
    mean, scale = train[0].mean(axis=0), train[0].std(axis=0) + 1e-3

    def standardised(images: np.ndarray) -> np.ndarray:
        return ((images - mean) / scale).reshape(len(images), -1)

    classifier = MLPClassifier(
        (HIDDEN,), early_stopping=True, max_iter=MAX_PASSES, random_state=int(rng.integers(2**31))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the result reports `classifier`
        classifier.fit(standardised(train[0]), train[1])

    def right(images: np.ndarray, attributes: np.ndarray) -> np.ndarray:
        """bool [n, A]: attributes found as given."""
        return classifier.predict(standardised(images)).reshape(attributes.shape) == attributes

    found = right(mixes, requested)
    whole = int(found.all(axis=1).sum())
    differences = [np.abs(p - q).mean() for p, q in itertools.combinations(parameters, 2)]
    return {
        "score": whole / len(found),
        "interval": accuracy.interval(whole, len(found)),
        "random_mask": _share(right(random_mixes, requested)),
        "chance": _share(parents == requested[:, None]),
        "classifier": _share(right(*test)),
        "per_attribute": found.mean(axis=0).tolist(),
        "mask_difference": float(np.mean(differences)),
        "least_mask_difference": float(np.min(differences)),
        "mixes": len(found),
    }


def _share(right: np.ndarray) -> float:
    """Share of rows that are true throughout."""
    return float(right.all(axis=-1).mean())
