"""The shapes: attributes agree with the pixels, and batches carry attributes and weights."""

import dataclasses

import numpy as np
import pytest

from amr_tf import data
from amr_tf.data import pipeline
from amr_tf.data.catalog import SHAPES, Places
from amr_tf.data.sources import labels_of, shapes


@pytest.fixture(scope="module")
def parts():
    return SHAPES.read(Places())[1]


def test_labels_of_attributes_number_the_combinations():
    attributes = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0], [1, 1, 1, 1]], np.uint8)
    assert labels_of(attributes).tolist() == [0, 1, 10, 15]


def test_attributes_are_what_the_pixels_show(parts):
    """Read from the image by colour, box, filled centre of the box and filled corner of the box."""
    images, _, attributes = parts[1]
    examples = zip(images[:500].astype(float), attributes[:500], strict=True)
    for image, (square, large, filled, blue) in examples:
        shape = np.abs(image - image[0, 0]).sum(axis=2) > 60
        assert (image[shape][:, 2].mean() > image[shape][:, 0].mean()) == blue
        (top, *_, bottom), (left, *_, right) = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
        side = (bottom - top + 1) / (1 if square else 2**0.5)
        assert (side >= 14) == large
        centre = shape[(top + bottom) // 2, (left + right) // 2]
        assert centre == filled
        assert shape[top, left] == square


def test_render_outline_has_the_stated_width():
    attributes = np.array([[1, 1, 0, 0]], np.uint8).repeat(50, axis=0)
    images = shapes.render(attributes, np.random.default_rng(0)).astype(float)
    red = images[:, 16, :16, 0] - images[:, 0, 0, :1]
    # Along the middle row, the left edge alone: covered pixels count by their share.
    np.testing.assert_allclose(red.sum(axis=1) / red.max(axis=1), shapes.OUTLINE, atol=0.25)


def test_batches_with_attributes_add_attributes_and_weights(parts):
    """In the order of the plain ones; the labelled quarter weighs 4 each, the others nothing."""
    images, labels, attributes = parts[1]
    labelled = np.arange(len(images)) % 4 == 0
    train = data.Arrays(images, labels, SHAPES, attributes=attributes, labelled=labelled)
    both = (pipeline.batches(train, 64, 3, with_attributes=flag).take(2) for flag in (False, True))
    for (x, label), (again, y) in zip(*(part.as_numpy_iterator() for part in both), strict=True):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(label, y["label"])
        np.testing.assert_array_equal(labels_of(y["attributes"]), label)
        assert y["attributes"].dtype == y["weight"].dtype == np.float32
        assert set(y["weight"]) == {0, 4}
    everyone = dataclasses.replace(train, labelled=None)
    (_, y) = next(iter(pipeline.batches(everyone, 64, 3, with_attributes=True).as_numpy_iterator()))
    assert set(y["weight"]) == {1}


def test_low_data_draw_keeps_all_columns_together(config):
    train = data.load(config("shapes", mixer="supervised", train_examples=300, labelled_examples=30)).train
    assert train.labelled.sum() == 30
    np.testing.assert_array_equal(labels_of(train.attributes), train.labels)
    red = train.images[..., 0].max(axis=(1, 2)) > train.images[..., 2].max(axis=(1, 2))
    np.testing.assert_array_equal(red, train.attributes[:, 3] == 0)
