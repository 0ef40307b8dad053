"""Attributes of mixes: known answers on images that are their attributes."""

import numpy as np
import pytest

from amr_tf.metrics import attributes


def drawn(known, rng):
    """Images [N, 2, 2, 3] whose channels say what they have, with noise."""
    return known[:, None, None, :] + 0.1 * rng.normal(size=(len(known), 2, 2, 3))


@pytest.fixture(scope="module")
def known():
    return np.random.default_rng(0).integers(2, size=(600, 3))


def measured(known, requested, mixes, others, parameters=np.eye(3)):  # noqa: B008
    rng = np.random.default_rng(1)
    parents = np.stack([known, 1 - known], axis=1)
    real = (drawn(known, rng), known)
    return attributes.score(
        real, real, requested, parents, drawn(mixes, rng), drawn(others, rng), parameters, rng
    )


def test_score_is_the_share_of_mixes_with_all_attributes(known):
    """The first attribute missed in a third of the mixes; masks that give the first parent meet an eighth."""
    requested = np.random.default_rng(5).integers(2, size=known.shape)
    mixes = requested.copy()
    mixes[:200, 0] = 1 - mixes[:200, 0]
    found = measured(known, requested, mixes, known)
    assert found["score"] == pytest.approx(2 / 3, abs=0.01)
    assert found["per_attribute"] == pytest.approx([2 / 3, 1, 1], abs=0.01)
    assert found["interval"][0] < 2 / 3 < found["interval"][1]
    first, second = (np.all(requested == part, axis=1).mean() for part in (known, 1 - known))
    assert found["random_mask"] == pytest.approx(first, abs=0.01)
    assert found["chance"] == pytest.approx((first + second) / 2)
    assert found["classifier"] > 0.99
    assert found["mixes"] == 600
    assert measured(known, requested, 1 - requested, known)["score"] < 0.01


def test_mask_differences_are_those_of_the_combinations(known):
    parameters = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]], float)
    found = measured(known, known, known, known, parameters)
    assert found["mask_difference"] == pytest.approx((1 / 4 + 4 / 4 + 3 / 4) / 3)
    assert found["least_mask_difference"] == pytest.approx(1 / 4)
    assert measured(known, known, known, known, np.full((8, 5), 0.3))["mask_difference"] == 0


def test_unequal_numbers_are_refused(known):
    with pytest.raises(ValueError, match=r"\[599, 600"):
        measured(known, known[:599], known, known)
