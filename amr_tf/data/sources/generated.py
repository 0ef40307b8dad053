"""Generated data sets: the lines of ACAI and the spiral of AMR's Figure 12. Only NumPy is needed.

The seeds are constants, so that every run trains and is evaluated on the same examples.
"""

from collections.abc import Callable

import numpy as np

from amr_tf.data.catalog import DatasetSpec, Places
from amr_tf.data.sources import Examples

WIDTH = 32
LINE_WIDTH = 2.0
SPIRAL_TURNS = 2.0
LABELS = 10
CURVE_VERTICES = 20_001

_LINES_SEED = 20180718
_SPIRAL_SEED = 20190306
# Number of images rendered at a time, which limits float copies to about 10 MB.
_CHUNK = 1_000


def read_lines(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Renders ACAI's lines: uint8 [N, 32, 32, 1], 50,000 / 5,000 / 5,000 examples.

    The angle is uniform in [0, 2 pi). The circle is divided into 10 equal sectors, and the label is the sector.
    """
    return spec, _splits(lambda share: render_lines(2 * np.pi * share), _LINES_SEED, (50_000, 5_000, 5_000))


def read_spiral(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Samples points of a 2-D spiral: float32 [N, 1, 1, 2] in [-1, 1], 10,000 / 1,000 / 1,000 examples.

    Points are on the curve without noise. The curve is divided into 10 parts of equal length, and the label is the
    number of the part.
    """
    return spec, _splits(spiral_points, _SPIRAL_SEED, (10_000, 1_000, 1_000))


def _splits(
    draw: Callable[[np.ndarray], np.ndarray], seed: int, sizes: tuple[int, int, int]
) -> list[Examples]:
    """Computes examples by `draw` from numbers `share` that are uniform in [0, 1). The label is floor(10 share)."""
    splits = []
    for number, size in enumerate(sizes):
        share = np.random.default_rng((seed, number)).random(size)
        splits.append(Examples(draw(share), np.floor(LABELS * share).astype(np.int64)))
    return splits


def render_lines(angles: np.ndarray) -> np.ndarray:
    """Renders one white line on black per angle as ACAI's reference implementation does.

    A line begins at the centre of the image and is 15 pixels long. A line that is closer to vertical covers 2 pixels of
    every row, and any other line 2 pixels of every column. Slanted lines are therefore thinner. The covered pixels of a
    row (column) are at the line's position half a row (column) earlier. The brightness of a pixel is its covered
    fraction.

    Angles are float [N] in radians, counter-clockwise from the right. Images are uint8 [N, 32, 32, 1].
    """
    images = np.empty((len(angles), WIDTH, WIDTH, 1), np.uint8)
    for start in range(0, len(angles), _CHUNK):
        share = covered(np.asarray(angles[start : start + _CHUNK], np.float64))
        images[start : start + _CHUNK, :, :, 0] = np.rint(255 * share)
    return images


def covered(angles: np.ndarray) -> np.ndarray:
    """Returns the fraction of each pixel that a line covers: float64 [N, 32, 32] in [0, 1] for angles [N]."""
    centre, length = WIDTH / 2, WIDTH / 2 - 1
    row, column = centre - length * np.sin(angles), centre + length * np.cos(angles)
    level = np.abs(row - centre) < np.abs(column - centre)
    # Coordinates of the end of the line, along its main axis and across it.
    along, across = np.where(level, column, row), np.where(level, row, column)
    backwards = along < centre
    first, last = np.minimum(along, centre)[:, None], np.maximum(along, centre)[:, None]
    slope = ((across - centre) / (along - centre))[:, None]
    steps = np.arange(WIDTH)
    left = np.where(backwards, across, centre)[:, None] - LINE_WIDTH / 2 + (steps - first - 0.5) * slope
    # Only the part of the first row that the line reaches is covered. The last row is covered completely.
    share = np.clip(steps + 1 - first, 0, 1) * (steps < last)
    overlap = np.minimum(steps + 1, left[..., None] + LINE_WIDTH) - np.maximum(steps, left[..., None])
    found = share[..., None] * np.clip(overlap, 0, 1)
    return np.where(level[:, None, None], found.transpose(0, 2, 1), found)


def spiral_points(share: np.ndarray) -> np.ndarray:
    """Returns points float32 [N, 1, 1, 2] of an Archimedean spiral of 2 turns, from the centre to radius 1.

    `share`, float [N] in [0, 1], is the position of the point along the curve. The length of the curve is
    approximated as proportional to the squared radius.
    """
    radius = np.sqrt(share)
    angle = 2 * np.pi * SPIRAL_TURNS * radius
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return points[:, None, None, :].astype(np.float32)


def spiral_curve() -> np.ndarray:
    """Returns the spiral as a polyline float32 [20001, 2] from the centre, at most 1e-7 away from the curve."""
    return spiral_points(np.linspace(0, 1, CURVE_VERTICES) ** 2).reshape(-1, 2)
