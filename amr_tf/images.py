"""Pictures from arrays of images: grids, scatter plots of points, PNG bytes. NumPy and Pillow only."""

import io

import numpy as np
from PIL import Image

from amr_tf.data import pixels

GAP = 2  # pixels between the images of a grid
BACKGROUND = 255
BLUE, ORANGE = (31, 119, 180), (255, 127, 14)


def grid(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of images, each [N, H, W, C] float in [-1, 1] -> one picture uint8 [H', W', 3]."""
    stacked = pixels.to_uint8(np.stack(rows))
    if stacked.shape[-1] == 1:
        stacked = np.repeat(stacked, 3, axis=-1)
    count, columns, height, width, _ = stacked.shape
    canvas = np.full((count * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), BACKGROUND, np.uint8)
    for i in range(count):
        for j in range(columns):
            top, left = GAP + i * (height + GAP), GAP + j * (width + GAP)
            canvas[top : top + height, left : left + width] = stacked[i, j]
    return canvas


def scatter(real: np.ndarray, mixed: np.ndarray, size: int = 400) -> np.ndarray:
    """Points [N, ..., 2] in about [-1, 1]: real ones blue, mixes orange over them -> picture uint8 [size, size, 3]."""
    canvas = np.full((size, size, 3), BACKGROUND, np.uint8)
    for points, colour in ((real, BLUE), (mixed, ORANGE)):
        place = np.round((np.reshape(points, (-1, 2)) / 1.2 + 1) / 2 * (size - 1)).astype(int)
        place = place[np.all((place >= 1) & (place < size - 1), axis=1)]
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                canvas[size - 1 - place[:, 1] + dy, place[:, 0] + dx] = colour
    return canvas


def enlarge(picture: np.ndarray, factor: int) -> np.ndarray:
    """Every pixel as a square of factor x factor: [H, W, 3] -> [factor H, factor W, 3]."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def png(picture: np.ndarray) -> bytes:
    """uint8 [H, W, 3] -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
