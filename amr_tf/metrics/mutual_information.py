"""Mutual information between binned codes and factors, for MIG and modularity."""

import numpy as np


def between(codes: np.ndarray, factors: np.ndarray, bins: int) -> np.ndarray:
    """Estimates I(dimension; factor) in nats: codes float [n, d], factors int64 [n, K] from 0 on -> float64 [d, K].

    Plug-in estimates >= 0, biased upwards by about (bins - 1) (factor's size - 1) / 2n; 0 for a constant dimension.
    """
    binned = discretised(codes, bins)
    return np.array([[_information(dimension, factor) for factor in factors.T] for dimension in binned.T])


def discretised(codes: np.ndarray, bins: int) -> np.ndarray:
    """Assigns equal-width bins, lower edges included, over each dimension's range: [n, d] -> int64 0 .. bins - 1."""
    return np.stack([np.digitize(z, np.histogram_bin_edges(z, bins)[1:-1]) for z in codes.T], axis=1)


def entropy(factors: np.ndarray) -> np.ndarray:
    """Plug-in entropies in nats: int64 [n, K] -> float64 [K]."""
    return np.array([_information(factor, factor) for factor in factors.T])


def _information(a: np.ndarray, b: np.ndarray) -> float:
    """I(a; b) in nats of two int64 [n] from 0 on, their joint distribution taken from counts."""
    shape = (a.max() + 1, b.max() + 1)
    counts = np.bincount(np.ravel_multi_index((a, b), shape), minlength=np.prod(shape)).reshape(shape)
    seen = counts > 0
    # Integers up to here, hence a constant gives a ratio of exactly 1 and no information.
    ratios = counts * len(a) / np.outer(counts.sum(axis=1), counts.sum(axis=0)).clip(min=1)
    return max(0.0, float(np.sum(counts[seen] * np.log(ratios[seen])) / len(a)))
