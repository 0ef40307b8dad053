"""Summaries of exact distances, and of paths whose steps are known."""

import numpy as np
import pytest

from amr_tf.metrics import manifold


def test_evenness_by_hand():
    """Equal steps 0; one jump 1 - 1/4; a path that stands still is counted apart."""
    even = np.linspace(0, 1, 5)
    jump = np.array([0, 0, 0, 1.0, 1.0])
    paths = np.stack([even, jump, np.zeros(5)])[..., None]
    found = manifold.score({"mixes": np.array([0.0, 0.003, 0.3])}, 1 / 255, paths)
    assert found["evenness"] == pytest.approx((0 + 0.75) / 2)
    assert found["still"] == pytest.approx(1 / 3)
    assert found["within_mixes"] == pytest.approx(2 / 3)
    assert found["distance_mixes"] == pytest.approx(0.101)


def test_paths_without_a_step_have_no_evenness():
    found = manifold.score({}, 1 / 255, np.zeros((2, 4, 1)))
    assert np.isnan(found["evenness"])
    assert found["still"] == 1


def test_a_path_of_one_image_is_refused():
    with pytest.raises(ValueError, match="at least 2 images"):
        manifold.score({}, 1 / 255, np.zeros((2, 1, 1)))
