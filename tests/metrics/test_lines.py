"""ACAI's two figures for lines, on paths that are perfect, blended and broken."""

import json

import numpy as np
import pytest

from amr_tf.data import pixels
from amr_tf.data.sources import generated
from amr_tf.metrics import lines

ANGLES = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
SHARES = np.linspace(0, 1, 16)


@pytest.fixture(scope="module")
def dictionary():
    return generated.render_lines(ANGLES), ANGLES


@pytest.fixture(scope="module")
def ends():
    """Angles [32, 2] of the ends of 32 paths; they turn by 1 to 3 radians, to the left and to the right."""
    rng = np.random.default_rng(1)
    first = rng.uniform(0, 2 * np.pi, 32)
    return np.stack([first, first + rng.uniform(1, 3, 32) * rng.choice([-1, 1], 32)], axis=1)


def render(angles):
    """float32 [P, T, 32, 32, 1] in [-1, 1]."""
    images = generated.render_lines(angles.reshape(-1))
    return pixels.to_float(images).reshape(*angles.shape, *images.shape[1:])


def blend(weights, ends):
    """Paths of end images mixed pixel by pixel, [P, T, 32, 32, 1]; weights [T] of the last."""
    images = render(ends)
    weights = weights[:, None, None, None]
    return (1 - weights) * images[:, :1] + weights * images[:, 1:]


def test_perfect_paths_are_near_lines_and_turn_evenly(dictionary, ends):
    """METHOD's anchor: 2e-7 and next to nothing; what is left is the dictionary's spacing of 6e-4 radians."""
    result = lines.score(render(ends[:, :1] + np.diff(ends) * SHARES), *dictionary)
    assert 1e-8 < result["distance"] < 6e-7
    assert 0 <= result["smoothness"] < 5e-4
    assert (result["undefined"], result["paths"]) == (0, 32)
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize(
    ("weights", "distance", "within"),
    [(SHARES, pytest.approx(0.0073, abs=0.001), 0.01), (np.round(SHARES), 0, 1e-9)],
)
def test_blends_and_switches_turn_at_once(dictionary, ends, weights, distance, within):
    """Blends of pixels are far from lines; an abrupt switch, which has the worst smoothness, is not."""
    result = lines.score(blend(weights, ends), *dictionary)
    assert np.maximum(result["distance"] - 6e-7, 0) == distance
    assert result["smoothness"] == pytest.approx(14 / 15, abs=within)


def test_lines_of_the_dictionary_are_at_distance_zero(dictionary):
    angles = ANGLES[[[10, 30, 50], [9990, 10, 30]]]  # the second path passes through angle 0
    images = generated.render_lines(angles.reshape(-1)).reshape(2, 3, 32, 32, 1)
    for paths in (images, pixels.to_float(images)):
        result = lines.score(paths, *dictionary)
        assert result["distance"] == pytest.approx(0, abs=1e-12)
        assert result["smoothness"] == pytest.approx(0, abs=1e-9)


def test_distance_is_one_minus_the_cosine():
    """Two pixels: (1, 0) lies at 45 degrees from both lines; in [0, 1] the figure would be another."""
    dictionary = np.array([[1.0, -1.0], [1.0, 1.0]]).reshape(2, 1, 2, 1)
    paths = np.array([[[3.0, 0.0], [0.1, 0.1]]]).reshape(1, 2, 1, 2, 1)
    assert lines.score(paths, dictionary, np.array([0.0, 1.0]))["distance"] == pytest.approx(
        (1 - 0.5**0.5) / 2
    )


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        ([0.0, 0.1, 0.2, 0.3], 0.0),
        ([0.0, 0.2, 0.25, 0.4], 0.5 - 1 / 3),
        ([0.4, 0.25, 0.2, 0.0], 0.5 - 1 / 3),
        ([6.2, 6.25, 0.01681469, 0.06681469], 0.0),  # through 2 pi in steps of 0.05
        ([0.0, 0.3, 0.1, 0.2], 1.5 - 1 / 3),  # back and forth is worse than a single jump
        ([0.5, 0.5, 0.5, 0.5], np.nan),
        ([0.5, 0.9, 0.1, 0.50009], np.nan),
    ],
)
def test_smoothness_by_hand(angles, expected):
    np.testing.assert_allclose(lines.smoothness(np.array([angles])), [expected], atol=1e-6)


def test_paths_that_stand_still_are_left_out_of_the_mean(dictionary):
    """The sum over the others is divided by their number, not by that of all paths, as ACAI's code has it."""
    still, switch = ANGLES[[5, 5, 5]], ANGLES[[5, 5, 800]]
    result = lines.score(render(np.stack([still, switch, still, still])), *dictionary)
    assert result["smoothness"] == pytest.approx(0.5)
    assert result["undefined"] == 0.75
    nothing = lines.score(render(still[None]), *dictionary)
    assert (nothing["smoothness"], nothing["undefined"]) == (None, 1)


def test_arguments_that_do_not_fit_are_refused(dictionary):
    images, angles = dictionary
    with pytest.raises(ValueError, match="at least 2 images"):
        lines.score(render(ANGLES[:3, None]), images, angles)
    with pytest.raises(ValueError, match="10000, 9999"):
        lines.score(render(ANGLES[None, :3]), images, angles[:-1])
