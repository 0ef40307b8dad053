"""Sampling of new codes from a Gaussian mixture that is fitted to the codes of training images."""

import numpy as np
from sklearn.mixture import GaussianMixture

COMPONENTS = (1, 2, 5, 10, 20, 50)
FULL = 64  # largest code dimension for which covariances are full


def fitted(train: np.ndarray, validation: np.ndarray, rng: np.random.Generator) -> GaussianMixture:
    """Fits Gaussian mixtures with 1 to 50 components and returns the mixture with the highest validation likelihood.

    Covariances are full for codes with up to FULL dimensions and diagonal for larger codes.

    Args:
        train, validation: codes float [N, ...], flattened here.
        rng: generator of the seeds of the fits.

    Raises:
        ValueError: codes are not finite, or there are fewer than two training codes.
    """
    train, validation = (codes.reshape(len(codes), -1).astype(np.float64) for codes in (train, validation))
    kind = "full" if train.shape[1] <= FULL else "diag"
    best, likelihood = None, -np.inf
    for components in COMPONENTS:
        if components > len(train):
            break
        mixture = GaussianMixture(components, covariance_type=kind, random_state=int(rng.integers(2**31)))
        found = float(mixture.fit(train).score(validation))
        if found > likelihood:
            best, likelihood = mixture, found
    return best


def drawn(mixture: GaussianMixture, count: int, rng: np.random.Generator) -> np.ndarray:
    """Samples codes float32 [count, d] from the mixture, in random order."""
    mixture.random_state = int(rng.integers(2**31))
    return rng.permutation(mixture.sample(count)[0]).astype(np.float32)
