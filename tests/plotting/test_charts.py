"""Charts show their data, with nothing cut off."""

import matplotlib
import numpy as np
import pytest

from amr_tf.plotting import charts

REAL, MIXED = np.random.default_rng(0).uniform(-1, 1, (2, 50, 3))


@pytest.mark.parametrize("label", ["short", "Male, Heavy_Makeup, Wearing_Lipstick, Wavy_Hair"])
def test_labels_are_whole_and_pixels_unchanged(label):
    picture = np.random.default_rng(0).integers(0, 256, (80, 10, 3), np.uint8)
    labelled = charts.labelled(picture, [label, "two\nlines"])
    np.testing.assert_array_equal(labelled[:, -10:], picture)
    column = labelled[:, :-10]
    for half in (column[:40], column[40:]):
        dark = np.argwhere(half.min(axis=2) < 128)
        assert dark[:, 0].min() > 0
        assert dark[:, 0].max() < 39
        assert dark[:, 1].min() >= charts.LABEL_MARGIN - 1
        assert dark[:, 1].max() <= column.shape[1] - charts.LABEL_MARGIN


def test_masks_are_heat_maps_with_numbered_maps():
    values = np.random.default_rng(0).random((3, 5))
    figure = charts.masks([charts.Mask("maps", 129, values)], ["none", "a", "b"])
    (image,) = figure.axes[0].images
    np.testing.assert_array_equal(image.get_array(), values)
    shown = image.get_cmap().name, image.get_clim(), image.get_interpolation()
    assert shown == ("viridis", (0, 1), "nearest")
    assert image.get_extent() == [128.5, 133.5, 2.5, -0.5]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["none", "a", "b"]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("count", [1, 5])
def test_clouds_have_a_panel_each_with_mixes_on_top(dimensions, count):
    clouds = [charts.Cloud(f"{n}\nline", REAL[:, :dimensions], MIXED[:, :dimensions]) for n in range(count)]
    figure = charts.clouds(clouds)
    picture = charts.picture(figure)
    assert [axes.get_title() for axes in figure.axes] == [cloud.title for cloud in clouds]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(charts.POINTS[dimensions])
    for axes in figure.axes:
        title = axes.title.get_window_extent()
        assert title.y1 <= picture.shape[0]
        assert title.x0 >= 0
        (points,) = axes.collections
        assert len(points.get_facecolor()) == 100
        if dimensions == 2:
            np.testing.assert_array_equal(points.get_offsets(), np.concatenate([REAL, MIXED])[:, :2])
            assert axes.get_xlim() == axes.get_ylim() == (-1.2, 1.2)
            np.testing.assert_allclose(points.get_facecolor()[-1, :3], [1, 127 / 255, 14 / 255])


def test_settings_of_matplotlib_are_not_the_users():
    """They are applied again afterwards."""
    values = np.linspace(0, 1, 12).reshape(3, 4)
    masks = [charts.Mask("maps", 1, values)]
    expected = charts.picture(charts.masks(masks, list("abc")))
    with matplotlib.rc_context({"figure.facecolor": "red", "font.size": 20, "axes.grid": True}):
        np.testing.assert_array_equal(charts.picture(charts.masks(masks, list("abc"))), expected)
        assert matplotlib.rcParams["font.size"] == 20
