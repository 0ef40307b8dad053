"""Conversions of images: enlargement, scaling between bytes and [-1, 1], and packing of eight pixels into a byte."""

import dataclasses
from typing import Any

import numpy as np

ROUNDING = 1 / 255  # largest error of a pixel in [-1, 1] that is rounded to 8 bits


def fit(images: Any, width: int, image_fit: str) -> Any:
    """Enlarges small square images to `width`; images of that width are returned unchanged.

    Args:
        images: uint8 [N, S, S, C], S <= width. Images with S = width may have any type.
        width: width and height in pixels of the result.
        image_fit: `resize` interpolates as AMR's reference implementation does. `pad` adds black pixels on all sides as
            ACAI does.

    Returns:
        uint8 [N, width, width, C].
    """
    if images.shape[1] == width:
        return images
    if image_fit == "pad":
        before = (width - images.shape[1]) // 2
        after = width - images.shape[1] - before
        return np.pad(images, ((0, 0), (before, after), (before, after), (0, 0)))
    return resize(images, width)


def resize(images: np.ndarray, width: int) -> np.ndarray:
    """Enlarges square greyscale or RGB images bilinearly with Pillow, as torchvision does.

    Images are uint8 [N, S, S, 1 or 3], S <= width; the result is uint8 [N, width, width, C].
    """
    from PIL import Image  # imported here, because most uses of `data` do not need Pillow

    enlarged = np.empty((len(images), width, width, images.shape[3]), np.uint8)
    for old, new in zip(images, enlarged, strict=True):
        picture = Image.fromarray(old if old.shape[2] > 1 else old[..., 0])
        new[:] = np.asarray(picture.resize((width, width), Image.Resampling.BILINEAR)).reshape(new.shape)
    return enlarged


def to_float(images: Any) -> Any:
    """Scales uint8 in 0 .. 255 of any shape to float32 in [-1, 1]. Floating-point images are returned unchanged.

    A NumPy array gives a NumPy array, and a tensor gives a tensor.
    """
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8:
            return images
        return images.astype(np.float32) / np.float32(127.5) - np.float32(1.0)
    import tensorflow as tf  # already imported by the caller, who has a tensor

    return images if images.dtype.is_floating else tf.cast(images, tf.float32) / 127.5 - 1.0


def to_uint8(x: Any) -> Any:
    """Inverts `to_float`: clips an array or a tensor of any shape to [-1, 1] and converts the values to uint8."""
    if isinstance(x, np.ndarray):
        return np.rint((np.clip(x, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
    import tensorflow as tf

    return tf.cast(tf.round(tf.clip_by_value((x + 1) * 127.5, 0, 255)), tf.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class PackedImages:
    """Black and white images, stored as bits in an eighth of the memory. Indexing returns unpacked images.

    Attributes:
        bits: uint8 [N, H * W * C / 8]. The first pixel of an image is the highest bit of the image's first byte.
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
        """Unpacks the images in `rows`: uint8 [n, H, W, C], 0 or 255."""
        pixels = np.unpackbits(self.bits[rows], axis=1)
        return (255 * pixels).reshape(-1, *self.image_shape)

    def take(self, rows: slice | np.ndarray) -> "PackedImages":
        """Selects images without unpacking them."""
        return PackedImages(self.bits[rows], self.image_shape)
