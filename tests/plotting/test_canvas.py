"""Pictures contain the images they were given, in their places."""

import io

import numpy as np
from PIL import Image

from amr_tf.plotting import canvas


def test_grid_places_images_row_by_row_and_clips_values():
    rows = [np.full((3, 4, 4, 1), value, "float32") for value in (-9.0, 9.0)]
    picture = canvas.grid(rows)
    assert picture.shape == (2 * 6 + 2, 3 * 6 + 2, 3)
    cells = np.full_like(picture, canvas.BACKGROUND)
    for column in (2, 8, 14):
        cells[2:6, column : column + 4] = 0
    np.testing.assert_array_equal(picture, cells)


def test_blend_goes_from_image_to_image():
    x1, x2 = (np.full((2, 4, 4, 1), value, "float32") for value in (-1.0, 1.0))
    np.testing.assert_allclose(canvas.blend(x1, x2, 5)[1, :, 0, 0, 0], [-1, -0.5, 0, 0.5, 1])


def test_enlarge_repeats_pixels_and_png_keeps_them():
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = canvas.enlarge(picture, 3)
    assert large.shape == (6, 6, 3)
    np.testing.assert_array_equal(large[::3, ::3], picture)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(canvas.png(large)))), large)


def test_stack_centres_and_leaves_gaps_between_only():
    wide, narrow = np.zeros((3, 6, 3), np.uint8), np.zeros((3, 2, 3), np.uint8)
    picture = canvas.stack([wide, narrow, wide], gap=4)
    assert picture.shape == (3 * 3 + 2 * 4, 6, 3)
    assert [bool(row.min() == 0) for row in picture] == 2 * (3 * [True] + 4 * [False]) + 3 * [True]
    assert picture[8, :, 0].tolist() == [255, 255, 0, 0, 255, 255]


def test_sprite_is_a_square_without_gaps_in_reading_order():
    """TensorBoard's projector finds image i at row i // 3, column i % 3 of a sprite of 5; unused places are black."""
    tiles = np.stack([np.full((2, 4, 1), value, "float32") for value in (-0.6, -0.2, 0.2, 0.6, 1.0)])
    picture = canvas.sprite(tiles)
    assert picture.shape == (3 * 2, 3 * 4, 3)
    assert picture[::2, ::4, 0].tolist() == [[51, 102, 153], [204, 255, 0], [0, 0, 0]]
