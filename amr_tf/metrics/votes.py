"""Groups of images with one fixed factor, for the metrics of beta-VAE, FactorVAE and AMR. Each group gives one vote."""

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
    """Samples and encodes one group of images per vote.

    In a group, the fixed factor has `values` random values. Image i has value number i modulo `values`.

    Args:
        fixed: index of the factor that is fixed in each vote, int64 [votes].
        images: L, the number of images per group.
        values: number of values of the fixed factor in a group. `values` must divide L.

    Yields:
        Codes of consecutive votes in the order of `fixed`, float64 [number of votes in this chunk, L, d].
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
    """Counts the votes for each dimension by the fixed factor.

    Args:
        fixed: index of the fixed factor of each vote, int64 [votes].
        dimensions: dimension that each vote is for, int64 [votes].
        shape: (K, d), the number of factors and the number of dimensions.

    Returns:
        int64 [K, d].
    """
    table = np.zeros(shape, np.int64)
    np.add.at(table, (fixed, dimensions), 1)
    return table
