"""Decoding of one image file: the result is upright, square, and greyscale or RGB."""

import hashlib
import io
import os
import pathlib
import warnings
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from amr_tf.runtime import files
from amr_tf.runtime.errors import DataError, one_line

# Formats that Pillow may try, whatever the name of a file. Readers of some other formats start programs.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B")
PNG = b"\x89PNG\r\n\x1a\n"  # first bytes of a file
# Operations that rotate an image upright, by the image's EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
DEEP = 65_535  # largest value of 16 bits
# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if the result is at least this many times as wide as requested.
SPARE = 2


class Note(NamedTuple):
    """Properties of an image file, and the changes made to the image."""

    mode: str  # Pillow's name of the file's mode, such as RGBA
    change: int  # -1 if the image was reduced, 1 if it was enlarged, otherwise 0
    cut: bool  # true if the image was cropped to a square
    turned: bool  # true if the image was rotated upright by its EXIF data
    transparent: bool  # true if the image had transparent parts, which became white
    top: int  # largest value of a 16-bit greyscale image, 0 for other images
    blank: bool  # true if all pixels have the same colour
    sha256: bytes  # hash of the file

    @property
    def grey(self) -> bool:
        return self.mode in GREY_MODES


def decode(
    path: str | os.PathLike[str], size: int, channels: int | None = None, white: int = DEEP
) -> tuple[np.ndarray, Note]:
    """Reads the first frame of a PNG, JPEG, WebP, BMP or GIF file.

    The middle square of the image is cropped and resized to `size` with antialiasing.

    Args:
        channels: 1 converts to greyscale, 3 to RGB; None returns 1 channel for greyscale files and 3 for others.
        white: value of 16-bit greyscale images that is converted to white; 0 is converted to black.

    Returns:
        Pixels uint8 [size, size, channels], and a `Note` on the file and the changes.

    Raises:
        Exception: any error of Pillow, since broken files raise errors of many types.
    """
    content = files.regular(pathlib.Path(path)).read_bytes()
    try:
        found = _pixels(content, size, white)
    except Exception:
        if not content.startswith(PNG):
            raise
        found = _pixels(_without_metadata(content), size, white)
    mode, (width, height), turned, plain, transparent, top = found
    if channels:
        plain = plain.convert("L" if channels == 1 else "RGB")
    pixels = square(plain, size)
    note = Note(
        mode=mode,
        change=int(np.sign(size - min(width, height))),
        cut=width != height,
        turned=turned,
        transparent=transparent,
        top=top,
        blank=bool((pixels == pixels[0, 0]).all()),
        sha256=hashlib.sha256(content).digest(),
    )
    return pixels, note


def square(image: Image.Image, size: int) -> np.ndarray:
    """Crops the middle square of an image of mode L or RGB and resizes it with antialiasing: uint8 [size, size, C]."""
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)).reshape(size, size, -1)


def _pixels(
    content: bytes, size: int, white: int
) -> tuple[str, tuple[int, int], bool, Image.Image, bool, int]:
    """Decodes a file. Returns mode, size, true if the image was rotated, and the three results of `_plain`."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        mode, extent = image.mode, image.size
        image.draft(None, (SPARE * size, SPARE * size))
        turn = TURNS.get(_orientation(image))
        image.load()
        upright = image if turn is None else image.transpose(turn)
        return mode, extent, turn is not None, *_plain(upright, white)


def _orientation(image: Image.Image) -> int:
    """Returns the orientation in an image's EXIF or XMP data; 1 (upright) if these data are damaged."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # errors of many types; image viewers ignore them too
        return 1


def _without_metadata(png: bytes) -> bytes:
    """Removes the chunks of a PNG file that do not affect its pixels, because Pillow rejects damaged or huge texts."""
    parts, place = [PNG], len(PNG)
    while place + 12 <= len(png):
        length, kind = int.from_bytes(png[place : place + 4]), png[place + 4 : place + 8]
        if kind[:1].isupper() or kind == b"tRNS":  # a critical chunk, or transparency
            parts.append(png[place : place + 12 + length])
        place += 12 + length
    return b"".join(parts)


def read(path: str, image_shape: tuple[int, int, int], white: int = DEEP) -> np.ndarray:
    """Reads an image for a model, converted like training images: uint8 [S, S, C], C = 1 (greyscale) or 3 (RGB).

    Raises:
        DataError: the file cannot be read, or is too large for Pillow's limit.
    """
    _, size, channels = image_shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # warnings about unusual metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return decode(path, size, channels, white)[0]
    except Exception as error:
        raise DataError(f"The picture cannot be read: {path}: {one_line(error)}") from error


def _plain(image: Image.Image, white: int) -> tuple[Image.Image, bool, int]:
    """Converts an image to mode L or RGB with 8 bits per channel, and transparent parts to white.

    Also returns true if a pixel was transparent, and the largest value of a 16-bit image (0 for other images).
    """
    target = "L" if image.mode in GREY_MODES else "RGB"
    if image.mode.startswith("I"):
        # Pillow's conversion would clip values above 255.
        deep = np.clip(np.asarray(image, np.int64), 0, DEEP)
        scaled = (np.minimum(deep, white) * 255 + white // 2) // white
        return Image.fromarray(scaled.astype(np.uint8)), False, int(deep.max())
    if not image.has_transparency_data:
        return image.convert(target), False, 0
    layer = image.convert("RGBA")
    transparent = bool(np.asarray(layer)[..., 3].min() < 255)
    return (
        Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert(target),
        transparent,
        0,
    )
