"""Exact distances of decoded images to the nearest possible image of a drawn data set, and evenness of paths."""

import numpy as np


def score(distances: dict[str, np.ndarray], rounding: float, factors: np.ndarray) -> dict:
    """Summarises distances to the nearest possible images, and the course of paths among these.

    Args:
        distances: root mean square differences of pixels in [-1, 1] by name, float [N] each, such as mixes,
            reconstructions and pixel blends.
        rounding: the largest distance that rounding to 8 bits explains.
        factors: of the nearest images along P paths of T images, float [P, T, F]; a step of 1 is the whole range of a
            factor. Circular factors are unwrapped.

    Returns:
        For each name distance_<name>: mean; within_<name>: share of distances up to `rounding`. evenness: mean over the
        paths of the longest step's share of the whole length, minus 1 / (T - 1): 0 for equal steps, about 1 for a
        single jump; still: share of the paths without any step, which are left out of the mean.

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
