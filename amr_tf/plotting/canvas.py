"""Pictures from arrays of images, pixel by pixel: grids, sprites, PNG and GIF bytes. NumPy and Pillow only."""

import io
import math

import numpy as np
from PIL import Image

from amr_tf.data import pixels

FRAME_MILLISECONDS = 120
GAP = 2  # pixels between the images of a grid
BACKGROUND = 255
SHOWN_WIDTH = 64  # pixels that smaller images are enlarged to


def grid(rows: list[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Arranges images in rows.

    Args:
        rows: images [N, H, W, C] of each row, float in [-1, 1].
        gap: pixels around each image.

    Returns:
        uint8 [H', W', 3].
    """
    stacked = pixels.to_uint8(np.stack(rows))
    framed = np.pad(stacked, [(0, 0)] * 2 + [(gap, 0)] * 2 + [(0, 0)], constant_values=BACKGROUND)
    count, columns, height, width, channels = framed.shape
    joined = framed.swapaxes(1, 2).reshape(count * height, columns * width, channels)
    closed = np.pad(joined, [(0, gap), (0, gap), (0, 0)], constant_values=BACKGROUND)
    return np.broadcast_to(closed, (*closed.shape[:2], 3)).copy()


def blend(x1: np.ndarray, x2: np.ndarray, steps: int) -> np.ndarray:
    """Cross-fades the pixels of x1 [B, H, W, C] into those of x2: [B, steps, H, W, C], both ends included."""
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None, None, None]
    return (1 - share) * x1[:, None] + share * x2[:, None]


def stack(pictures: list[np.ndarray], gap: int) -> np.ndarray:
    """Stacks pictures vertically, each centred, with `gap` rows of background between them: uint8 [H', W, 3]."""
    width = max(picture.shape[1] for picture in pictures)
    parts = []
    for number, picture in enumerate(pictures):
        free = width - picture.shape[1]
        padding = [(gap if number else 0, 0), (free // 2, free - free // 2), (0, 0)]
        parts.append(np.pad(picture, padding, constant_values=BACKGROUND))
    return np.concatenate(parts)


def sprite(images: np.ndarray) -> np.ndarray:
    """Tiles images row by row into a square without gaps, from which TensorBoard's projector cuts its thumbnails.

    Args:
        images: float [N, H, W, C] in [-1, 1].

    Returns:
        uint8 [S H, S W, 3] with S = ceil(sqrt(N)); unused tiles are black.
    """
    side = math.ceil(math.sqrt(len(images)))
    square = np.full((side * side, *images.shape[1:]), -1.0, np.float32)
    square[: len(images)] = images
    return grid(list(square.reshape(side, side, *images.shape[1:])), gap=0)


def factor(width: int) -> int:
    """Returns the factor by which images of this width are enlarged to about SHOWN_WIDTH."""
    return max(1, SHOWN_WIDTH // width)


def enlarge(picture: np.ndarray, factor: int) -> np.ndarray:
    """Turns every pixel into a square of factor x factor: [H, W, 3] -> [factor H, factor W, 3]."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def gif(frames: list[np.ndarray]) -> bytes:
    """Encodes pictures uint8 [H, W, 3] of one size as an endlessly repeating GIF."""
    buffer = io.BytesIO()
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=FRAME_MILLISECONDS, loop=0)
    return buffer.getvalue()


def png(picture: np.ndarray) -> bytes:
    """Encodes a picture uint8 [H, W, 3] as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
