"""Images as numbers: 28 pixels to 32, bytes to [-1, 1] and back, eight pixels in a byte. NumPy only."""

import dataclasses
from typing import Any

import numpy as np

# Images resized at a time: bounds the float copies to about 40 MB.
_CHUNK = 5_000


def fit(images: Any, width: int, image_fit: str) -> Any:
    """Enlarges small square images to `width`; images of that width are returned unchanged.

    Args:
        images: uint8 [N, S, S, C], S <= width, or images of that width of any kind.
        width: width and height in pixels of the result.
        image_fit: `resize`, as the AMR code does, or `pad` with black on all sides, as ACAI does.

    Returns:
        uint8 [N, width, width, C].

    Raises:
        ValueError: `image_fit` is something else.
    """
    if images.shape[1] == width:
        return images
    if image_fit == "pad":
        before = (width - images.shape[1]) // 2
        after = width - images.shape[1] - before
        return np.pad(images, ((0, 0), (before, after), (before, after), (0, 0)))
    if image_fit == "resize":
        return resize(images, width)
    raise ValueError(f"image_fit must be 'resize' or 'pad'. Received: {image_fit!r}")


def resize(images: np.ndarray, width: int) -> np.ndarray:
    """Enlarges square images bilinearly, to the same bytes as torchvision on a PIL image.

    PIL filters rows, then columns, and rounds to a byte after each pass. The weights of 28 -> 32 are multiples of
    1/16, hence float32 is exact.

    Args:
        images: uint8 [N, S, S, C], S <= width.

    Returns:
        uint8 [N, width, width, C].
    """
    weights = _triangle_weights(images.shape[1], width)
    enlarged = np.empty((len(images), width, width, images.shape[3]), np.uint8)
    for start in range(0, len(images), _CHUNK):
        rows = images[start : start + _CHUNK].transpose(0, 3, 1, 2).astype(np.float32)
        wide = np.floor(rows @ weights.T + 0.5)
        square = np.floor(weights @ wide + 0.5)
        enlarged[start : start + _CHUNK] = square.transpose(0, 2, 3, 1)
    return enlarged


def _triangle_weights(source: int, target: int) -> np.ndarray:
    """float32 [target, source]: share of each old pixel in each new one. Rows sum to 1."""
    centres = (np.arange(target) + 0.5) * source / target
    distances = np.abs(centres[:, None] - (np.arange(source) + 0.5))
    weights = np.maximum(0.0, 1.0 - distances)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def to_float(images: Any) -> Any:
    """Scales uint8 in 0 .. 255 of any shape to float32 in [-1, 1]. Floating-point images are returned unchanged.

    Args:
        images: a NumPy array or a tensor; so is the result.
    """
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8:
            return images
        return images.astype(np.float32) / np.float32(127.5) - np.float32(1.0)
    import tensorflow as tf  # loaded already where there is a tensor

    return images if images.dtype.is_floating else tf.cast(images, tf.float32) / 127.5 - 1.0


def to_uint8(x: Any) -> Any:
    """Inverts `to_float`: floats in [-1, 1] of any shape, clipped, to uint8. Takes a NumPy array or a tensor."""
    if isinstance(x, np.ndarray):
        return np.rint((np.clip(x, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
    import tensorflow as tf

    return tf.cast(tf.round(tf.clip_by_value((x + 1) * 127.5, 0, 255)), tf.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class PackedImages:
    """Black and white images, kept as bits: an eighth of the memory. Indexing gives bytes.

    Attributes:
        bits: uint8 [N, H * W * C / 8], an image's first pixel in the highest bit of its first byte.
        image_shape: (H, W, C).
    """

    bits: np.ndarray
    image_shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.bits)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""
        return (len(self.bits), *self.image_shape)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Unpacks some images: uint8 [n, H, W, C], 0 or 255."""
        pixels = np.unpackbits(self.bits[rows], axis=1)
        return (255 * pixels).reshape(-1, *self.image_shape)

    def take(self, rows: slice | np.ndarray) -> "PackedImages":
        """Selects images, which stay packed."""
        return PackedImages(self.bits[rows], self.image_shape)
