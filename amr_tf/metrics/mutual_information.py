"""Mutual information between binned codes and factors. MIG and modularity use this module."""

import numpy as np


def between(codes: np.ndarray, factors: np.ndarray, bins: int) -> np.ndarray:
    """Estimates I(dimension; factor) in nats: codes float [n, d], factors int64 [n, K] >= 0 -> float64 [d, K].

    The plug-in estimates are at least 0. The bias is about (bins - 1) (values of the factor - 1) / (2n), upwards. The
    estimate for a constant dimension is 0.
    """
    binned = discretised(codes, bins)
    return np.array([[_information(dimension, factor) for factor in factors.T] for dimension in binned.T])


def discretised(codes: np.ndarray, bins: int) -> np.ndarray:
    """Returns the bin index of each value: float [n, d] -> int64 [n, d] in 0 .. bins - 1.

    The bins of a dimension have equal widths and cover the range of the dimension. A bin includes the lower edge.
    """
    return np.stack([np.digitize(z, np.histogram_bin_edges(z, bins)[1:-1]) for z in codes.T], axis=1)


def entropy(factors: np.ndarray) -> np.ndarray:
    """Computes the plug-in entropy of each factor in nats: int64 [n, K] -> float64 [K]."""
    return np.array([_information(factor, factor) for factor in factors.T])


def _information(a: np.ndarray, b: np.ndarray) -> float:
    """Computes I(a; b) in nats from the joint counts of a and b, both int64 [n] >= 0."""
    shape = (a.max() + 1, b.max() + 1)
    counts = np.bincount(np.ravel_multi_index((a, b), shape), minlength=np.prod(shape)).reshape(shape)
    seen = counts > 0
    # Numerator and denominator are integers, so a constant gives a ratio of exactly 1 and an information of exactly 0.
    ratios = counts * len(a) / np.outer(counts.sum(axis=1), counts.sum(axis=0)).clip(min=1)
    return max(0.0, float(np.sum(counts[seen] * np.log(ratios[seen])) / len(a)))
