"""28 pixels to 32, bytes to floats and back, bits indexed as bytes."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amr_tf.data import pixels


def slow_resize(image, width):
    """torchvision's bilinear enlargement of one [S, S] image, pixel by pixel: rows, then columns, rounded each."""

    def stretch(line):
        out = []
        for j in range(width):
            centre = (j + 0.5) * len(line) / width
            pairs = [(max(0.0, 1 - abs(i + 0.5 - centre)), value) for i, value in enumerate(line)]
            total = sum(weight for weight, _ in pairs)
            out.append(math.floor(sum(weight * value for weight, value in pairs) / total + 0.5))
        return out

    wide = [stretch(line) for line in image.tolist()]
    return np.array([stretch(column) for column in zip(*wide, strict=True)]).T


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3]))
def test_resize_equals_a_slow_implementation(seed, colours):
    """Byte for byte, on images with every rounding case."""
    images = np.random.default_rng(seed).integers(0, 256, (2, 28, 28, colours), dtype=np.uint8)
    for image, found in zip(images, pixels.resize(images, 32), strict=True):
        expected = [slow_resize(image[..., colour], 32) for colour in range(colours)]
        np.testing.assert_array_equal(found, np.stack(expected, axis=-1))


def test_fit_pad_adds_a_black_frame():
    images = np.full((2, 28, 28, 1), 9, np.uint8)
    padded = pixels.fit(images, 32, "pad")
    assert padded.shape == (2, 32, 32, 1)
    assert (padded[:, 2:30, 2:30] == 9).all()
    assert padded.sum() == images.sum()


def test_fit_returns_images_that_fit():
    images = np.ones((2, 32, 32, 3), np.uint8)
    assert pixels.fit(images, 32, "resize") is images


def test_to_uint8_inverts_to_float():
    images = np.arange(256, dtype=np.uint8)
    x = pixels.to_float(images)
    assert x.dtype == np.float32
    assert (x.min(), x.max()) == (-1, 1)
    np.testing.assert_array_equal(pixels.to_uint8(x), images)
    np.testing.assert_array_equal(pixels.to_uint8(np.array([-7.0, 7.0])), [0, 255])


def test_packed_images_are_indexed_like_an_array():
    images = np.random.default_rng(1).integers(2, size=(9, 8, 8, 2), dtype=np.uint8)
    packed = pixels.PackedImages(np.packbits(images.reshape(9, -1), axis=1), (8, 8, 2))
    assert len(packed) == 9
    for rows in (slice(2, 5), slice(20), slice(0, 0), np.array([8, 0, 0])):
        assert packed[rows].dtype == np.uint8
        np.testing.assert_array_equal(packed[rows], 255 * images[rows])
        np.testing.assert_array_equal(packed.take(rows)[:], 255 * images[rows])
