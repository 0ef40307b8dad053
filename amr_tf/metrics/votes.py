"""Votes: groups of images that share one factor, for the metrics of beta-VAE, FactorVAE and AMR."""

from collections.abc import Iterator

import numpy as np

from amr_tf.metrics.ground_truth import CHUNK, Encode, GroundTruth, Rng, encoded


def groups(
    ground_truth: GroundTruth,
    encode: Encode,
    fixed: np.ndarray,
    images: int,
    rng: Rng,
    values: int = 1,
) -> Iterator[np.ndarray]:
    """Draws and encodes one group of images per vote; the fixed factor takes a few random values in turn.

    Args:
        fixed: int64 [votes], the factor that each vote fixes.
        images, values: L, images per group, and the number of values in turn, which divides L.

    Yields:
        float64 [some votes, L, d], in the order of `fixed`.
    """
    at_a_time = max(1, CHUNK // images)
    for start in range(0, len(fixed), at_a_time):
        held = fixed[start : start + at_a_time]
        votes = np.arange(len(held))
        factors = ground_truth.sample_factors(len(held) * images, rng).reshape(len(held), images, -1)
        factors[votes, :, held] = np.tile(factors[votes, :values, held], images // values)
        codes = encoded(ground_truth, encode, factors.reshape(len(held) * images, -1), rng)
        yield codes.reshape(len(held), images, -1)


def count(fixed: np.ndarray, dimensions: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Counts the votes int64 [votes] for dimension d while factor k was fixed: int64 [K, d], of the shape given."""
    table = np.zeros(shape, np.int64)
    np.add.at(table, (fixed, dimensions), 1)
    return table
