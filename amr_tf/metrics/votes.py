"""Votes: groups of images that share one factor, for FactorVAE's metric and AMR's."""

from collections.abc import Iterator

import numpy as np

from amr_tf.metrics.ground_truth import CHUNK, Encode, GroundTruth, encoded


def groups(
    ground_truth: GroundTruth, encode: Encode, fixed: np.ndarray, images: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Draws and encodes one group of images per vote; the fixed factor has one random value in the whole group.

    Args:
        fixed: int64 [votes], the factor that each vote fixes.
        images: L, images per group.

    Yields:
        float64 [some votes, L, d], in the order of `fixed`.
    """
    at_a_time = max(1, CHUNK // images)
    for start in range(0, len(fixed), at_a_time):
        held = fixed[start : start + at_a_time]
        votes = np.arange(len(held))
        factors = ground_truth.sample_factors(len(held) * images, rng).reshape(len(held), images, -1)
        factors[votes, :, held] = factors[votes, :1, held]
        codes = encoded(ground_truth, encode, factors.reshape(len(held) * images, -1), rng)
        yield codes.reshape(len(held), images, -1)


def count(fixed: np.ndarray, dimensions: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Counts how often dimension d was chosen while factor k was fixed: int64 [K, d].

    Args:
        fixed: int64 [votes], the factor k of each vote.
        dimensions: int64 [votes], the dimension d that it chose.
        shape: (K, d).
    """
    return np.bincount(np.ravel_multi_index((fixed, dimensions), shape), minlength=np.prod(shape)).reshape(
        shape
    )
