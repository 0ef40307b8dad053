"""Decoding of image files in a TensorFlow graph. Pixels equal the output of `data.decoding.decode` up to rounding.

With this module, an exported model reads image files without Python. Supported files are PNG, JPEG, GIF, and BMP with
24 bits or with 8-bit greyscale. If TensorFlow's decoders and Pillow disagree on a kind of file, files of this kind
cause an error. `tests/serving/test_picture_files.py` measures the differences for each kind of file.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from amr_tf.data.decoding import DEEP, SPARE

LUMA = (19_595, 38_470, 7_471)  # weights of R, G and B (ITU-R 601) in units of 1/65536, rounded as in Pillow
# Pattern of the EXIF entries (in both byte orders) and XMP entries that rotate or mirror an image.
TURNED = rb"\x12\x01\x03\x00\x01\x00\x00\x00[\x02-\x08]\x00|\x01\x12\x00\x03\x00\x00\x00\x01\x00[\x02-\x08]"
TURNED += rb"|tiff:Orientation(=\"|>)[2-8]"
STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")  # first bytes of PNG, JPEG, GIF and BMP files
SHADES = b"".join(bytes([shade, shade, shade, 0]) for shade in range(256))  # palette of a greyscale BMP file


def read(data: tf.Tensor, image_shape: tuple[int, int, int], white: int = DEEP) -> tf.Tensor:
    """Decodes one image file. The middle square of the image is cropped and resized to the model's image size.

    Args:
        data: the file's bytes, a string scalar.
        image_shape: (S, S, C) with C 1 (grey) or 3 (RGB).
        white: value of 16-bit greyscale images that is converted to white.

    Returns:
        Pixels float32 [S, S, C], integers in 0 .. 255.
    """
    _, size, channels = image_shape
    starts = [tf.strings.substr(data, 0, len(start)) == start for start in STARTS]
    known = tf.reduce_any(starts)
    data = _refuse(data, ~known, "The picture is not a PNG, JPEG, GIF or BMP file")
    pattern = rb"(?s)\C*(" + TURNED + rb")\C*"
    data = _refuse(
        data,
        tf.strings.regex_full_match(data, pattern),
        "The picture is turned by its EXIF data: turn its pixels",
    )
    kind = tf.argmax(tf.cast(starts, tf.int32), output_type=tf.int32)
    decoders: list[Callable[[], tf.Tensor]] = [
        lambda: _png(data, white), lambda: _jpeg(data, size), lambda: _gif(data), lambda: _bmp(data),
    ]  # fmt: skip
    picture = tf.switch_case(kind, decoders)
    if channels == 1:
        weighted = tf.reduce_sum(picture * tf.constant(LUMA), axis=-1, keepdims=True)
        picture = (weighted + 32_768) // 65_536
    return _fit(tf.cast(picture, tf.float32), size)


def _refuse(data: tf.Tensor, condition: tf.Tensor, message: str) -> tf.Tensor:
    """Returns the data. If the condition is true, the graph fails with the message and the name of the input."""
    with tf.control_dependencies([tf.debugging.Assert(~condition, [f"image_bytes: {message}"])]):
        return tf.identity(data)


def _numbers(data: tf.Tensor, first: int, count: int) -> tf.Tensor:
    """Returns `count` bytes of a file as integers, int32 [count]. `first` is the position of the first byte."""
    return tf.cast(tf.io.decode_raw(tf.strings.substr(data, first, count), tf.uint8), tf.int32)


def _png(data: tf.Tensor, white: int) -> tf.Tensor:
    """Decodes a PNG file to int32 [H, W, 3] in 0 .. 255.

    16-bit values are converted to 8 bits as in `data.decoding`. Transparent pixels are blended with white.
    """
    depth, colours = tf.unstack(_numbers(data, 24, 2), num=2)
    deep = tf.cast(tf.io.decode_png(data, 4, tf.uint16), tf.int32)
    deep_grey = (depth == 16) & (colours == 0)
    scaled = (tf.minimum(deep, white) * 255 + white // 2) // white
    # TensorFlow decodes 8-bit values to multiples of 257. For 16-bit colours, Pillow uses the high byte.
    rgb, alpha = tf.split(tf.where(deep_grey, scaled, deep // 256), [3, 1], axis=-1)
    # TensorFlow 2.21 returns a wrong alpha channel if a file with fewer than 8 bits has no alpha channel.
    clear = (colours >= 4) | tf.strings.regex_full_match(data, rb"(?s)\C*tRNS\C*")
    alpha = tf.where(clear & ~deep_grey, alpha, 255)
    blended = tf.cast(rgb * alpha, tf.float32) / 255 + tf.cast(255 - alpha, tf.float32)
    return tf.cast(tf.round(blended), tf.int32)


def _jpeg(data: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes a JPEG file to int32 [H, W, 3]. Large images are reduced in the same cases as in `data.decoding`."""
    height, width, components = tf.unstack(tf.io.extract_jpeg_shape(data), num=3)
    data = _refuse(data, components == 4, "The picture is a JPEG file in CMYK: convert it to RGB")
    ratio = tf.minimum(height, width) // (SPARE * size)
    options = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}
    branches = [lambda ratio=ratio: tf.io.decode_jpeg(data, ratio=ratio, **options) for ratio in (1, 2, 4, 8)]
    index = tf.reduce_sum(tf.cast(ratio >= tf.constant([2, 4, 8]), tf.int32))
    return tf.cast(tf.switch_case(index, branches), tf.int32)


def _gif(data: tf.Tensor) -> tf.Tensor:
    """Decodes the first frame of a GIF file to int32 [H, W, 3]."""
    content = tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int32)
    transparent = _has(content[:-1], [0x21, 0xF9, 4]) & (content[3:] % 2 == 1)
    data = _refuse(
        data, tf.reduce_any(transparent), "The picture is a GIF file with transparency: convert it to PNG"
    )
    frame = tf.concat([[0x2C, 0, 0, 0, 0], content[6:10]], axis=0)
    whole = tf.reduce_any(_has(content, tf.unstack(frame, num=9)))
    data = _refuse(data, ~whole, "The first frame of the GIF file is not a whole picture: convert it to PNG")
    return tf.cast(tf.io.decode_gif(data)[0], tf.int32)


def _has(content: tf.Tensor, wanted: Sequence) -> tf.Tensor:
    """Returns true for each position at which the sequence `wanted` starts, bool [N - len(wanted) + 1]."""
    count = tf.shape(content)[0] - len(wanted) + 1
    return tf.reduce_all([content[i : i + count] == number for i, number in enumerate(wanted)], axis=0)


def _bmp(data: tf.Tensor) -> tf.Tensor:
    """Decodes a BMP file to int32 [H, W, 3]."""
    bits, compression = tf.unstack(tf.reshape(_numbers(data, 28, 4), (2, 2)) @ [[1], [256]], num=2)
    # TensorFlow decodes palette indices as grey values. This is correct only for the palette SHADES.
    grey = (bits[0] == 8) & (tf.strings.substr(data, 54, len(SHADES)) == SHADES)
    plain = (grey | (bits[0] == 24)) & (compression[0] == 0)
    data = _refuse(
        data, ~plain, "The picture is a BMP file of other than 24 bits per pixel: convert it to PNG"
    )
    picture = tf.cast(tf.io.decode_bmp(data), tf.int32)
    return tf.broadcast_to(picture, tf.concat([tf.shape(picture)[:2], [3]], axis=0))


def _fit(image: tf.Tensor, size: int) -> tf.Tensor:
    """Crops and resizes as `ImageOps.fit` with Pillow's bilinear filter.

    The width is resized before the height. Values are rounded to integers after each of the two steps.
    """
    height, width = tf.unstack(tf.shape(image)[:2], num=2)
    side = tf.minimum(height, width)
    rows = tf.floor(tf.einsum("ow,hwc->hoc", _filter(width, side, size), image) + 0.5)
    return tf.floor(tf.einsum("oh,hwc->owc", _filter(height, side, size), rows) + 0.5)


def _filter(length: tf.Tensor, side: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the weight of each source pixel in each resized pixel along one direction, float32 [size, length].

    The filter is triangular. `side` is the length of the cropped part.
    """
    exact = [tf.cast(number, tf.float64) for number in (length, side)]
    scale = exact[1] / size
    support = tf.maximum(scale, 1.0)
    centre = (exact[0] - exact[1]) / 2 + (tf.range(size, dtype=tf.float64) + 0.5) * scale
    place = tf.range(exact[0], dtype=tf.float64)
    first, last = tf.floor(tf.maximum(centre - support + 0.5, 0)), tf.floor(centre + support + 0.5)
    inside = (place >= first[:, None]) & (place < last[:, None])
    weights = tf.maximum(1 - tf.abs(place + 0.5 - centre[:, None]) / support, 0) * tf.cast(inside, tf.float64)
    return tf.cast(weights / tf.reduce_sum(weights, axis=1, keepdims=True), tf.float32)
