"""Distances to a curve whose answers are known: a straight line, a circle, and the spiral itself."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from amr_tf.data.catalog import SPIRAL, Places
from amr_tf.data.sources import generated
from amr_tf.metrics import spiral

LINE = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])


def test_distances_to_a_line_are_those_of_geometry():
    """Beside its pieces, on a vertex, on a piece, and beyond both ends."""
    points = [[0.3, 0.25], [1.0, -2.0], [1.7, 0.0], [-3.0, 4.0], [5.0, 4.0]]
    np.testing.assert_allclose(
        spiral.distance_to_curve(np.array(points), LINE), [0.25, 2, 0, 5, 5], atol=1e-12
    )


def test_distances_to_the_spiral_are_the_minima_over_the_curve():
    """Against a numerical search along the exact curve, for points all over the square."""
    points = np.random.default_rng(0).uniform(-1.1, 1.1, (40, 2))

    def squared(radius, point):
        angle = 2 * np.pi * generated.SPIRAL_TURNS * radius
        return np.sum((radius * np.array([np.cos(angle), np.sin(angle)]) - point) ** 2)

    expected = []
    for point in points:
        starts = np.linspace(0, 1, 200)
        nearest = starts[np.argmin([squared(radius, point) for radius in starts])]
        bounds = max(0, nearest - 0.01), min(1, nearest + 0.01)
        found = minimize_scalar(
            squared, args=(point,), bounds=bounds, method="bounded", options={"xatol": 1e-9}
        )
        expected.append(np.sqrt(found.fun))
    found = spiral.distance_to_curve(points, generated.spiral_curve())
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_distance_of_examples_and_of_points_moved_off_the_curve():
    curve = generated.spiral_curve()
    points = generated.read_spiral(SPIRAL, Places())[1][2].images.reshape(-1, 2)
    found = spiral.score(points, curve)
    assert found["distance"] < 1e-6
    assert (found["off"], found["mixes"]) == (0, 1_000)
    assert found["gap"] < 0.01
    outer = points[np.linalg.norm(points, axis=1) > 0.8]
    # Outwards along the radius; the next arm is 0.5 away, and the curve leaves the circle at a small angle.
    moved = spiral.score(outer * (1 + 0.1 / np.linalg.norm(outer, axis=1, keepdims=True)), curve, real=outer)
    assert moved["distance"] == pytest.approx(0.1, rel=0.02)
    assert moved["off"] == 1
    assert moved["real"] < 1e-6


def test_mixes_that_fall_on_one_point_of_the_curve_leave_a_gap():
    one = np.zeros((50, 2))
    found = spiral.score(one, LINE)
    assert found["distance"] == 0
    assert found["gap"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("points", "curve"),
    [(np.zeros((0, 2)), LINE), (np.zeros((1, 2)), LINE[:1]), (np.full((1, 2), np.nan), LINE)],
)
def test_what_has_no_distance_is_refused(points, curve):
    with pytest.raises(ValueError, match="Received: points"):
        spiral.score(points, curve)
