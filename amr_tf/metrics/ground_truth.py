"""Inputs of the disentanglement metrics: a source of images with known factors, and an encoder function."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

# Images in memory at a time. For dSprites this is 40 MB.
CHUNK = 10_000

# Encodes uint8 images [n, H, W, C], with n up to CHUNK, to float codes [n, d].
Encode = Callable[[np.ndarray], np.ndarray]
Rng = np.random.Generator


class GroundTruth(Protocol):
    """Source of images generated from K >= 2 independent factors. Each factor is uniform over 2 or more values."""

    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]

    def sample_factors(self, n: int, rng: Rng) -> np.ndarray:
        """Samples int64 [n, K]. Column k is uniform over 0 .. factor_sizes[k] - 1."""

    def sample_images(self, factors: np.ndarray, rng: Rng) -> np.ndarray:
        """Renders factors [n, K] as images uint8 [n, H, W, C]. If the images contain noise, `rng` samples the noise."""


def sample(ground_truth: GroundTruth, encode: Encode, n: int, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Samples n examples and returns their factors int64 [n, K] and codes float64 [n, d].

    Raises:
        ValueError: the codes are invalid; see `encoded`.
    """
    factors = ground_truth.sample_factors(n, rng)
    return factors, encoded(ground_truth, encode, factors, rng)


def encoded(ground_truth: GroundTruth, encode: Encode, factors: np.ndarray, rng: Rng) -> np.ndarray:
    """Renders images with the factors int64 [n, K] and returns their codes, float64 [n, d] with d >= 2.

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
