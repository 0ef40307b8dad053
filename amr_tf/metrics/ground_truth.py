"""Inputs of a disentanglement metric: images with known factors, and a function from images to codes."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

# Images held at a time: 40 MB of dSprites.
CHUNK = 10_000

# uint8 images [n, H, W, C], n up to CHUNK -> float codes [n, d].
Encode = Callable[[np.ndarray], np.ndarray]
Rng = np.random.Generator


class GroundTruth(Protocol):
    """Images generated from at least two independent factors, each uniform over at least two values."""

    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]

    def sample_factors(self, n: int, rng: Rng) -> np.ndarray:
        """int64 [n, K], column k uniform over 0 .. factor_sizes[k] - 1."""

    def sample_images(self, factors: np.ndarray, rng: Rng) -> np.ndarray:
        """Factors [n, K] -> uint8 [n, H, W, C]; `rng` draws noise, if any."""


def sample(ground_truth: GroundTruth, encode: Encode, n: int, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Draws n examples: (factors int64 [n, K], codes float64 [n, d]).

    Raises:
        ValueError: see `encoded`.
    """
    factors = ground_truth.sample_factors(n, rng)
    return factors, encoded(ground_truth, encode, factors, rng)


def encoded(ground_truth: GroundTruth, encode: Encode, factors: np.ndarray, rng: Rng) -> np.ndarray:
    """Draws images with the factors int64 [n, K] and encodes them: float64 [n, d], d >= 2.

    Raises:
        ValueError: the codes are not finite numbers [n, d] with d >= 2.
    """
    chunks = []
    for start in range(0, len(factors), CHUNK):
        images = ground_truth.sample_images(factors[start : start + CHUNK], rng)
        codes = np.asarray(encode(images), np.float64)
        if codes.ndim != 2 or len(codes) != len(images) or codes.shape[1] < 2:
            raise ValueError(
                f"encode must give codes [n, d], d >= 2, for n images: flatten them. "
                f"Received: shape {codes.shape} for {len(images)} images"
            )
        if not np.isfinite(codes).all():
            raise ValueError(
                f"encode must give finite codes. Received: {np.sum(~np.isfinite(codes))} values that are not"
            )
        chunks.append(codes)
    return np.concatenate(chunks)
