"""ACAI's measures of decoded paths between lines: distance to real lines, and evenness of turning."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.utils import check_consistent_length

# Paths that turn less, in radians from end to end, have no smoothness.
_STANDS_STILL = 1e-4


def score(paths: np.ndarray, dictionary_images: np.ndarray, dictionary_angles: np.ndarray) -> dict:
    """Mean distance and smoothness of paths (Berthelot et al., 2019, https://arxiv.org/abs/1807.07543, section 3.1).

    The distance of an image is its smallest cosine distance to a line of the dictionary, which also gives its angle.
    The smoothness of a path is `max |step in angle| / |last angle - first angle| - 1 / steps`, after unwrapping: 0 for
    equal steps. Paths that end at their first angle have no smoothness.

    Args:
        paths: images [P, T, H, W, 1] of P paths, ends included, T >= 2; float in [-1, 1], or uint8.
        dictionary_images, dictionary_angles: images of real lines [L, H, W, 1], in the type and range of `paths`, and
            the angles of these lines in radians, float [L]; ACAI uses 10,000, evenly spaced.

    Returns:
        distance: mean over all images, in [0, 2]; smoothness: mean over the paths that have one, or None; undefined:
        share of the paths without one; paths: P. Lower is better.

    Raises:
        ValueError: a path has fewer than 2 images, lines and angles differ in number, widths differ, or an image is not
            finite.

    Example:
        >>> lines = np.eye(4).reshape(4, 2, 2, 1) * 2 - 1  # four images, one bright pixel each
        >>> found = score(lines[None, :3], lines, np.arange(4) * 0.1)
        >>> round(found["distance"], 6), round(found["smoothness"], 6)
        (0.0, 0.0)
    """
    if paths.shape[1] < 2:
        raise ValueError(f"A path needs at least 2 images. Received: paths of shape {paths.shape}")
    check_consistent_length(dictionary_images, dictionary_angles)
    images = _rows(paths.reshape(-1, *paths.shape[2:]))
    nearest, distances = pairwise_distances_argmin_min(images, _rows(dictionary_images), metric="cosine")
    found = smoothness(np.asarray(dictionary_angles)[nearest].reshape(paths.shape[:2]))
    defined = found[~np.isnan(found)]
    return {
        "distance": float(distances.mean()),
        "smoothness": float(defined.mean()) if len(defined) else None,
        "undefined": 1 - len(defined) / len(found),
        "paths": len(paths),
    }


def smoothness(angles: np.ndarray) -> np.ndarray:
    """Returns the smoothness of each path as in `score`: angles float [P, T] in radians -> float [P].

    Each step is the shorter of the two rotations. NaN for a path that turns by less than 1e-4 from end to end.
    """
    steps = np.diff(np.unwrap(angles, axis=1), axis=1)
    total = np.abs(steps.sum(axis=1))
    total[total < _STANDS_STILL] = np.nan
    return np.abs(steps).max(axis=1) / total - 1 / steps.shape[1]


def _rows(images: np.ndarray) -> np.ndarray:
    """float64 [N, D] in [-1, 1]; float32 would round a distance of 1e-7 to 0."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    return rows / 127.5 - 1 if images.dtype == np.uint8 else rows
