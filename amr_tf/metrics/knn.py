"""Nearest-neighbour classifier on frozen codes."""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from amr_tf.metrics import accuracy

NEIGHBOURS = (1, 5, 10, 20, 50, 200)
TEMPERATURE = 0.07

Split = tuple[np.ndarray, np.ndarray]


def score(train: Split, validation: Split, test: Split, rng: np.random.Generator) -> dict:
    """Computes the test accuracy of a k-nearest-neighbour classifier with cosine similarity.

    The vote of a neighbour has the weight exp(similarity / 0.07) (Wu et al., 2018, https://arxiv.org/abs/1805.01978).
    The metric selects the k with the highest validation accuracy. In case of a tie, the smaller k is selected. Codes
    are not centred.

    Args:
        train, validation, test: codes float [N, ...], flattened here, and labels int [N].
        rng: not used, because the classifier has no randomness.

    Returns:
        score: test accuracy in [0, 1]. interval: 95 % Wilson interval of the score, [low, high]. test_examples: number
        of test examples. k: the selected k. temperature: 0.07. validation_score: validation accuracy with the selected
        k. chance: fraction of test examples in the most frequent class.

    Raises:
        ValueError: a split is empty, codes are not finite, or the numbers of codes and labels differ.

    Example:
        >>> labels = np.repeat([0, 1], 20)
        >>> codes = np.eye(2)[labels]
        >>> score((codes, labels), (codes, labels), (codes, labels), np.random.default_rng(0))["score"]
        1.0
    """
    classes, known = np.unique(train[1], return_inverse=True)
    tried = [k for k in NEIGHBOURS if k <= len(known)]
    search = NearestNeighbors(n_neighbors=tried[-1], metric="cosine", algorithm="brute").fit(_rows(train[0]))

    def predicted(codes: np.ndarray) -> list[np.ndarray]:
        """Returns the predicted labels for each k in `tried`."""
        distances, neighbours = search.kneighbors(_rows(codes))
        weights = np.exp(-distances / TEMPERATURE)  # proportional to exp(similarity / 0.07)
        votes = np.zeros((len(codes), len(classes)))
        found, rows = [], np.arange(len(codes))
        for rank in range(tried[-1]):
            np.add.at(votes, (rows, known[neighbours[:, rank]]), weights[:, rank])
            if rank + 1 in tried:
                found.append(classes[votes.argmax(axis=1)])
        return found

    validated = [float(np.mean(labels == validation[1])) for labels in predicted(validation[0])]
    best = int(np.argmax(validated))
    right, total = int(np.sum(predicted(test[0])[best] == test[1])), len(test[1])
    return {
        "score": right / total,
        "interval": accuracy.interval(right, total),
        "test_examples": total,
        "k": tried[best],
        "temperature": TEMPERATURE,
        "validation_score": validated[best],
        "chance": float(np.unique(test[1], return_counts=True)[1].max() / total),
    }


def _rows(codes: np.ndarray) -> np.ndarray:
    return normalize(codes.reshape(len(codes), -1))
