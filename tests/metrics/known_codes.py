"""A small world whose images are its factors, and codes of which it is known what they are worth."""

from collections.abc import Callable

import numpy as np

from amr_tf.metrics.ground_truth import Encode

DSPRITES_SIZES = (3, 6, 40, 32, 32)


class World:
    """Five factors; the 'image' [1, 1, K] of an example holds their values."""

    factor_names = ("shape", "scale", "orientation", "posX", "posY")

    def __init__(self, factor_sizes: tuple[int, ...] = (3, 6, 8, 4, 4)):
        self.factor_sizes = factor_sizes

    def sample_factors(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(self.factor_sizes, size=(n, len(self.factor_sizes)))

    def sample_images(self, factors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return factors.astype(np.uint8)[:, None, None, :]


class Recorder:
    """Encodes and keeps what it saw and said, so that a test can work out a score on the very same codes."""

    def __init__(self, encode: Encode):
        self.encode = encode
        self.calls: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        codes = self.encode(images)
        self.calls.append((factors(images), codes))
        return codes

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """(factors [n, K], codes [n, d]) of all images so far, in their order."""
        return tuple(np.concatenate(parts) for parts in zip(*self.calls, strict=True))


def factors(images: np.ndarray) -> np.ndarray:
    return images[:, 0, 0, :].astype(np.int64)


def perfect(images: np.ndarray) -> np.ndarray:
    return factors(images).astype(np.float64)


def disguised(images: np.ndarray) -> np.ndarray:
    """The factors, but permuted, scaled, shifted and with signs flipped."""
    return perfect(images)[:, [3, 0, 4, 2, 1]] * [-2.0, 5.0, 1.5, -0.5, 3.0] + 7.0


def constant(images: np.ndarray) -> np.ndarray:
    """0.1 has no exact mean in binary, so that rounding could show."""
    return np.full((len(images), 5), 0.1)


def noise(dimensions: int = 5) -> Encode:
    """Codes that know nothing about the image."""
    rng = np.random.default_rng(99)
    return lambda images: rng.normal(size=(len(images), dimensions))


def rotated(images: np.ndarray) -> np.ndarray:
    """Each of the factors 0, 1 and 2, 3 shares two dimensions equally with its partner; factor 4 has its own."""
    sizes = np.array(World().factor_sizes)
    y = (perfect(images) - (sizes - 1) / 2) / np.sqrt((sizes**2 - 1) / 12)
    return np.stack(
        [y[:, 0] + y[:, 1], y[:, 0] - y[:, 1], y[:, 2] + y[:, 3], y[:, 2] - y[:, 3], y[:, 4]], axis=1
    )


def without(*missing: int) -> Encode:
    """The factors except the missing ones, a dimension each."""
    return lambda images: np.delete(perfect(images), missing, axis=1)


def tangled(order: tuple[int, ...] = (0, 1, 2, 3, 4, 5)) -> Callable[[np.ndarray], np.ndarray]:
    """Six dimensions, some of which mix factors, one bent, one tiny and one constant: a code of no special score."""
    weights = np.random.default_rng(5).normal(size=(5, 6)) * np.array([[1, 1, 1, 1, 0.001, 0]])
    weights[:, 1] += [0, 3, 0, 0, 0]
    weights[:, 2] += [0, 0, 0, 0, 4]

    def encode(images: np.ndarray) -> np.ndarray:
        codes = perfect(images) @ weights
        codes[:, 3] = np.tanh(codes[:, 3])
        return codes[:, order]

    return encode
