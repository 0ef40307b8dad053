"""One picture file as square pixels: upright, in grey or RGB, whatever it was."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

# No others are tried, whatever a file is called: some formats' readers start programs.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B")
# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where it stays that many times as wide as wanted.
_SPARE = 2


class Note(NamedTuple):
    """What was done to a picture."""

    mode: str  # Pillow's name of what it was, such as RGBA
    change: int  # of its size: -1 made smaller, 1 enlarged, 0 neither
    cut: bool  # to a square
    turned: bool  # upright, as its EXIF data ask for
    transparent: bool  # in places, which are white now
    blank: bool  # of one colour throughout

    @property
    def grey(self) -> bool:
        return self.mode in GREY_MODES


def decode(path: Path, size: int) -> tuple[np.ndarray, Note]:
    """Reads the first frame of a PNG, JPEG, WebP, BMP or GIF file.

    Its shorter side is brought to `size`, antialiased, and the middle of the longer one kept.

    Args:
        path: the file.
        size: width and height wanted.

    Returns:
        uint8 [size, size, 3], or [size, size, 1] where the file holds grey, and what was done.

    Raises:
        Exception: whatever Pillow raises on a broken file, which is of many kinds.
    """
    with Image.open(path, formats=FORMATS) as image:
        mode, (width, height) = image.mode, image.size
        image.draft(None, (_SPARE * size, _SPARE * size))
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        plain, transparent = _plain(ImageOps.exif_transpose(image))
    square = np.asarray(ImageOps.fit(plain, (size, size), Image.Resampling.BILINEAR)).reshape(size, size, -1)
    note = Note(
        mode=mode,
        change=int(np.sign(size - min(width, height))),
        cut=width != height,
        turned=orientation in range(2, 9),
        transparent=transparent,
        blank=bool((square == square[0, 0]).all()),
    )
    return square, note


def _plain(image: Image.Image) -> tuple[Image.Image, bool]:
    """The same in mode L or RGB, 16 bits made 8 and what is transparent white; and whether anything was."""
    target = "L" if image.mode in GREY_MODES else "RGB"
    if image.mode.startswith("I"):
        # Pillow would cut values above 255 off.
        deep = np.clip(np.asarray(image, np.int64), 0, 65_535)
        return Image.fromarray(((deep * 255 + 32_767) // 65_535).astype(np.uint8)), False
    if not image.has_transparency_data:
        return image.convert(target), False
    layer = image.convert("RGBA")
    least = np.asarray(layer)[..., 3].min()
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert(target), bool(
        least < 255
    )
