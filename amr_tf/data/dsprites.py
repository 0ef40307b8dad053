"""dSprites drawn from formulas, for the many machines that its official file never reaches, and its factors.

The formulas were fitted to published pictures: of 320 frames they draw 312 exactly, of 43 other images 36, the rest
with at most 5 wrong pixels each. So whatever is measured on them is measured on `re-rendered dSprites`. NumPy only.
"""

import numpy as np

from amr_tf.data.generated import Examples
from amr_tf.data.pixels import PackedImages

RE_RENDERED = "re-rendered dSprites"
FACTOR_NAMES = ("shape", "scale", "orientation", "position_x", "position_y")
FACTOR_SIZES = (3, 6, 40, 32, 32)
COUNT = 737_280
IMAGE_SHAPE = (64, 64, 1)
IMAGE_BYTES = 512
JUDGED = 10_000  # examples of the validation and of the test split

_SPLIT_SEED = 20190306

_SCALES = np.linspace(0.5, 1, 6)
_ORIENTATIONS = np.linspace(0, 2 * np.pi, 40)
# Pixels from the image's edge, in both directions. The steps of 32/31 make no image a shifted copy of another.
_POSITIONS = np.linspace(16, 48, 32)
# From a shape's centre down to the centre of each row of pixels, [32 positions * 64 rows].
_DOWN = (np.arange(64) + 0.5 - _POSITIONS[:, None]).ravel()
# A row of 64 pixels that are on from pixel i = 0 .. 64 to the right; the highest bit is the leftmost pixel.
_ON_FROM = np.array([(1 << 64 - i) - 1 for i in range(65)], np.uint64)

# Corners (u, v) or half axes of the shapes at full size, v downwards.
_SQUARE = np.array([(-9.6, -9.6), (9.6, -9.6), (9.6, 9.6), (-9.6, 9.6)])
_ELLIPSE = (12.765, 7.215)
_T = np.linspace(0, 2 * np.pi, 150)
_CURVE = 13 * np.cos(_T) - 5 * np.cos(2 * _T) - 2 * np.cos(3 * _T) - np.cos(4 * _T)
_HEART = np.stack([9.6 * np.sin(_T) ** 3, -0.662 * _CURVE - 1.44], axis=-1)


class DSprites:
    """Images by their factors: shape (square, ellipse, heart), scale, orientation, position_x and position_y.

    The first and the last orientation are the same. Colour, of which there is one, is left out.

    Args:
        images: uint8 [737280, 512], all images as bits in the order of `numbers_of`.
        origin: what to call them in a report.

    Attributes:
        factor_names: of the 5 factors.
        factor_sizes: how many values each of them has.
    """

    factor_names, factor_sizes = FACTOR_NAMES, FACTOR_SIZES

    def __init__(self, images: np.ndarray, origin: str):
        self.packed, self.origin = PackedImages(images, IMAGE_SHAPE), origin

    def sample_factors(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """n draws of all factors, uniform and independent: int64 [n, 5]."""
        return rng.integers(FACTOR_SIZES, size=(n, len(FACTOR_SIZES)))

    def sample_images(self, factors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The images with these factors; nothing about them is random.

        Args:
            factors: int [n, 5], each within 0 .. its size - 1.
            rng: not used.

        Returns:
            uint8 [n, 64, 64, 1], 0 or 255.

        Raises:
            ValueError: a factor that does not exist.
        """
        return self.packed[numbers_of(factors)]


def numbers_of(factors: np.ndarray) -> np.ndarray:
    """Numbers int64 [n] of the images with these factors int [n, 5], position_y running fastest.

    Raises:
        ValueError: a factor that does not exist.
    """
    return np.ravel_multi_index(tuple(np.asarray(factors).T), FACTOR_SIZES)


def factors_of(numbers: np.ndarray) -> np.ndarray:
    """Factors int64 [n, 5] of images by their numbers int [n] in 0 .. 737279: the inverse of `numbers_of`."""
    return np.stack(np.unravel_index(numbers, FACTOR_SIZES), axis=-1)


def splits(images: np.ndarray, numbers: np.ndarray) -> list[Examples]:
    """Training, validation and test examples: (uint8 [N, 512] bits, int64 [N] shape as the label).

    The paper divides nothing: every image is trained on, and judged are factors and codes. So all of them are the
    training split, and validation and test are fixed draws from the same images, each without repeats, on which the
    losses and the probe are followed. They do not tell how well a model generalises.

    Args:
        images: uint8 [N, 512], bits.
        numbers: int64 [N], the images' numbers.
    """
    shapes = factors_of(numbers)[:, 0]
    parts: list[Examples] = [(images, shapes)]
    for part in (1, 2):
        rows = np.random.default_rng((_SPLIT_SEED, part)).permutation(len(images))[:JUDGED]
        parts.append((images[rows], shapes[rows]))
    return parts


def render() -> np.ndarray:
    """Draws all images, white on black and with hard edges: a pixel is on when its centre is inside the shape.

    Centres keep 1e-8 pixels away from all edges, which rounding does not reach: every machine draws the same bits.

    Returns:
        uint8 [737280, 512], bits by row, in the order of `numbers_of`.
    """
    images = np.empty((*FACTOR_SIZES[:4], 32 * IMAGE_BYTES), np.uint8)
    for i, scale in enumerate(_SCALES):
        for j, angle in enumerate(_ORIENTATIONS):
            images[0, i, j] = _filled(*_polygon_edges(scale * _SQUARE, angle))
            images[1, i, j] = _filled(*_ellipse_edges(scale, angle))
            images[2, i, j] = _filled(*_polygon_edges(scale * _HEART, angle))
    return images.reshape(COUNT, IMAGE_BYTES)


def _polygon_edges(corners: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the rows of `_DOWN` cross the edges of a polygon, corners float [K, 2] before it is turned.

    Returns:
        Numbers of the rows int [M], ascending, and how far to the right of the shape's centre, float [M].
    """
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = (corners @ np.array([[cos, -sin], [sin, cos]])).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    down = _DOWN[:, None]
    rows, edges = np.nonzero((y <= down) != (next_y <= down))
    share = (_DOWN[rows] - y[edges]) / (next_y - y)[edges]
    return rows, x[edges] + share * (next_x - x)[edges]


def _ellipse_edges(scale: float, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The same for the ellipse: in a row, u and v are linear in x, and (u / a)^2 + (v / b)^2 = 1 has two roots."""
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = (scale * axis for axis in _ELLIPSE)
    xx, xy, yy = (
        (cos / a) ** 2 + (sin / b) ** 2,
        cos * sin * (b**-2 - a**-2),
        (sin / a) ** 2 + (cos / b) ** 2,
    )
    quarter_discriminant = (xy * _DOWN) ** 2 - xx * (yy * _DOWN**2 - 1)
    rows = np.flatnonzero(quarter_discriminant > 0)
    middle, half = -xy * _DOWN[rows] / xx, np.sqrt(quarter_discriminant[rows]) / xx
    return np.repeat(rows, 2), np.stack([middle - half, middle + half], axis=-1).ravel()


def _filled(rows: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The images at all positions: uint8 [32 across, 32 down * 512]. Each edge switches all pixels to its right.

    Args:
        rows, edges: as `_polygon_edges` gives them.
    """
    first = np.clip(np.ceil(edges[:, None] + _POSITIONS - 0.5), 0, 64).astype(np.int64)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    words = np.zeros((len(_DOWN), len(_POSITIONS)), np.uint64)
    words[rows[starts]] = np.bitwise_xor.reduceat(_ON_FROM[first], starts)
    # Big-endian, so that the bytes too go from left to right.
    return words.T.astype(">u8", order="C").view(np.uint8)
