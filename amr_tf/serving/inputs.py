"""A user's picture files, made into what a model takes. NumPy and Pillow only."""

import warnings

import numpy as np
from PIL import Image, ImageOps

from amr_tf.runtime.errors import DataError, one_line

_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # Pillow's modes of grey values up to 65,535
_BACKGROUND = "white"  # what a transparent picture is seen on in a browser


def read(path: str, image_shape: tuple[int, int, int]) -> np.ndarray:
    """A picture of any mode as the model sees it: turned as its camera says, without transparency, resized.

    As in `encode_png` the shorter side is resized to the model's and the middle cut out, with Pillow's bilinear filter,
    by which MNIST's digits get their 32 pixels in training, too. Of an animation the first frame counts.

    Args:
        path: of a file in any format that Pillow reads.
        image_shape: (H, W, C); one channel is grey, three are RGB.

    Returns:
        uint8 [H, W, C].

    Raises:
        DataError: the file cannot be read, or is no picture with known limits of its values.
    """
    height, width, channels = image_shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                upright = ImageOps.exif_transpose(file)
                picture = _eight_bits(upright).convert("L" if channels == 1 else "RGB")
    # Pillow's plugins raise whatever a damaged file makes them stumble over.
    except Exception as error:
        raise DataError(f"The picture cannot be read: {path}: {one_line(error)}") from error
    resized = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(height, width, channels)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """The same picture with 8 bits a channel and nothing transparent."""
    if picture.mode in _SIXTEEN_BITS:
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 65_535:
            raise ValueError("its grey values do not fit 16 bits")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError(
            "what is black and what is white in a picture of floating-point values, it does not say"
        )
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, _BACKGROUND), seen)
    return picture
