"""Quality and diversity of decoded mixes, measured in the features of a classifier trained on real images."""

import hashlib
import math
import warnings
from typing import NamedTuple

import numpy as np
from scipy import special
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_consistent_length

HIDDEN = 128  # number of features
MAX_PASSES = 60
BLOCKS = 10  # number of disjoint parts of each set for the interval of KID
NEIGHBOURS = 5  # k for density and coverage
LEAST = 2 * BLOCKS  # smallest number of images in a set

Split = tuple[np.ndarray, np.ndarray]


class Judge(NamedTuple):
    """A perceptron with one hidden layer, trained on standardised pixels of real images.

    `mean` and `scale` standardise the pixels. `accuracy` is the accuracy on the test images. `seed` is the seed of
    training. The activations of the hidden layer are the features.
    """

    classifier: MLPClassifier
    mean: np.ndarray
    scale: np.ndarray
    accuracy: float
    seed: int

    def features(self, images: np.ndarray) -> np.ndarray:
        """Computes the features of images: float [N, H, W, C] -> float64 [N, HIDDEN]."""
        return np.maximum(self._rows(images) @ self.classifier.coefs_[0] + self.classifier.intercepts_[0], 0)

    def _rows(self, images: np.ndarray) -> np.ndarray:
        return ((images - self.mean) / self.scale).reshape(len(images), -1).astype(np.float64)


_judges: dict[str, Judge] = {}  # keys: hash of training images, labels and seed


def judge_of(train: Split, test: Split, seed: int = 0) -> Judge:
    """Trains a judge on real images. Repeated calls with equal training data and seed return a cached judge.

    Raises:
        ValueError: the numbers of images and labels differ, there is only one class, or an image is not finite.
    """
    check_consistent_length(*train)
    key = hashlib.sha256(
        np.ascontiguousarray(train[0]).tobytes() + train[1].tobytes() + bytes([seed])
    ).hexdigest()
    if key not in _judges:
        if len(np.unique(train[1])) < 2:
            raise ValueError("The judge learns to tell classes apart. Received: images of one class")
        mean, scale = train[0].mean(axis=0), train[0].std(axis=0) + 1e-2
        classifier = MLPClassifier((HIDDEN,), early_stopping=True, max_iter=MAX_PASSES, random_state=seed)
        judge = Judge(classifier, mean, scale, math.nan, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the result reports the judge's accuracy
            classifier.fit(judge._rows(train[0]), train[1])
        _judges[key] = judge._replace(accuracy=float(classifier.score(judge._rows(test[0]), test[1])))
    return _judges[key]


def score(judge: Judge, real: np.ndarray, sets: dict[str, np.ndarray], paths: dict[str, np.ndarray]) -> dict:
    """Compares sets of images with real images.

    Every data set has a different judge, so results can be compared only within a data set.

    Args:
        judge: classifier that was trained on the data set of the images.
        real: real images [N, H, W, C]. No image of `sets` may be in `real`.
        sets: images [M, H, W, C] by name, such as mixes, reconstructions, pixel blends and other real images.
        paths: interpolation paths by name, each P sequences of T images [P, T, H, W, C].

    Returns:
        For each set: kid_<name>: kernel inception distance with the judge's features (Binkowski et al., 2018,
        https://arxiv.org/abs/1801.01401), with expected value 0 for equal distributions. kid_interval_<name>: 95 % t
        interval of KID over disjoint parts. density_<name>, coverage_<name>: metrics of Naeem et al. (2020,
        https://arxiv.org/abs/2002.09797), about 1 for equal distributions. For each name in `paths`: path_<name>: mean
        squared step in features, times (T - 1)^2, divided by the mean squared distance between real images. judge:
        accuracy of the judge on the test images. judge_seed: seed of the judge.

    Raises:
        ValueError: a set has fewer than LEAST images, or an image is not finite.
    """
    reference = judge.features(real)
    scale = reference.std() + 1e-12
    reference = reference / scale
    found: dict = {}
    for name, images in sets.items():
        features = judge.features(images) / scale
        distance, interval = kid(features, reference)
        found |= {f"kid_{name}": distance, f"kid_interval_{name}": interval}
        found[f"density_{name}"], found[f"coverage_{name}"] = density_and_coverage(features, reference)
    spread = float(np.mean(pairwise_distances(reference[:1000], metric="sqeuclidean")))
    for name, images in paths.items():
        count, steps = images.shape[:2]
        features = judge.features(images.reshape(-1, *images.shape[2:])).reshape(count, steps, -1) / scale
        length = np.mean(np.sum(np.diff(features, axis=1) ** 2, axis=-1)) * (steps - 1) ** 2
        found[f"path_{name}"] = float(length) / spread
    return found | {"judge": judge.accuracy, "judge_seed": judge.seed}


def kid(features: np.ndarray, reference: np.ndarray) -> tuple[float, list[float]]:
    """Returns the kernel inception distance (KID), averaged over BLOCKS disjoint parts, and the 95 % t interval.

    The kernel is (x y / d + 1)^3. The parts are disjoint, so the values that the interval is computed from are
    independent. Smaller parts make the interval wider but do not bias KID.

    Args:
        features, reference: float [N, d] and [M, d], with N and M at least LEAST.

    Raises:
        ValueError: N or M is below LEAST, or a feature is not finite.
    """
    for rows in (features, reference):
        if len(rows) < LEAST:
            raise ValueError(f"KID compares sets of {LEAST} images or more. Received: {len(rows)}")
        if not np.all(np.isfinite(rows)):
            raise ValueError("The features of an image are not finite")
    parts = zip(np.array_split(features, BLOCKS), np.array_split(reference, BLOCKS), strict=True)
    values = [mmd(x, y) for x, y in parts]
    mean = float(np.mean(values))
    half = float(special.stdtrit(BLOCKS - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(BLOCKS)
    return mean, [mean - half, mean + half]


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the unbiased squared maximum mean discrepancy of [N, d] and [M, d] with the kernel (x y / d + 1)^3."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: np.ndarray) -> float:
        k = kernel(a, a)
        return float((k.sum() - np.trace(k)) / (len(a) * (len(a) - 1)))

    return within(x) + within(y) - 2 * float(kernel(x, y).mean())


def density_and_coverage(features: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Returns density and coverage of `features` [N, d] with respect to `reference` [M, d] (Naeem et al., 2020).

    Each reference point is the centre of a ball. The radius is the distance to the fifth-nearest other reference point.
    Density is the number of balls that contain a point of `features`, divided by 5 and averaged over the points.
    Coverage is the fraction of balls that contain at least one point of `features`. A ball includes the surface.
    """
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(reference)
    radii = search.kneighbors()[0][:, -1]
    inside = sum(
        int((pairwise_distances(part, reference) <= radii).sum())
        for part in np.array_split(features, max(1, len(features) // 1000))
    )
    nearest = pairwise_distances_argmin_min(reference, features)[1]
    return inside / (NEIGHBOURS * len(features)), float(np.mean(nearest <= radii))
