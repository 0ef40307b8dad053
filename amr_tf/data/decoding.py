"""One picture file as square pixels: upright, in grey or RGB. Needs NumPy and Pillow only."""

import os
import warnings
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from amr_tf.runtime.errors import DataError, one_line

# Formats that Pillow may try, whatever a file's name: readers of some others start programs.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B")
# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where it stays at least this many times as wide as requested.
_SPARE = 2


class Note(NamedTuple):
    """Properties of a picture file, and the changes made to it."""

    mode: str  # Pillow's name of the file's mode, such as RGBA
    change: int  # of its size: -1 reduced, 1 enlarged, 0 neither
    cut: bool  # to a square
    turned: bool  # upright, by its EXIF data
    transparent: bool  # in places, which became white
    blank: bool  # of one colour throughout

    @property
    def grey(self) -> bool:
        return self.mode in GREY_MODES


def decode(path: str | os.PathLike[str], size: int, channels: int | None = None) -> tuple[np.ndarray, Note]:
    """Reads the first frame of a PNG, JPEG, WebP, BMP or GIF file.

    The shorter side is resized to `size` with antialiasing; the middle of the longer side is kept.

    Args:
        channels: 1 converts to grey, 3 to RGB; None keeps grey files grey.

    Returns:
        uint8 [size, size, channels] and what was done.

    Raises:
        Exception: any error of Pillow's; broken files raise many kinds.
    """
    with Image.open(path, formats=FORMATS) as image:
        mode, (width, height) = image.mode, image.size
        image.draft(None, (_SPARE * size, _SPARE * size))
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        plain, transparent = _plain(ImageOps.exif_transpose(image))
    if channels:
        plain = plain.convert("L" if channels == 1 else "RGB")
    pixels = square(plain, size)
    note = Note(
        mode=mode,
        change=int(np.sign(size - min(width, height))),
        cut=width != height,
        turned=orientation in range(2, 9),
        transparent=transparent,
        blank=bool((pixels == pixels[0, 0]).all()),
    )
    return pixels, note


def square(image: Image.Image, size: int) -> np.ndarray:
    """Cuts the middle square of an image of mode L or RGB and resizes it, antialiased: uint8 [size, size, C]."""
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)).reshape(size, size, -1)


def read(path: str, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Reads a picture uint8 [S, S, C] for a model as a folder of training pictures is read; C is 1 (grey) or 3 (RGB).

    Raises:
        DataError: the file cannot be read, or is too large for Pillow's limit.
    """
    _, size, channels = image_shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return decode(path, size, channels)[0]
    except Exception as error:
        raise DataError(f"The picture cannot be read: {path}: {one_line(error)}") from error


def _plain(image: Image.Image) -> tuple[Image.Image, bool]:
    """Converts to mode L or RGB, 16 bits to 8 and transparency to white; True where anything was transparent."""
    target = "L" if image.mode in GREY_MODES else "RGB"
    if image.mode.startswith("I"):
        # Pillow's own conversion cuts values above 255 off.
        deep = np.clip(np.asarray(image, np.int64), 0, 65_535)
        return Image.fromarray(((deep * 255 + 32_767) // 65_535).astype(np.uint8)), False
    if not image.has_transparency_data:
        return image.convert(target), False
    layer = image.convert("RGBA")
    transparent = bool(np.asarray(layer)[..., 3].min() < 255)
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert(target), transparent
