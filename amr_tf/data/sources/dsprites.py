"""dSprites: read from the official file through TFDS, or rendered from formulas if the file is missing.

The formulas were fitted to published images and reproduce almost all of these images exactly (docs/data.md). Results on
rendered images are reported as results on `re-rendered dSprites`. Rendering needs only NumPy.
"""

import dataclasses

import numpy as np

from amr_tf.data.catalog import DatasetSpec, Places
from amr_tf.data.pixels import PackedImages
from amr_tf.data.sources import Examples
from amr_tf.runtime.errors import DataError

RE_RENDERED, OFFICIAL = "re-rendered dSprites", "official dSprites"
FACTOR_NAMES = ("shape", "scale", "orientation", "position_x", "position_y")
FACTOR_SIZES = (3, 6, 40, 32, 32)
COUNT = 737_280
IMAGE_SHAPE = (64, 64, 1)
IMAGE_BYTES = 512
JUDGED = 10_000  # number of examples in the validation split, and in the test split

_SPLIT_SEED = 20190306
_COLUMNS = tuple(f"label_{name}" for name in ("shape", "scale", "orientation", "x_position", "y_position"))

_SCALES = np.linspace(0.5, 1, 6)
_ORIENTATIONS = np.linspace(0, 2 * np.pi, 40)
# Positions in pixels, from the left or top edge. Steps of 32/31 pixels mean that no image is a shifted copy of another.
_POSITIONS = np.linspace(16, 48, 32)
# Distances from a shape's centre down to the centre of each row of pixels, [32 positions * 64 rows].
_DOWN = (np.arange(64) + 0.5 - _POSITIONS[:, None]).ravel()
# Element i is a row of 64 pixels in which pixels i .. 63 are on. The highest bit is the leftmost pixel.
_ON_FROM = np.array([(1 << 64 - i) - 1 for i in range(65)], np.uint64)

# Corners (u, v) or half axes of the shapes at full size, v downwards.
_SQUARE = np.array([(-9.6, -9.6), (9.6, -9.6), (9.6, 9.6), (-9.6, 9.6)])
_ELLIPSE = (12.765, 7.215)
_T = np.linspace(0, 2 * np.pi, 150)
_CURVE = 13 * np.cos(_T) - 5 * np.cos(2 * _T) - 2 * np.cos(3 * _T) - np.cos(4 * _T)
_HEART = np.stack([9.6 * np.sin(_T) ** 3, -0.662 * _CURVE - 1.44], axis=-1)


class DSprites:
    """dSprites images with their factors, a `metrics.ground_truth.GroundTruth`.

    The factors are shape (square, ellipse, heart), scale, orientation, position_x and position_y. The first and the
    last orientation are the same. Colour has only one value and is omitted. `images`, uint8 [737280, 512], are all
    images as bits in the order of `numbers_of`. `origin` is the name of the images in reports.
    """

    factor_names, factor_sizes = FACTOR_NAMES, FACTOR_SIZES

    def __init__(self, images: np.ndarray, origin: str):
        self.packed, self.origin = PackedImages(images, IMAGE_SHAPE), origin

    def sample_factors(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Samples n combinations of factors, each factor uniformly and independently: int64 [n, 5]."""
        return rng.integers(FACTOR_SIZES, size=(n, len(FACTOR_SIZES)))

    def sample_images(self, factors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the images with the factors int [n, 5]: uint8 [n, 64, 64, 1], 0 or 255. `rng` is not used.

        Raises:
            ValueError: a factor is out of range.
        """
        return self.packed[numbers_of(factors)]


def read(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Returns all images, stored as bits, as the training split. The label of an image is its shape.

    The paper has no splits: it trains on every image and evaluates how codes represent factors. The validation and test
    splits are fixed random samples of the same images, to monitor losses and probe. They do not measure generalisation.
    """
    images, numbers, title = _images(spec, places)
    examples = Examples(PackedImages(images, IMAGE_SHAPE), factors_of(numbers)[:, 0])
    rows = [np.random.default_rng((_SPLIT_SEED, part)).permutation(len(images))[:JUDGED] for part in (1, 2)]
    return dataclasses.replace(spec, title=title), [examples, *map(examples.take, rows)]


def check(spec: DatasetSpec, places: Places) -> None:
    """Checks that the official file can be read, unless the images are rendered."""
    from amr_tf.data.sources import prepared

    if not _is_drawn(spec, places):
        prepared.check(spec, places)


def ground_truth(spec: DatasetSpec, places: Places) -> DSprites:
    """Returns the images of `read` with their factors, so that metrics can select images by factors.

    Raises:
        DataError: the prepared data contain only a part of the images.
    """
    images, numbers, title = _images(spec, places)
    if len(numbers) != COUNT:
        raise DataError(
            f"The metrics of factors need all {COUNT} images of dSprites, {places.data_dir} has {len(numbers)}: "
            "prepare it whole, or name a --data_dir without it to have them drawn"
        )
    return DSprites(images, title)


def _is_drawn(spec: DatasetSpec, places: Places) -> bool:
    """Returns true if the images are rendered from formulas, because no official file was provided or prepared."""
    from amr_tf.data.sources import prepared

    return not places.raw_dir and not prepared.at_hand(spec, places)


def _images(spec: DatasetSpec, places: Places) -> tuple[np.ndarray, np.ndarray, str]:
    """Returns all images uint8 [N, 512] as bits, their numbers int64 [N] in ascending order, and their name."""
    if _is_drawn(spec, places):
        return render(), np.arange(COUNT), RE_RENDERED
    from tensorflow_datasets import decode

    from amr_tf.data.sources import prepared

    bits, numbers = [], []  # packed as they are read: bytes would take 3 GB
    with prepared.opened(spec, places) as builder:
        columns = dict.fromkeys(("image", *_COLUMNS), True)
        for part in prepared.stored(builder, "train", decoders=decode.PartialDecoding(columns)):
            bits.append(np.packbits(part["image"].reshape(-1, 8 * IMAGE_BYTES), axis=1))
            numbers.append(numbers_of(np.stack([part[name] for name in _COLUMNS], axis=-1)))
    order = np.argsort(np.concatenate(numbers))
    return np.concatenate(bits)[order], np.concatenate(numbers)[order], OFFICIAL


def numbers_of(factors: np.ndarray) -> np.ndarray:
    """Returns the numbers int64 [n] of the images with the factors int [n, 5]. position_y varies fastest.

    Raises:
        ValueError: a factor is out of range.
    """
    return np.ravel_multi_index(tuple(np.asarray(factors).T), FACTOR_SIZES)


def factors_of(numbers: np.ndarray) -> np.ndarray:
    """Inverts `numbers_of`: numbers int [n] in 0 .. 737279 -> factors int64 [n, 5]."""
    return np.stack(np.unravel_index(numbers, FACTOR_SIZES), axis=-1)


def render() -> np.ndarray:
    """Renders all images as bits, row by row: uint8 [737280, 512], in the order of `numbers_of`.

    Shapes are white on black without antialiasing: a pixel is on if its centre is inside the shape. No centre is closer
    than 1e-8 pixels to an edge. This distance exceeds rounding errors, so that every machine renders the same bits.
    """
    images = np.empty((*FACTOR_SIZES[:4], 32 * IMAGE_BYTES), np.uint8)
    for i, scale in enumerate(_SCALES):
        for j, angle in enumerate(_ORIENTATIONS):
            images[0, i, j] = _filled(*_polygon_edges(scale * _SQUARE, angle))
            images[1, i, j] = _filled(*_ellipse_edges(scale, angle))
            images[2, i, j] = _filled(*_polygon_edges(scale * _HEART, angle))
    return images.reshape(COUNT, IMAGE_BYTES)


def _polygon_edges(corners: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Computes where the rows of `_DOWN` cross the edges of a polygon, which is rotated by `angle`.

    `corners` float [K, 2] are the corners before the rotation. Returns, for each crossing, the number of the row, int
    [M], ascending, and the distance to the right of the shape's centre, float [M].
    """
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = (corners @ np.array([[cos, -sin], [sin, cos]])).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    down = _DOWN[:, None]
    rows, edges = np.nonzero((y <= down) != (next_y <= down))
    share = (_DOWN[rows] - y[edges]) / (next_y - y)[edges]
    return rows, x[edges] + share * (next_x - x)[edges]


def _ellipse_edges(scale: float, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Computes the same as `_polygon_edges` for the ellipse. In a row, (u / a)^2 + (v / b)^2 = 1 is quadratic in x."""
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = (scale * axis for axis in _ELLIPSE)
    xx, yy = (cos / a) ** 2 + (sin / b) ** 2, (sin / a) ** 2 + (cos / b) ** 2
    xy = cos * sin * (b**-2 - a**-2)
    quarter_discriminant = (xy * _DOWN) ** 2 - xx * (yy * _DOWN**2 - 1)
    rows = np.flatnonzero(quarter_discriminant > 0)
    middle, half = -xy * _DOWN[rows] / xx, np.sqrt(quarter_discriminant[rows]) / xx
    return np.repeat(rows, 2), np.stack([middle - half, middle + half], axis=-1).ravel()


def _filled(rows: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Renders a shape at all positions: uint8 [32 across, 32 down * 512]. An edge toggles all pixels to the right."""
    first = np.clip(np.ceil(edges[:, None] + _POSITIONS - 0.5), 0, 64).astype(np.int64)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    words = np.zeros((len(_DOWN), len(_POSITIONS)), np.uint64)
    words[rows[starts]] = np.bitwise_xor.reduceat(_ON_FROM[first], starts)
    # Big-endian, so that bytes run from left to right too.
    return words.T.astype(">u8", order="C").view(np.uint8)
