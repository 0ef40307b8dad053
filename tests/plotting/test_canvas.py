"""Pictures hold the images they were given, where they should be."""

import io

import numpy as np
from PIL import Image

from amr_tf.plotting import canvas


def test_grid_places_images_row_by_row():
    rows = [np.full((3, 4, 4, 1), value, "float32") for value in (-1.0, 1.0)]
    picture = canvas.grid(rows)
    assert picture.shape == (2 * 6 + 2, 3 * 6 + 2, 3)
    assert np.all(picture[2:6, 2:6] == 0)
    assert np.all(picture[8:12, 14:18] == 255)


def test_values_beyond_the_range_are_clipped():
    picture = canvas.grid([np.array([[[[-9.0]]], [[[9.0]]]], "float32")])
    assert picture[2, 2].tolist() == [0, 0, 0]
    assert picture[2, 5].tolist() == [255, 255, 255]


def test_scatter_puts_points_where_they_are_and_mixes_on_top():
    """x to the right, y upwards; a point at the origin is in the middle; what lies outside is left out."""
    real = np.array([[0.0, 0.0], [1.0, 1.0], [50.0, 0.0]])
    picture = canvas.scatter(real, np.array([[0.0, 0.0]]), size=101)
    assert tuple(picture[50, 50]) == canvas.ORANGE
    blue = np.argwhere(np.all(picture == canvas.BLUE, axis=-1))
    assert blue[:, 0].max() < 50, "up is towards row 0"
    assert blue[:, 1].min() > 50


def test_enlarge_repeats_pixels_and_png_keeps_them():
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = canvas.enlarge(picture, 3)
    assert large.shape == (6, 6, 3)
    np.testing.assert_array_equal(large[::3, ::3], picture)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(canvas.png(large)))), large)


def test_stack_leaves_a_gap_between_pictures_only():
    black, white = np.zeros((3, 5, 3), np.uint8), 255
    picture = canvas.stack([black, black, black], gap=4)
    assert picture.shape == (3 * 3 + 2 * 4, 5, 3)
    assert [bool(row.max() == 0) for row in picture] == 2 * (3 * [True] + 4 * [False]) + 3 * [True]
    assert np.all(picture[3:7] == white)


def test_sprite_is_a_square_without_gaps_in_reading_order():
    """TensorBoard's projector finds image i at row i // 3, column i % 3 of a sprite of 5; the rest stays black."""
    tiles = np.stack([np.full((2, 4, 1), value, "float32") for value in (-0.6, -0.2, 0.2, 0.6, 1.0)])
    picture = canvas.sprite(tiles)
    assert picture.shape == (3 * 2, 3 * 4, 3)
    assert picture[::2, ::4, 0].tolist() == [[51, 102, 153], [204, 255, 0], [0, 0, 0]]


def test_a_title_is_above_and_pictures_stand_side_by_side():
    black = np.zeros((30, 200, 3), np.uint8)
    titled = canvas.with_title(black, ["one", "two"])
    assert titled.shape == (30 + 2 * canvas.TITLE_LINE, 200, 3)
    assert np.all(titled[-30:] == 0)
    strip = titled[:-30]
    for line in (strip[: canvas.TITLE_LINE], strip[canvas.TITLE_LINE :]):
        columns = np.flatnonzero(line.min(axis=(0, 2)) < 128)
        assert 80 < columns.mean() < 120, "in the middle"
    assert canvas.beside([black, black], gap=7).shape == (30, 407, 3)


def test_a_plot_in_3d_paints_nearer_points_over_farther_ones():
    """A red and a blue dot on the line of sight; what is higher up is nearer to the top of the picture."""
    toward = np.array([-np.sin(canvas.AZIMUTH), -np.cos(canvas.AZIMUTH), 0]) * np.cos(canvas.ELEVATION)
    toward[2] = np.sin(canvas.ELEVATION)
    for real, mixed, colour in ((toward, -toward, canvas.RED), (-toward, toward, canvas.BLUE)):
        picture = canvas.scatter_3d(real[None], mixed[None], size=480)
        np.testing.assert_allclose(picture[240, 240], colour, atol=3)
    up = canvas.scatter_3d(np.array([[0, 0, 1.0]]), np.array([[0, 0, -1.0]]), size=480)
    red, blue = (
        np.argwhere(up[..., channel] > up[..., other] + 40.0)[:, 0] for channel, other in ((0, 2), (2, 0))
    )
    assert red.mean() < 240 < blue.mean()


def test_labels_are_whole_however_long():
    """Black letters end before the picture, which begins where the column does."""
    picture = np.full((40, 10, 3), 200, np.uint8)
    for label in ("short", "Male, Heavy_Makeup, Wearing_Lipstick, Wavy_Hair"):
        labelled = canvas.with_labels(picture, [label, "two\nlines"])
        column = labelled[:, :-10]
        assert column.shape[1] >= canvas.LABEL_WIDTH
        assert np.all(labelled[:, -10:] == 200)
        assert np.all(column[:, -4:] == canvas.BACKGROUND)
        assert column[:20].min() < 100
