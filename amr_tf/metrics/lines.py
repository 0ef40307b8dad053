"""ACAI's metrics of decoded interpolations between images of lines: distance to real lines, and smoothness."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.utils import check_consistent_length

# Smallest angle in radians between the two ends of a path for which smoothness is defined.
_STANDS_STILL = 1e-4


def score(paths: np.ndarray, dictionary_images: np.ndarray, dictionary_angles: np.ndarray) -> dict:
    """Computes distance and smoothness (Berthelot et al., 2019, https://arxiv.org/abs/1807.07543, section 3.1).

    A path is a sequence of decoded images between two lines. The distance of an image is the smallest cosine distance
    to an image of the dictionary. The angle of an image is the angle of that nearest line. The smoothness of a path is
    the largest absolute step in angle, divided by the absolute angle from first to last image, minus 1 / number of
    steps. Angles are unwrapped first. Equal steps give 0. Smoothness is undefined for a path that ends at the angle at
    which the path began.

    Args:
        paths: images [P, T, H, W, 1] of P paths with T >= 2 images, including both ends. Float in [-1, 1], or uint8.
        dictionary_images: images of real lines [L, H, W, 1], float in [-1, 1] or uint8.
        dictionary_angles: angles of the real lines in radians, float [L]. ACAI uses 10,000 evenly spaced angles.

    Returns:
        distance: mean over all images, in [0, 2]. smoothness: mean over the paths with a defined smoothness, or None if
        there is no such path. undefined: fraction of paths with undefined smoothness. paths: P. Lower distance and
        smoothness are better.

    Raises:
        ValueError: a path has fewer than 2 images, the numbers of lines and angles differ, the sizes of the images in
            `paths` and `dictionary_images` differ, or an image is not finite.

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
    """Returns the smoothness of each path, defined in `score`: angles float [P, T] in radians -> float [P].

    Each step is the shorter of the two rotations. The smoothness is NaN if the first and the last angle of a path
    differ by less than 1e-4.
    """
    steps = np.diff(np.unwrap(angles, axis=1), axis=1)
    total = np.abs(steps.sum(axis=1))
    total[total < _STANDS_STILL] = np.nan
    return np.abs(steps).max(axis=1) / total - 1 / steps.shape[1]


def _rows(images: np.ndarray) -> np.ndarray:
    """Returns flattened images, float64 [N, D] in [-1, 1]. In float32, a distance of 1e-7 would be rounded to 0."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    return rows / 127.5 - 1 if images.dtype == np.uint8 else rows
