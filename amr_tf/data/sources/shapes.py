"""Coloured shapes with four attributes, generated for supervised mixing. Only NumPy is needed.

An attribute is 0 or 1: diamond or square, small or large, outlined or filled, red or blue. Position, exact size, tone
and the grey of the background vary randomly, so that no two images are equal.
"""

import numpy as np

from amr_tf.data.catalog import DatasetSpec, Places
from amr_tf.data.sources import Examples, labels_of

WIDTH = 32
SIZES = (20_000, 2_000, 2_000)
# Ranges of the side of small and of large shapes, in pixels. A diamond is a square that is rotated by 45 degrees.
SIDES = ((10.0, 12.0), (16.5, 18.5))
REACH = 2.5  # largest distance in pixels between the centres of shape and image, in each direction
OUTLINE = 3.0  # width in pixels
COLOURS = np.array([[225, 60, 50], [50, 80, 225]], np.float32)
TONE = 0.2  # largest relative change of a colour channel
GREYS = (0, 40)  # range of the background

_SEED = 20190307
# Number of images rendered at a time, which limits float copies to about 40 MB.
_CHUNK = 1_000


def read(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Generates 20,000 / 2,000 / 2,000 examples: images uint8 [N, 32, 32, 3], labels, and attributes [N, 4].

    All 16 combinations of attributes are equally likely. The label is the number of the combination.
    """
    parts = []
    for number, size in enumerate(SIZES):
        rng = np.random.default_rng((_SEED, number))
        attributes = rng.integers(2, size=(size, 4), dtype=np.uint8)
        parts.append(Examples(render(attributes, rng), labels_of(attributes), attributes))
    return spec, parts


def render(attributes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Renders images uint8 [N, 32, 32, 3] for attributes uint8 [N, 4], 0 or 1: square, large, filled, blue."""
    square, large, filled, blue = attributes.astype(bool).T
    low, high = np.array(SIDES, np.float32)[large.astype(int)].T
    side = low + (high - low) * rng.random(len(attributes), np.float32)
    centre = rng.uniform(-REACH, REACH, (len(attributes), 2)).astype(np.float32)
    tone = rng.uniform(1 - TONE, 1 + TONE, (len(attributes), 3)).astype(np.float32)
    colour = np.minimum(COLOURS[blue.astype(int)] * tone, 255)
    grey = rng.uniform(*GREYS, len(attributes)).astype(np.float32)
    images = np.empty((len(attributes), WIDTH, WIDTH, 3), np.uint8)
    for first in range(0, len(attributes), _CHUNK):
        part = slice(first, first + _CHUNK)
        share = cover(square[part], filled[part], side[part], centre[part])[..., None]
        background = grey[part, None, None, None]
        images[part] = np.rint(background + share * (colour[part, None, None, :] - background))
    return images


def cover(square: np.ndarray, filled: np.ndarray, side: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Returns the fraction of each pixel that a shape covers, float32 [N, 32, 32].

    At an edge, the fraction falls linearly from 1 to 0 over one pixel.
    """
    place = np.arange(WIDTH, dtype=np.float32) + 0.5 - WIDTH / 2
    x = np.abs(place[None, None, :] - centre[:, 0, None, None])
    y = np.abs(place[None, :, None] - centre[:, 1, None, None])
    square, filled, side = (value[:, None, None] for value in (square, filled, side))
    outside = np.where(square, np.maximum(x, y), (x + y) / np.float32(np.sqrt(2))) - side / 2
    # An outline is drawn inside the shape's edge.
    edge = np.where(filled, outside, np.maximum(outside, -outside - np.float32(OUTLINE)))
    return np.clip(0.5 - edge, 0, 1)
