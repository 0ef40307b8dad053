"""Grids and sprites of images, and encoding as PNG and GIF. This module uses NumPy and Pillow only."""

import io
import math

import numpy as np
from PIL import Image

from amr_tf.data import pixels

FRAME_MILLISECONDS = 120
GAP = 2  # pixels between the images of a grid
BACKGROUND = 255
SHOWN_WIDTH = 64  # smaller images are enlarged to about this width in pixels


def grid(rows: list[np.ndarray], gap: int = GAP) -> np.ndarray:
    """Arranges images in a grid.

    Args:
        rows: one array of images [N, H, W, C] per row of the grid, float in [-1, 1]. All rows have the same shape.
        gap: background pixels between images and at the border.

    Returns:
        The grid, uint8 [H', W', 3].
    """
    stacked = pixels.to_uint8(np.stack(rows))
    framed = np.pad(stacked, [(0, 0)] * 2 + [(gap, 0)] * 2 + [(0, 0)], constant_values=BACKGROUND)
    count, columns, height, width, channels = framed.shape
    joined = framed.swapaxes(1, 2).reshape(count * height, columns * width, channels)
    closed = np.pad(joined, [(0, gap), (0, gap), (0, 0)], constant_values=BACKGROUND)
    return np.broadcast_to(closed, (*closed.shape[:2], 3)).copy()


def blend(x1: np.ndarray, x2: np.ndarray, steps: int) -> np.ndarray:
    """Blends the images x1 and x2 [B, H, W, C] linearly in pixels: [B, steps, H, W, C], from x1 to x2 inclusive."""
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None, None, None]
    return (1 - share) * x1[:, None] + share * x2[:, None]


def stack(pictures: list[np.ndarray], gap: int) -> np.ndarray:
    """Stacks images vertically, each centred, with `gap` background rows between neighbours: uint8 [H', W, 3]."""
    width = max(picture.shape[1] for picture in pictures)
    parts = []
    for number, picture in enumerate(pictures):
        free = width - picture.shape[1]
        padding = [(gap if number else 0, 0), (free // 2, free - free // 2), (0, 0)]
        parts.append(np.pad(picture, padding, constant_values=BACKGROUND))
    return np.concatenate(parts)


def sprite(images: np.ndarray) -> np.ndarray:
    """Tiles images row by row into a square without gaps. TensorBoard's projector reads thumbnails from the square.

    Args:
        images: float [N, H, W, C] in [-1, 1].

    Returns:
        uint8 [S H, S W, 3] with S = ceil(sqrt(N)). Unused tiles are black.
    """
    side = math.ceil(math.sqrt(len(images)))
    square = np.full((side * side, *images.shape[1:]), -1.0, np.float32)
    square[: len(images)] = images
    return grid(list(square.reshape(side, side, *images.shape[1:])), gap=0)


def factor(width: int) -> int:
    """Returns the integer factor that enlarges images of this width to about SHOWN_WIDTH, at least 1."""
    return max(1, SHOWN_WIDTH // width)


def enlarge(picture: np.ndarray, factor: int) -> np.ndarray:
    """Enlarges an image by repeating pixels: [H, W, 3] -> [factor H, factor W, 3]."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def gif(frames: list[np.ndarray]) -> bytes:
    """Encodes frames uint8 [H, W, 3] of equal size as a GIF that loops forever."""
    buffer = io.BytesIO()
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=FRAME_MILLISECONDS, loop=0)
    return buffer.getvalue()


def png(picture: np.ndarray) -> bytes:
    """Encodes an image uint8 [H, W, 3] as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
