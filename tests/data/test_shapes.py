"""The shapes: what an attribute promises can be seen in the pixels, and who gets to know the attributes."""

import dataclasses

import numpy as np
import pytest

from amr_tf import data
from amr_tf.data import pipeline, shapes
from amr_tf.data.catalog import DATASETS
from amr_tf.runtime.errors import DataError


@pytest.fixture(scope="module")
def parts():
    return shapes.splits()


def test_every_run_gets_the_same_shapes_and_no_image_is_in_two_splits(parts):
    spec, rows = DATASETS["shapes"], []
    for part, other, size in zip(parts, shapes.splits(), shapes.SIZES, strict=True):
        for ours, theirs in zip(part, other, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        images, labels, attributes = part
        assert images.shape == (size, *spec.image_shape)
        assert images.dtype == attributes.dtype == np.uint8
        assert attributes.shape == (size, len(spec.attributes))
        assert np.bincount(labels, minlength=spec.classes).min() > 0.8 * size / spec.classes
        rows.append({image.tobytes() for image in images})
        assert len(rows[-1]) == size
    assert not rows[0] & rows[1] and not rows[0] & rows[2] and not rows[1] & rows[2]  # noqa: PT018


def test_labels_number_the_combinations():
    attributes = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0], [1, 1, 1, 1]], np.uint8)
    assert shapes.labels_of(attributes).tolist() == [0, 1, 10, 15]


def test_attributes_are_what_the_pixels_show(parts):
    """Each read from the image in a way of its own: colour, box, filled centre of the box, filled corner of it."""
    images, _, attributes = parts[1]
    for image, (square, large, filled, blue) in zip(
        images[:500].astype(float), attributes[:500], strict=False
    ):
        shape = np.abs(image - image[0, 0]).sum(axis=2) > 60
        assert (image[shape][:, 2].mean() > image[shape][:, 0].mean()) == blue
        (top, *_, bottom), (left, *_, right) = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
        side = (bottom - top + 1) / (1 if square else 2**0.5)
        assert (side >= 14) == large
        centre = shape[(top + bottom) // 2, (left + right) // 2]
        assert centre == filled
        assert shape[top, left] == square


def test_an_outline_is_as_wide_as_it_says():
    attributes = np.array([[1, 1, 0, 0]], np.uint8).repeat(50, axis=0)
    images = shapes.render(attributes, np.random.default_rng(0)).astype(float)
    red = images[:, 16, :16, 0] - images[:, 0, 0, :1]
    # Along the middle row, the left edge alone: covered pixels count by their share.
    np.testing.assert_allclose(red.sum(axis=1) / red.max(axis=1), shapes.OUTLINE, atol=0.25)


def test_batches_for_supervised_mixing_hold_attributes_and_weights(parts):
    """In the order of the plain ones; the labelled quarter weighs 4 each, the others nothing."""
    images, labels, attributes = parts[1]
    labelled = np.arange(len(images)) % 4 == 0
    train = data.Arrays(images, labels, DATASETS["shapes"], attributes=attributes, labelled=labelled)
    plain, supervised = (pipeline.batches(train, 64, 3, supervised=flag).take(2) for flag in (False, True))
    for (x, label), (again, y) in zip(plain.as_numpy_iterator(), supervised.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(label, y["label"])
        np.testing.assert_array_equal(shapes.labels_of(y["attributes"]), label)
        assert y["attributes"].dtype == y["weight"].dtype == np.float32
        assert set(y["weight"]) == {0, 4}
    everyone = dataclasses.replace(train, labelled=None)
    (_, y) = next(iter(pipeline.batches(everyone, 64, 3, supervised=True).as_numpy_iterator()))
    assert set(y["weight"]) == {1}


def test_which_examples_are_labelled_depends_on_the_seed_and_more_than_there_are_is_refused(config):
    few, again, other = (
        data.load(config("spiral", mixer="supervised", labelled_examples=100, seed=seed)).train.labelled
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(few, again)
    assert few.sum() == other.sum() == 100
    assert np.any(few != other)
    with pytest.raises(DataError, match=r"spiral has 10000.*--labelled_examples=10001"):
        data.load(config("spiral", mixer="supervised", labelled_examples=10_001))
    with pytest.raises(DataError, match=r"has 200.*--labelled_examples=201"):
        data.load(config("spiral", mixer="supervised", labelled_examples=201, train_examples=200))


def test_a_label_alone_is_one_hot(config):
    train = data.load(config("spiral")).train
    assert train.attributes is None
    np.testing.assert_array_equal(train.targets().argmax(axis=1), train.labels)
    assert np.all(train.targets().sum(axis=1) == 1)


def test_a_low_data_draw_keeps_images_labels_and_attributes_together(config):
    train = data.load(config("shapes", mixer="supervised", train_examples=300, labelled_examples=30)).train
    assert train.labelled.sum() == 30
    np.testing.assert_array_equal(shapes.labels_of(train.attributes), train.labels)
    red = train.images[..., 0].max(axis=(1, 2)) > train.images[..., 2].max(axis=(1, 2))
    np.testing.assert_array_equal(red, train.attributes[:, 3] == 0)
