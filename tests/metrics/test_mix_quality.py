"""Quality of mixes where the answer is known, and the kernel distance against a plain loop."""

import numpy as np
import pytest

from amr_tf.metrics import mix_quality, samples

CLASSES = 4


def rng(seed=0):
    return np.random.default_rng(seed)


def images(count, seed):
    """A bright bar in one of four places, with a random shift and brightness."""
    draw = rng(seed)
    labels = draw.integers(CLASSES, size=count)
    found = -np.ones((count, 16, 16, 1), np.float32)
    for number, label in enumerate(labels):
        row, column = 4 * label + draw.integers(2), draw.integers(6)
        found[number, row : row + 2, column : column + 10] = draw.uniform(0.3, 1)
    return found, labels


@pytest.fixture(scope="module")
def judge():
    return mix_quality.judge_of(images(1500, 1), images(400, 2))


def test_known_sets_lie_between_real_images_and_noise(judge):
    """Real ones within noise of 0, blends worse than these, shuffled pixels far; a parent as mix is of high quality."""
    real, other = images(600, 3)[0], images(600, 4)[0]
    assert judge.accuracy > 0.95
    blends = (other[:300] + other[300:]) / 2
    shuffled = rng(5).permuted(other.reshape(600, -1), axis=1).reshape(other.shape)
    parents = other[:300]
    sets = {"real": other, "blends": blends, "shuffled": shuffled, "parents": parents}
    still = np.repeat(parents[:20, None], 8, axis=1)
    share = np.linspace(0, 1, 8, dtype=np.float32)[None, :, None, None, None]
    turned = other[:20, None] * (1 - share) + other[20:40, None] * share
    found = mix_quality.score(judge, real, sets, {"still": still, "blends": turned})
    low, high = found["kid_interval_real"]
    assert low < 0 < high
    low, high = found["kid_interval_parents"]
    assert low < 0 < high
    assert found["kid_blends"] > 3 * abs(found["kid_real"])
    assert found["kid_shuffled"] > 3 * found["kid_blends"]
    assert found["coverage_real"] > 0.9 > found["coverage_shuffled"]
    assert found["density_real"] == pytest.approx(1, abs=0.2)
    assert found["path_still"] == 0
    assert found["path_blends"] > 0


def test_kid_is_the_unbiased_estimate_of_a_plain_loop():
    x, y = rng(1).normal(size=(20, 3)), rng(2).normal(1, 1, size=(15, 3))

    def kernel(a, b):
        return (float(a @ b) / 3 + 1) ** 3

    within_x = sum(kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (20 * 19)
    within_y = sum(kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / (15 * 14)
    between = sum(kernel(a, b) for a in x for b in y) / (20 * 15)
    assert mix_quality.mmd(x, y) == pytest.approx(within_x + within_y - 2 * between, rel=1e-9)


def test_interval_of_kid_covers_zero_as_often_as_promised():
    """500 pairs of equal distributions: 95 % within 3 points."""
    draw, hits = rng(3), 0
    for _ in range(500):
        low, high = mix_quality.kid(draw.normal(size=(200, 4)), draw.normal(size=(200, 4)))[1]
        hits += low <= 0 <= high
    assert hits / 500 == pytest.approx(0.95, abs=0.03)


def test_density_and_coverage_by_hand():
    """Points 0 to 9 on a line: balls reach the fifth neighbour; one far image is in none, one at 0 in six."""
    reference = np.arange(10.0)[:, None]
    density, coverage = mix_quality.density_and_coverage(np.array([[100.0]]), reference)
    assert (density, coverage) == (0.0, 0.0)
    density, coverage = mix_quality.density_and_coverage(np.array([[0.0]]), reference)
    radii = [5, 4, 3, 3, 3, 3, 3, 3, 4, 5]
    inside = sum(distance <= radius for distance, radius in enumerate(radii))
    assert density == pytest.approx(inside / 5)
    assert coverage == pytest.approx(inside / 10)


def test_judge_is_trained_once_for_the_same_images(judge):
    assert mix_quality.judge_of(images(1500, 1), images(400, 2)) is judge
    assert mix_quality.judge_of(images(200, 9), images(100, 2)) is not judge


def test_unusable_images_are_refused():
    x, labels = images(30, 1)
    with pytest.raises(ValueError, match="images of one class"):
        mix_quality.judge_of((x, np.zeros(30, int)), (x, labels))
    few, broken = np.zeros((5, 3)), np.full((40, 3), np.nan)
    with pytest.raises(ValueError, match="Received: 5"):
        mix_quality.kid(few, np.zeros((40, 3)))
    with pytest.raises(ValueError, match="not finite"):
        mix_quality.kid(broken, np.zeros((40, 3)))


def test_mixture_of_three_clusters_draws_like_them():
    """The number of components by validation, and draws with the clusters' means and shares."""

    def codes(count, seed):
        draw = rng(seed)
        return np.array([[0, 0], [8, 0], [0, 8]])[draw.integers(3, size=count)] + draw.normal(size=(count, 2))

    mixture = samples.fitted(codes(600, 1), codes(300, 2), rng())
    assert mixture.n_components in (5, 10)
    drawn = samples.drawn(mixture, 3_000, rng())
    assert drawn.dtype == np.float32
    near = np.argmin(np.linalg.norm(drawn[:, None] - np.array([[0, 0], [8, 0], [0, 8]]), axis=2), axis=1)
    np.testing.assert_allclose(np.bincount(near) / 3_000, 1 / 3, atol=0.05)
    with pytest.raises(ValueError, match="NaN"):
        samples.fitted(np.full((30, 2), np.nan), codes(30, 2), rng())
