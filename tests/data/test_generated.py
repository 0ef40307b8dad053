"""The lines and the spiral, and what the drawn data sets have in common."""

import pathlib

import numpy as np
import pytest

from amr_tf.data.catalog import LINES, SHAPES, SPIRAL, Places
from amr_tf.data.sources import generated

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"


def splits(spec):
    return spec.read(Places())[1]


@pytest.mark.parametrize(
    ("spec", "sizes", "dtype"),
    [
        (LINES, (50_000, 5_000, 5_000), np.uint8),
        (SPIRAL, (10_000, 1_000, 1_000), np.float32),
        (SHAPES, (20_000, 2_000, 2_000), np.uint8),
    ],
)
def test_read_repeats_fits_the_spec_and_draws_splits_apart(spec, sizes, dtype):
    """Every run is evaluated on the same examples, whatever its seed."""
    rows = []
    for part, again, size in zip(splits(spec), splits(spec), sizes, strict=True):
        for column, same in zip(part, again, strict=True):
            np.testing.assert_array_equal(column, same)
        assert part.images.shape == (size, *spec.image_shape)
        assert (part.images.dtype, part.labels.dtype) == (dtype, np.int64)
        assert np.bincount(part.labels).shape == (spec.classes,)
        assert np.bincount(part.labels).min() > 0.8 * size / spec.classes
        if spec.attributes:
            assert (part.attributes.shape, part.attributes.dtype) == ((size, len(spec.attributes)), np.uint8)
        rows.append({row.tobytes() for row in part.images})
        assert len(rows[-1]) == size or spec is not SHAPES
    # Lines have one degree of freedom and 8 bits: close angles draw the same bytes. Equal seeds would share all.
    allowed = 0.4 if spec is LINES else 0.0
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert len(rows[i] & rows[j]) <= allowed * len(rows[j])


def test_render_lines_equals_acais_recorded_lines():
    """Upright, level, at 45 degrees and in between, to the rounding of 8 bits."""
    recorded = np.load(GOLDEN / "acai_lines.npz")
    images = generated.render_lines(recorded["angles"]) / 127.5 - 1
    np.testing.assert_allclose(images, recorded["images"], atol=0.5 / 127.5 + 1e-6)


def test_lines_labels_are_sectors():
    """The mean direction of the bright pixels is in the label's sector, or 0.15 of a sector beside it.

    Drawn at its position half a row before, a line is up to 4 degrees aside.
    """
    images, labels, _ = splits(LINES)[1].take(slice(300))
    offsets = np.arange(32) + 0.5 - 16
    x = (images[..., 0] * offsets[None, None, :]).sum(axis=(1, 2))
    y = (images[..., 0] * -offsets[None, :, None]).sum(axis=(1, 2))
    sector = np.arctan2(y, x) % (2 * np.pi) / (2 * np.pi) * 10
    distance = np.abs((sector - labels - 0.5 + 5) % 10 - 5)
    assert distance.max() < 0.65


def test_spiral_points_are_on_the_curve_labelled_along_it():
    points, labels, _ = splits(SPIRAL)[0]
    x, y = points.reshape(-1, 2).T.astype(float)
    radius = np.hypot(x, y)
    assert radius.max() <= 1 + 1e-6
    turns_left = (np.arctan2(y, x) / (2 * np.pi) - generated.SPIRAL_TURNS * radius + 0.5) % 1 - 0.5
    assert np.abs(turns_left * radius).max() < 1e-5
    for label in range(9):
        assert radius[labels == label].max() <= radius[labels == label + 1].min()
