"""Whether paths between codes of lines are lines that turn evenly (ACAI, Berthelot et al. 2019, section 3.1)."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min

# A path that turns less, in radians from end to end, has no smoothness.
_STANDS_STILL = 1e-4


def score(paths: np.ndarray, dictionary_images: np.ndarray, dictionary_angles: np.ndarray) -> dict:
    """Mean distance of a path's images to real lines, and how far the paths are from turning evenly.

    The distance of an image is the smallest cosine distance, between images in [-1, 1], to a line of the
    dictionary, whose angle is then taken for the image's. The smoothness of a path is
    max |step in angle| / |angle of the last - angle of the first| - 1 / steps, after unwrapping: 0 for equal steps. A
    path that ends where it began has none and is left out of the mean (ACAI's code leaves it out of the sum, but
    divides by the number of all paths). Both figures are better the lower they are.

    What to compare with, measured for 16 images and 10,000 lines: perfect paths between random angles 3e-7 and 5e-4 (an
    angle is known to half the dictionary's spacing), straight blends of the end images 0.006 and about 0.9, an abrupt
    switch from one end to the other 3e-7 and 14 / 15. A smaller dictionary raises the distances.

    Args:
        paths: images [P, T, H, W, 1] of P paths, ends included, T >= 2; float in [-1, 1], or uint8.
        dictionary_images: real lines [L, H, W, 1], float in [-1, 1] or uint8; ACAI has 10,000, evenly spaced over
            the circle.
        dictionary_angles: float [L], their angles in radians.

    Returns:
        distance: mean over all images, in [0, 2]; smoothness: mean over the paths that have one, None where no path
        has; undefined: share of the paths without, in [0, 1]; paths: P.

    Raises:
        ValueError: a path has fewer than 2 images, there is not one angle for each line, widths differ, or an image
            is not finite.
    """
    if paths.shape[1] < 2:
        raise ValueError(f"A path has at least 2 images. Received: paths of shape {paths.shape}")
    if len(dictionary_images) != len(dictionary_angles):
        raise ValueError(
            "One angle for each line of the dictionary is needed. Received: "
            f"{len(dictionary_images)} lines, {len(dictionary_angles)} angles"
        )
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
    """How unevenly each path turns, as in `score`.

    Args:
        angles: float [P, T] in radians; steps are taken the short way round.

    Returns:
        float [P], at least 0 but for rounding, NaN for a path that turns by less than 1e-4 from end to end.
    """
    steps = np.diff(np.unwrap(angles, axis=1), axis=1)
    total = np.abs(steps.sum(axis=1))
    total[total < _STANDS_STILL] = np.nan
    return np.abs(steps).max(axis=1) / total - 1 / steps.shape[1]


def _rows(images: np.ndarray) -> np.ndarray:
    """float64 [N, D] in [-1, 1]; in float32 a distance of 1e-7 would be lost in the rounding of 1."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    return rows / 127.5 - 1 if images.dtype == np.uint8 else rows
