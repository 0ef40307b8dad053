"""Distances from decoded mixes to real images, and consistency of re-encoded mixes."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors


def score(
    mixes: np.ndarray,
    mix_codes: np.ndarray,
    recoded: np.ndarray,
    real_images: np.ndarray,
    real_codes: np.ndarray,
    blends: np.ndarray | None = None,
) -> dict:
    """Computes distances from decoded mixes to real images and codes, and the consistency of re-encoded mixes.

    f is the encoder and g is the decoder. Each relative distance is a ratio. The numerator is the mean distance from a
    mix to the nearest real image. The denominator is the mean distance from a real image to the nearest other real
    image. A ratio of about 1 says that mixes are as close to real images as real images are to each other.
    docs/metrics.md says which values can be compared.

    Args:
        mixes: decoded mixes x_m = g(h_m), float [M, H, W, C] in [-1, 1].
        mix_codes: mixed codes h_m, float [M, ...].
        recoded: codes f(g(h_m)) of the decoded mixes, float [M, ...].
        real_images, real_codes: images of the test split, float [N, H, W, C] in [-1, 1], N >= 2, and their codes.
        blends: baseline of images that are mixed in pixels instead of codes, float [B, H, W, C] in [-1, 1].

    Returns:
        pixel_distance: mean over mixes of the root mean square difference to the nearest real image. code_distance:
        mean over mixes of the Euclidean distance from f(g(h_m)) to the nearest real code. real_pixel_distance,
        real_code_distance: the same means for real images, each compared with the other real images.
        relative_pixel_distance, relative_code_distance: the ratios, or None if the denominator is 0. cycle: mean
        absolute difference between f(g(h_m)) and h_m. With `blends`, the result also contains blend_pixel_distance and
        relative_blend_pixel_distance. Lower is better.

    Raises:
        ValueError: shapes do not match, there are fewer than 2 real images, or a value is not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> images, codes = rng.normal(size=(9, 4, 4, 1)), rng.normal(size=(9, 2))
        >>> found = score(images, codes, codes, images, codes)  # the real images as mixes
        >>> f"{found['pixel_distance']:.6f} {found['cycle']:.6f}"
        '0.000000 0.000000'
    """
    if recoded.shape != mix_codes.shape or len(mixes) != len(recoded):
        raise ValueError(
            "Shapes of mixes, mix_codes and recoded must match. Received: "
            f"{mixes.shape}, {mix_codes.shape}, {recoded.shape}"
        )
    pixels = np.sqrt(real_images[0].size)
    result = {
        "pixel_distance": _to_nearest(mixes, real_images) / pixels,
        "real_pixel_distance": _to_nearest_other(real_images) / pixels,
        "code_distance": _to_nearest(recoded, real_codes),
        "real_code_distance": _to_nearest_other(real_codes),
        "cycle": float(np.abs(recoded - mix_codes).mean(dtype=np.float64)),
    }
    result["relative_pixel_distance"] = _ratio(result["pixel_distance"], result["real_pixel_distance"])
    result["relative_code_distance"] = _ratio(result["code_distance"], result["real_code_distance"])
    if blends is not None:
        distance = result["blend_pixel_distance"] = _to_nearest(blends, real_images) / pixels
        result["relative_blend_pixel_distance"] = _ratio(distance, result["real_pixel_distance"])
    return result


def _to_nearest(points: np.ndarray, real: np.ndarray) -> float:
    """Returns the mean Euclidean distance from a point to the nearest real point."""
    _, distances = pairwise_distances_argmin_min(_rows(points), _rows(real))
    return float(distances.mean())


def _to_nearest_other(real: np.ndarray) -> float:
    """Returns the mean Euclidean distance from a real point to the nearest other real point."""
    distances, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(_rows(real)).kneighbors()
    return float(distances.mean())


def _ratio(distance: float, real_distance: float) -> float | None:
    return distance / real_distance if real_distance > 0 else None


def _rows(points: np.ndarray) -> np.ndarray:
    return points.reshape(len(points), -1)
