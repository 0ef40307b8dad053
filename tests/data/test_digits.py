"""scikit-learn's digits: the same three splits for ever, enlarged in one defined way."""

import hashlib

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from amr_tf import data


def test_load_digits_has_three_frozen_splits(config):
    """Neither a new version of this package nor one of scikit-learn may change a result unseen."""
    splits = data.load(config("digits"))
    assert [*map(len, splits)] == [1_197, 300, 300]
    hashes = [
        hashlib.sha256(part.images.tobytes() + part.labels.tobytes()).hexdigest()[:8] for part in splits
    ]
    assert hashes == ["04581c0c", "78224ef0", "e831f91e"]
    labels = np.concatenate([part.labels for part in splits])
    np.testing.assert_array_equal(labels, load_digits().target)


def test_load_digits_are_enlarged_over_the_whole_range(config):
    """Bilinearly from 8 to 32 px whatever --image_fit says, which is about 28 px."""
    first = np.rint(load_digits().images[0] * 255 / 16).astype(np.uint8)
    expected = np.asarray(Image.fromarray(first).resize((32, 32), Image.Resampling.BILINEAR))
    for image_fit in ("resize", "pad"):
        train = data.load(config("digits", image_fit=image_fit)).train
        np.testing.assert_array_equal(train.images[0, ..., 0], expected)
        assert (train.images.min(), train.images.max()) == (0, 255)
