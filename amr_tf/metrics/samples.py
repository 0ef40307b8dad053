"""New codes: a mixture of Gaussians fitted to the codes of training images."""

import numpy as np
from sklearn.mixture import GaussianMixture

COMPONENTS = (1, 2, 5, 10, 20, 50)
FULL = 64  # numbers of a code up to which components have full covariances


def fitted(train: np.ndarray, validation: np.ndarray, rng: np.random.Generator) -> GaussianMixture:
    """Fits mixtures with 1 to 50 components and returns the one with the highest validation likelihood.

    Covariances are full for codes of up to FULL numbers, and diagonal for larger ones.

    Args:
        train, validation: codes float [N, ...], flattened here.
        rng: seeds the fits.

    Raises:
        ValueError: codes are not finite, or fewer than two.
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
    """Draws codes float32 [count, d] in random order."""
    mixture.random_state = int(rng.integers(2**31))
    return rng.permutation(mixture.sample(count)[0]).astype(np.float32)
