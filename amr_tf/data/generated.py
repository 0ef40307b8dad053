"""Data sets that are made and not read: the lines of ACAI and the spiral of AMR's Figure 12. NumPy only.

Their seeds are constants, not the run's: every run is trained and judged on the same examples.
"""

import numpy as np

WIDTH = 32
LINE_WIDTH = 2.0
SPIRAL_TURNS = 2.0
LABELS = 10
CURVE_VERTICES = 20_001

_LINES_SEED = 20180718
_SPIRAL_SEED = 20190306
# Images drawn at a time: bounds the float copies to some 10 MB.
_CHUNK = 1_000

# Images, labels and, where the data set has any, attributes uint8 [N, A].
Examples = tuple[np.ndarray, ...]


def lines() -> list[Examples]:
    """ACAI's lines: (images uint8 [N, 32, 32, 1], labels int64 [N]) for 50,000 / 5,000 / 5,000 examples.

    The angle is uniform in [0, 2 pi); the label says in which of 10 equal sectors it lies.
    """
    splits: list[Examples] = []
    for number, size in enumerate((50_000, 5_000, 5_000)):
        turns = np.random.default_rng((_LINES_SEED, number)).random(size)
        splits.append((render_lines(2 * np.pi * turns), _tenth(turns)))
    return splits


def render_lines(angles: np.ndarray) -> np.ndarray:
    """Draws one white line on black per angle as ACAI's public code does, so that its figures can be compared.

    From the centre to 1 pixel inside the largest circle in the image. A line covers 2 pixels of every row that it
    passes, or of every column where it is closer to level than to upright, at the place that it has half a row
    (column) before; a slanted line is thinner for it. A pixel is as bright as it is covered.

    Args:
        angles: float [N] in radians, counter-clockwise from the right.

    Returns:
        uint8 [N, 32, 32, 1].
    """
    images = np.empty((len(angles), WIDTH, WIDTH, 1), np.uint8)
    for start in range(0, len(angles), _CHUNK):
        covered = _covered(np.asarray(angles[start : start + _CHUNK], np.float64))
        images[start : start + _CHUNK, :, :, 0] = np.rint(255 * covered)
    return images


def _covered(angles: np.ndarray) -> np.ndarray:
    """How much of each pixel a line covers, in [0, 1]: float64 [N, 32, 32] for angles [N]."""
    centre, length = WIDTH / 2, WIDTH / 2 - 1
    row, column = centre - length * np.sin(angles), centre + length * np.cos(angles)
    level = np.abs(row - centre) < np.abs(column - centre)
    # Where the line ends, along the axis that it runs along and across it.
    along, across = np.where(level, column, row), np.where(level, row, column)
    backwards = along < centre
    first, last = np.minimum(along, centre)[:, None], np.maximum(along, centre)[:, None]
    slope = ((across - centre) / (along - centre))[:, None]
    steps = np.arange(WIDTH)
    left = np.where(backwards, across, centre)[:, None] - LINE_WIDTH / 2 + (steps - first - 0.5) * slope
    # The first row is drawn for the part that the line reaches into, the last one whole.
    share = np.clip(steps + 1 - first, 0, 1) * (steps < last)
    overlap = np.minimum(steps + 1, left[..., None] + LINE_WIDTH) - np.maximum(steps, left[..., None])
    covered = share[..., None] * np.clip(overlap, 0, 1)
    return np.where(level[:, None, None], covered.transpose(0, 2, 1), covered)


def spiral() -> list[Examples]:
    """A 2-D spiral: (points float32 [N, 1, 1, 2] in [-1, 1], labels int64 [N]), 10,000 / 1,000 / 1,000 of them.

    Points lie on the curve without noise, so a point off it is never a sample; the label says on which of 10
    equal stretches of the curve a point lies.
    """
    splits: list[Examples] = []
    for number, size in enumerate((10_000, 1_000, 1_000)):
        share = np.random.default_rng((_SPIRAL_SEED, number)).random(size)
        splits.append((spiral_points(share), _tenth(share)))
    return splits


def spiral_points(share: np.ndarray) -> np.ndarray:
    """Points of an Archimedean spiral (radius proportional to angle) of 2 turns, from the centre to radius 1.

    Args:
        share: float [N] in [0, 1], the share of the curve that lies before the point. The length of the curve
            grows with the square of the radius, but for a correction near the centre that is left out.

    Returns:
        float32 [N, 1, 1, 2] in [-1, 1].
    """
    radius = np.sqrt(share)
    angle = 2 * np.pi * SPIRAL_TURNS * radius
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return points[:, None, None, :].astype(np.float32)


def spiral_curve() -> np.ndarray:
    """The spiral itself as a polyline, float32 [20,001, 2] from the centre on; 1e-7 off the curve at most."""
    return spiral_points(np.linspace(0, 1, CURVE_VERTICES) ** 2).reshape(-1, 2)


def _tenth(share: np.ndarray) -> np.ndarray:
    """[0, 1) -> int64 label 0 .. 9."""
    return np.floor(LABELS * share).astype(np.int64)


GENERATORS = {"lines": lines, "spiral": spiral}
