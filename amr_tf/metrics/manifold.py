"""Distances from decoded images to the nearest possible image of a synthetic data set, and evenness of paths."""

import numpy as np


def score(distances: dict[str, np.ndarray], rounding: float, factors: np.ndarray) -> dict:
    """Summarises distances to the nearest possible images, and the evenness of interpolation paths.

    Args:
        distances: root mean square pixel differences, for pixels in [-1, 1], between images and the nearest possible
            images. Keys are names of sets of images, such as "mixes" or "reconstructions". Values are float [N].
        rounding: largest distance that can result from rounding to 8 bits.
        factors: factors of the nearest possible images along P paths of T images, float [P, T, F]. The range of each
            factor has length 1. Circular factors must be unwrapped.

    Returns:
        distance_<name>: mean distance of each set. within_<name>: fraction of distances in the set that are at most
        `rounding`. evenness: longest step of a path divided by the length of the path, minus 1 / (T - 1), averaged over
        the paths that move; 0 for equal steps, about 1 for a single jump, NaN if no path moves. still: fraction of
        paths in which the factors never change. paths: P.

    Raises:
        ValueError: a path has fewer than two images.

    Example:
        >>> found = score({"mixes": np.array([0.0, 0.2])}, 0.004, np.linspace(0, 1, 5).reshape(1, 5, 1))
        >>> found["distance_mixes"], found["within_mixes"], round(found["evenness"], 6)
        (0.1, 0.5, 0.0)
    """
    if factors.shape[1] < 2:
        raise ValueError(f"A path needs at least 2 images. Received: paths of shape {factors.shape}")
    found: dict = {}
    for name, values in distances.items():
        found |= {
            f"distance_{name}": float(values.mean()),
            f"within_{name}": float(np.mean(values <= rounding)),
        }
    steps = np.linalg.norm(np.diff(factors, axis=1), axis=-1)
    length = steps.sum(axis=1)
    moved = length > 0
    share = (
        steps[moved].max(axis=1) / length[moved] - 1 / steps.shape[1] if moved.any() else np.array([np.nan])
    )
    return found | {"evenness": float(share.mean()), "still": float(1 - moved.mean()), "paths": len(factors)}
