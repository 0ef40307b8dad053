"""Accuracy of the requested attributes of mixes, according to a classifier trained on real images."""

import itertools
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_consistent_length

from amr_tf.metrics import accuracy

HIDDEN = 128
# Training stops earlier if the validation accuracy does not improve for 10 epochs.
MAX_PASSES = 60
LEAST_EXAMPLES = 11  # scikit-learn uses a tenth of the examples, at least two, for validation

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
    """Computes the fraction of mixes in which a classifier finds exactly the requested attributes.

    The classifier is a perceptron with one hidden layer, trained on standardised pixels of real images.

    Args:
        train, test: real images float [N, ...] and their attributes [N, A], each 0 or 1.
        requested: attributes that each mix should have, [M, A].
        parents: attributes of the two images that were mixed, [M, 2, A].
        mixes: decoded mixes, float [M, ...].
        random_mixes: decoded mixes of the same images with random masks, float [M, ...].
        parameters: Bernoulli parameters [K, C] of the masks of K combinations of attributes.
        rng: generator of the classifier's seed.

    Returns:
        score: in [0, 1]. interval: 95 % Wilson interval of the score, [low, high]. random_mask: score of
        `random_mixes`. chance: fraction of parents that already have all requested attributes. classifier: fraction of
        test images for which the classifier finds all attributes. per_attribute: fraction of mixes in which each
        attribute is as requested, [A]. mask_difference: mean absolute difference between the parameters of two
        combinations, averaged over all pairs of combinations, in [0, 1]. least_mask_difference: the smallest of the
        pairs' differences. mixes: M.

    Raises:
        ValueError: the numbers of images and attribute rows differ.
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
        """Returns bool [n, A]: True if the predicted attribute equals the given one."""
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
    """Returns the fraction of rows in which every entry is True."""
    return float(right.all(axis=-1).mean())
