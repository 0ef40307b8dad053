"""Agreement between k-means clusters of codes and classes."""

import warnings

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, confusion_matrix, normalized_mutual_info_score

_SMALL = 1e-5  # added to the singular values of the centred codes
_MAX_ITERATIONS = 1_000


def score(
    train_codes: np.ndarray,
    train_labels: np.ndarray,
    test_codes: np.ndarray,
    test_labels: np.ndarray,
    rng: np.random.Generator,
    n_init: int = 20,
) -> dict:
    """Computes the accuracy of k-means (Berthelot et al., 2019, https://arxiv.org/abs/1807.07543, section 4).

    Codes are centred and whitened with statistics of the training codes. K-means with one cluster per class is fitted
    to the training codes. The Hungarian algorithm assigns clusters to classes. As in ACAI's code, the assignment for
    `score` uses the TEST labels. The assignment for `matched_on_train` uses the training labels, so
    `matched_on_train` does not see the test labels.

    Args:
        train_codes, train_labels: float [N, ...], flattened here, and int [N].
        test_codes, test_labels: same types. Every test label must occur in `train_labels`.
        rng: generator of the seed of k-means.
        n_init: number of k-means++ starts; the best result is used. (ACAI uses 1,000 random starts.)

    Returns:
        score: test accuracy in [0, 1], clusters assigned by the test labels. matched_on_train: test accuracy, clusters
        assigned by the training labels. nmi, ari: normalised mutual information and adjusted Rand index of clusters
        and classes on the test split. classes: number of classes, which is the requested number of clusters. clusters:
        number of clusters that contain training examples. n_init: as given. chance: fraction of test examples in the
        most frequent class; this is the score of constant codes.

    Raises:
        ValueError: a test label is missing from the train split, codes are not finite, there are too few codes, or the
            numbers of codes and labels differ.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat([0, 1], 20)
        >>> codes = rng.normal(size=(40, 2)) + 10 * labels[:, None]
        >>> score(codes, labels, codes, labels, rng)["score"]
        1.0
    """
    classes, train_classes = np.unique(train_labels, return_inverse=True)
    if unknown := np.setdiff1d(test_labels, classes).tolist():
        raise ValueError(f"Every test label must occur in the train split. Received: {unknown}")
    test_classes = np.searchsorted(classes, test_labels)
    train_codes, test_codes = _whitened(train_codes, test_codes)
    means = KMeans(
        len(classes), n_init=n_init, max_iter=_MAX_ITERATIONS, random_state=int(rng.integers(2**31))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the result reports `clusters`
        means.fit(train_codes)
    every = np.arange(len(classes))
    assigned = means.predict(test_codes)
    # Rows are clusters and columns are classes.
    on_train = confusion_matrix(means.labels_, train_classes, labels=every)
    on_test = confusion_matrix(assigned, test_classes, labels=every)
    return {
        "score": float(on_test[linear_sum_assignment(on_test, maximize=True)].sum() / on_test.sum()),
        "matched_on_train": float(
            on_test[linear_sum_assignment(on_train, maximize=True)].sum() / on_test.sum()
        ),
        "nmi": float(normalized_mutual_info_score(test_classes, assigned)),
        "ari": float(adjusted_rand_score(test_classes, assigned)),
        "classes": len(classes),
        "clusters": int((on_train.sum(axis=1) > 0).sum()),
        "n_init": n_init,
        "chance": float(on_test.sum(axis=0).max() / on_test.sum()),
    }


def _whitened(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns both as float [N, d], centred with the mean of `train` and whitened with the SVD of `train`."""
    train, test = train.reshape(len(train), -1), test.reshape(len(test), -1)
    mean = train.mean(axis=0)
    train, test = train - mean, test - mean
    # The factor R of the QR decomposition has the same singular values and right singular vectors as the codes, but R
    # is smaller.
    _, values, vectors = np.linalg.svd(np.linalg.qr(train, mode="r"), full_matrices=False)
    whiten = vectors.T / (values + _SMALL)
    return train @ whiten, test @ whiten
