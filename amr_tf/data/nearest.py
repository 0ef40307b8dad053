"""Search for the nearest image that a generated data set can contain, over the factors of the data set.

Distances are root mean square differences of pixels in [-1, 1]. Images are compared before rounding to 8 bits, which
changes a distance by at most `pixels.ROUNDING`.
"""

import concurrent.futures
import functools
import itertools
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import threadpoolctl

from amr_tf.data.catalog import DatasetSpec, Places
from amr_tf.data.sources import dsprites, generated, shapes

_ANGLES = 4_096  # angles in the first search of lines; ends of neighbouring lines are 0.02 px apart
_REFINED = 24  # steps of the golden-section search
_GOLDEN = (5**0.5 - 1) / 2
_LINES = 1_000  # images at a time

_SPRITES = 32  # images at a time
_PACKED = 65_536  # images of dSprites at a time
_TRIED = 256  # candidates at a time
_KEPT = [0, 1, 3, 4]  # all factors except the orientation
_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32)

_GRID_SIDES = 3
_CENTRES = np.linspace(-shapes.REACH, shapes.REACH, 11)
_SHAPES = 100  # images at a time
_STEP, _LAST_STEP = 0.25, 2e-3  # of the pattern search, in pixels
_MOVES = np.concatenate([np.eye(3), -np.eye(3)])
_ROUNDS, _GRID_ROUNDS = 4, 2  # of the alternating least squares


class Nearest(NamedTuple):
    """Distances float [N] to the nearest possible images, and the factors of the nearest images, float [N, F].

    Each factor is scaled so that its range has the length 1. `circular` lists the columns of circular factors (angles).
    """

    distances: np.ndarray
    factors: np.ndarray
    circular: tuple[int, ...] = ()


Search = Callable[[np.ndarray], Nearest]


def of_lines(spec: DatasetSpec, places: Places) -> Search:
    return lines


def of_shapes(spec: DatasetSpec, places: Places) -> Search:
    return coloured_shapes


def of_sprites(spec: DatasetSpec, places: Places) -> Search:
    return functools.partial(sprites, bits=dsprites.ground_truth(spec, places).packed.bits)


def lines(images: np.ndarray) -> Nearest:
    """Finds the nearest line: images float [N, 32, 32, 1] -> factors [N, 1], the angle in turns, in [0, 1)."""
    grid = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    drawn = (2 * generated.covered(grid) - 1).reshape(_ANGLES, -1)
    squares = (drawn**2).sum(axis=1)
    angles = np.empty(len(images))
    for first in range(0, len(images), _LINES):
        x = images[first : first + _LINES].reshape(-1, drawn.shape[1]).astype(np.float64)
        best = grid[(squares - 2 * x @ drawn.T).argmin(axis=1)]
        angles[first : first + _LINES] = _golden(x, best, grid[1])
    rest = images.reshape(len(images), -1) - (2 * generated.covered(angles) - 1).reshape(len(images), -1)
    return Nearest(np.sqrt((rest**2).mean(axis=1)), (angles / (2 * np.pi) % 1)[:, None], circular=(0,))


def _golden(x: np.ndarray, angles: np.ndarray, reach: float) -> np.ndarray:
    """Refines angles within +- `reach` by golden-section search, for all images at once."""

    def error(angle: np.ndarray) -> np.ndarray:
        return ((2 * generated.covered(angle).reshape(len(x), -1) - 1 - x) ** 2).sum(axis=1)

    low, high = angles - reach, angles + reach
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = error(left), error(right)
    for _ in range(_REFINED):
        smaller = at_left < at_right
        low, high = np.where(smaller, low, left), np.where(smaller, right, high)
        inner = np.where(smaller, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        value = error(inner)
        left, right = np.where(smaller, inner, right), np.where(smaller, left, inner)
        at_left, at_right = np.where(smaller, value, at_right), np.where(smaller, at_left, value)
    return (low + high) / 2


def sprites(images: np.ndarray, bits: np.ndarray) -> Nearest:
    """Finds the nearest dSprites image: float [N, 64, 64, 1] -> factors [N, 4]: shape, scale, position x and y.

    The orientation is not returned, because a square or an ellipse has no unique orientation.

    The distance between an image and a dSprites image falls with the scalar product of both. An upper bound of the
    product excludes most dSprites images. The bound is the scalar product of the means over 4 x 4 blocks, plus the
    scalar product of the norms of the residuals in 8 x 8 blocks.

    Args:
        images: images to search for, in [-1, 1].
        bits: all dSprites images as bits, uint8 [737280, 512], in the order of `sources.dsprites.numbers_of`.
    """
    known = _bounding_bits(bits)

    def search(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bounds = _bounding(x.reshape(-1, 64, 64).astype(np.float32)) @ known.T
        found = [
            _best(bound, image, bits) for bound, image in zip(bounds, x.reshape(len(x), -1), strict=True)
        ]
        best, largest = zip(*found, strict=True)
        return np.array(best), np.array(largest)

    numbers, products = _in_parts(search, images, _SPRITES)
    flat = images.reshape(len(images), -1).astype(np.float64)
    # |x - (2 b - 1)|^2 = |x|^2 - 4 x b + 2 sum x + 4096
    squares = (flat**2).sum(axis=1) - 4 * products + 2 * flat.sum(axis=1) + 4096
    factors = dsprites.factors_of(numbers)[:, _KEPT] / (np.array(dsprites.FACTOR_SIZES)[_KEPT] - 1)
    return Nearest(np.sqrt(np.maximum(squares, 0) / 4096), factors)


def _in_parts(search: Callable, images: np.ndarray, size: int) -> list[np.ndarray]:
    """Calls `search` for `size` images at a time, in parallel on all cores, and concatenates each of its results."""
    parts = [images[first : first + size] for first in range(0, len(images), size)]
    # Each thread searches with one core: NumPy's products would start further threads for the same cores.
    with (
        threadpoolctl.threadpool_limits(1, "blas"),
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads,
    ):
        return [np.concatenate(one) for one in zip(*threads.map(search, parts), strict=True)]


def _bounding(x: np.ndarray) -> np.ndarray:
    """Returns vectors [N, 320] for images [N, 64, 64]. The scalar product of two vectors is the bound of `sprites`.

    A vector contains 4 times the mean of each 4 x 4 block, then the norm of the residuals in each 8 x 8 block.
    """
    means = x.reshape(-1, 16, 4, 16, 4).sum(axis=(2, 4)) / 4
    squares = (x**2).reshape(-1, 8, 8, 8, 8).sum(axis=(2, 4)) - (means**2).reshape(-1, 8, 2, 8, 2).sum(
        axis=(2, 4)
    )
    parts = (means.reshape(len(x), 256), np.sqrt(np.maximum(squares, 0)).reshape(len(x), 64))
    return np.concatenate(parts, axis=1)


def _bounding_bits(bits: np.ndarray) -> np.ndarray:
    """Computes `_bounding` for images stored as bits: float32 [N, 320]."""
    found = np.empty((len(bits), 320), np.float32)
    for first in range(0, len(bits), _PACKED):
        part = bits[first : first + _PACKED].reshape(-1, 16, 4, 8)
        halves = np.stack([np.bitwise_count(part >> 4), np.bitwise_count(part & 15)], axis=-1)
        ones = halves.sum(axis=2, dtype=np.uint8).reshape(-1, 16, 16).astype(np.float32)
        squares = (ones - ones**2 / 16).reshape(-1, 8, 2, 8, 2).sum(axis=(2, 4))
        found[first : first + _PACKED, :256] = ones.reshape(-1, 256) / 4
        found[first : first + _PACKED, 256:] = np.sqrt(squares).reshape(-1, 64)
    return found


def _best(bound: np.ndarray, image: np.ndarray, bits: np.ndarray) -> tuple[int, float]:
    """Returns the number of the dSprites image with the largest product, and the product.

    Images whose bound is not larger than a product found before are skipped.
    """
    # Products of each byte's 256 values with its 8 pixels.
    table = image.reshape(512, 8).astype(np.float32) @ _BYTES.T
    best, product = _largest(np.array([bound.argmax()]), table, bits)
    others = np.flatnonzero(bound > product)
    others = others[np.argsort(-bound[others])]
    for first in range(0, len(others), _TRIED):
        part = others[first : first + _TRIED]
        if bound[part[0]] <= product:
            break
        found = _largest(part, table, bits)
        if found[1] > product:
            best, product = found
    return best, product


def _largest(numbers: np.ndarray, table: np.ndarray, bits: np.ndarray) -> tuple[int, float]:
    products = table[np.arange(512), bits[numbers]].sum(axis=1)
    return int(numbers[products.argmax()]), float(products.max())


def coloured_shapes(images: np.ndarray) -> Nearest:
    """Finds the nearest image of `shapes`: float [N, 32, 32, 3] -> factors [N, 6]: square, filled, blue, side, x, y.

    A kind is a combination of square or diamond, filled or outlined, and large or small. For each kind, sides and
    positions are searched on a grid. A pattern search refines the results of the two best kinds. The best grey and
    colour of a shape are the solution of a least squares problem, clipped to the ranges of the data set.
    """
    distances, factors = _in_parts(_shapes, images, _SHAPES)
    return Nearest(distances, factors)


def _shapes(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns distances [N] and factors [N, 6] for images [N, 32, 32, 3]."""
    x = _sums_of(((images.astype(np.float32) + 1) / 2).reshape(-1, 1024, 3))
    started = [_on_the_grid(x, *kind) for kind in itertools.product((False, True), repeat=3)]
    errors, starts = (np.stack(one) for one in zip(*started, strict=True))
    kinds = np.array([*itertools.product((False, True), repeat=3)])
    rows, found = np.arange(len(images)), []
    for chosen in np.argsort(errors, axis=0)[:2]:
        found.append(_refined(x, starts[chosen, rows], kinds[chosen]))
    (error, factors), (second, others) = found
    better = second < error
    error, factors = np.where(better, second, error), np.where(better[:, None], others, factors)
    return 2 * np.sqrt(error / 3072), factors


class _Sums(NamedTuple):
    """Images [N, 1024, 3] in [0, 1], their sums over the pixels [N, 3], and their squared norms [N]."""

    images: np.ndarray
    totals: np.ndarray
    energies: np.ndarray

    def rows(self, chosen: np.ndarray) -> "_Sums":
        return _Sums(*(one[chosen] for one in self))


def _sums_of(images: np.ndarray) -> _Sums:
    return _Sums(images, images.sum(axis=1), np.einsum("npc,npc->n", images, images))


@functools.cache
def _grid(square: bool, filled: bool, large: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns side, x and y [M, 3] and masks [M, 1024] of shapes of one kind on a grid."""
    sides = np.linspace(*shapes.SIDES[int(large)], _GRID_SIDES)
    side, down, right = (one.ravel() for one in np.meshgrid(sides, _CENTRES, _CENTRES, indexing="ij"))
    places = np.stack([side, right, down], axis=1)
    return places, _masks(places, *(np.full(len(places), one) for one in (square, filled)))


def _on_the_grid(x: _Sums, square: bool, filled: bool, large: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns squared errors [N] and side, x and y [N, 3] of the best shape of one kind on a grid."""
    places, masks = _grid(square, filled, large)
    errors = _errors(x, masks @ x.images, masks.sum(axis=1), (masks**2).sum(axis=1), _GRID_ROUNDS)[0]
    best = errors.argmin(axis=1)
    return errors[np.arange(len(errors)), best], places[best]


def _refined(x: _Sums, place: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns squared errors [N] and factors [N, 6] of the best shapes of `kinds` near `place`.

    `kinds` are square, filled and large, [N, 3]. `place` is the initial side, x and y, [N, 3].
    """
    square, filled, large = kinds.T
    sides = np.array(shapes.SIDES)[large.astype(int)]
    lowest, highest = (
        np.column_stack([sides[:, end], np.full((len(kinds), 2), reach)])
        for end, reach in enumerate((-shapes.REACH, shapes.REACH))
    )
    place, step = place.copy(), np.full(len(kinds), _STEP)
    error, blue = (one[:, 0] for one in _at(x, place[:, None], square, filled))
    while len(rows := np.flatnonzero(step > _LAST_STEP)):
        tried = place[rows, None] + step[rows, None, None] * _MOVES
        tried = np.clip(tried, lowest[rows, None], highest[rows, None])
        errors, blues = _at(x.rows(rows), tried, square[rows], filled[rows])
        choice, own = errors.argmin(axis=1), np.arange(len(rows))
        better = errors[own, choice] < error[rows]
        moved = rows[better]
        place[moved], error[moved] = tried[own, choice][better], errors[own, choice][better]
        blue[moved] = blues[own, choice][better]
        step[rows[~better]] /= 2
    whole = np.array([shapes.SIDES[1][1] - shapes.SIDES[0][0], 2 * shapes.REACH, 2 * shapes.REACH])
    start = np.array([shapes.SIDES[0][0], -shapes.REACH, -shapes.REACH])
    return error, np.column_stack([square, filled, blue, (place - start) / whole]).astype(float)


def _masks(places: np.ndarray, square: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Returns the covered fraction of each pixel, [M, 1024], for shapes with places [M, 3]: side, x, y."""
    places = places.astype(np.float32)
    return shapes.cover(square, filled, places[:, 0], places[:, 1:]).reshape(len(places), 1024)


def _at(
    x: _Sums, places: np.ndarray, square: np.ndarray, filled: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns squared errors [N, M] of M places for each image, and bool [N, M], true if blue fits better than red.

    Args:
        x: N images.
        places: side, x and y of shapes, [N, M, 3].
        square, filled: bool [N], the kind of each image's shapes.
    """
    count = places.shape[1]
    masks = _masks(places.reshape(-1, 3), np.repeat(square, count), np.repeat(filled, count))
    masks = masks.reshape(len(places), count, 1024)
    return _errors(x, masks @ x.images, masks.sum(axis=-1), np.einsum("nmp,nmp->nm", masks, masks))


def _errors(
    x: _Sums, products: np.ndarray, ones: np.ndarray, squares: np.ndarray, rounds: int = _ROUNDS
) -> tuple[np.ndarray, np.ndarray]:
    """Computes squared errors with the best grey and colour in the data set's ranges, by alternating least squares.

    Args:
        x: N images.
        products: scalar products of each colour channel with the masks, [N, M, 3].
        ones, squares: sums of the masks and of their squares, [M] or [N, M].
        rounds: number of alternations.

    Returns:
        Squared errors of the better colour, red or blue, [N, M]; bool [N, M], true if this colour is blue.
    """
    total, energy = x.totals[:, None], x.energies[:, None]
    both, outside = ones - squares, 1024 - 2 * ones + squares  # sums of c (1 - c) and of (1 - c)^2
    results = []
    for colour in shapes.COLOURS / 255:
        low, high = (np.minimum(colour * (1 + sign * shapes.TONE), 1) for sign in (-1, 1))
        grey = np.full(products.shape[:2], np.mean(shapes.GREYS) / 255, np.float32)
        for _ in range(rounds):
            shade = (products - grey[..., None] * both[..., None]) / squares[..., None]
            shade = np.clip(shade, low, high)
            off = (total - products).sum(axis=-1) - shade.sum(axis=-1) * both
            grey = np.clip(off / (3 * outside), shapes.GREYS[0] / 255, shapes.GREYS[1] / 255)
        fit = 2 * ((shade * products).sum(axis=-1) + grey * (total - products).sum(axis=-1))
        size = (
            (shade**2).sum(axis=-1) * squares + 3 * grey**2 * outside + 2 * grey * shade.sum(axis=-1) * both
        )
        results.append(np.maximum(energy - fit + size, 0))
    red, blue = results
    return np.minimum(red, blue), blue < red
