"""Whether mixes show the attributes that were asked for, judged by a classifier that no model has seen."""

import itertools
import warnings

import numpy as np
from scipy.stats import binomtest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

HIDDEN = 128
# Of an Adam step for each 200 images; it ends earlier where the images held out of them are judged no better for 10.
MAX_PASSES = 60
LEAST_EXAMPLES = 11  # a tenth is held out, which scikit-learn wants two of

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
    """Share of mixes in which a classifier finds ALL the attributes that were asked for, no more and no less.

    The classifier, a perceptron with a hidden layer of HIDDEN units on standardised pixels, learns from real images and
    their attributes alone. `classifier` says how far it can be trusted: the same share on real images that it has not
    seen, a ceiling for the score but for mixes that are plainer than real images.

    Args:
        train: images float [N, ...] and their attributes [N, A], 0 or 1.
        test: as train, of other images.
        requested: attributes [M, A] that the mixes were asked for, 0 or 1.
        parents: attributes [M, 2, A] of the images that were mixed.
        mixes: float [M, ...].
        random_mixes: of the same parents with masks that know nothing of what is asked for, float [M, ...].
        parameters: Bernoulli parameters [K, C] of the masks of K combinations of attributes.
        rng: draws the classifier's first weights, order of the images and what it holds out to end in time.

    Returns:
        score; interval: its 95 % Wilson interval, [low, high]; random_mask: the same share of `random_mixes`; chance:
        what an image that is no mix gets, the share of requests that a parent meets as it is, mean of the two;
        classifier; per_attribute: share of mixes that show each attribute as asked for, [A]; mask_difference: mean
        absolute difference of the parameters of two combinations, mean over the pairs, in [0, 1];
        least_mask_difference: that of the two that are most alike; mixes: M.

    Raises:
        ValueError: arrays of other lengths than these.
    """
    _refuse_unlike(train, test, (mixes, requested), (random_mixes, requested), (parents, requested))
    mean, scale = train[0].mean(axis=0), train[0].std(axis=0) + 1e-3
    classifier = MLPClassifier(
        (HIDDEN,), early_stopping=True, max_iter=MAX_PASSES, random_state=int(rng.integers(2**31))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `classifier` says how good it is
        classifier.fit(_flat((train[0] - mean) / scale), train[1])

    def right(images: np.ndarray, attributes: np.ndarray) -> np.ndarray:
        """bool [n, A]: attributes that are found as they should be."""
        return classifier.predict(_flat((images - mean) / scale)).reshape(attributes.shape) == attributes

    found = right(mixes, requested)
    whole = int(found.all(axis=1).sum())
    interval = binomtest(whole, len(found)).proportion_ci(0.95, method="wilson")
    differences = [np.abs(p - q).mean() for p, q in itertools.combinations(parameters, 2)]
    return {
        "score": whole / len(found),
        "interval": [float(interval.low), float(interval.high)],
        "random_mask": _share(right(random_mixes, requested)),
        "chance": _share(parents == requested[:, None]),
        "classifier": _share(right(*test)),
        "per_attribute": found.mean(axis=0).tolist(),
        "mask_difference": float(np.mean(differences)),
        "least_mask_difference": float(np.min(differences)),
        "mixes": len(found),
    }


def _share(right: np.ndarray) -> float:
    """Share of rows that are right in all attributes."""
    return float(right.all(axis=-1).mean())


def _flat(images: np.ndarray) -> np.ndarray:
    return np.reshape(images, (len(images), -1))


def _refuse_unlike(*pairs: Split) -> None:
    for images, attributes in pairs:
        if len(images) != len(attributes):
            raise ValueError(
                f"Attributes for each image are needed. Received: {len(images)} images, {len(attributes)} rows"
            )
