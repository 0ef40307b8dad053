"""Errors and similarities of reconstructions, by hand and against the plain formulas."""

import json

import numpy as np
import pytest

from amr_tf.metrics import reconstruction


def slow_ssim(x, y):
    """Wang et al. 2004, Eq. 13, position by position, for images [H, W, C] in [-1, 1]."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    values = []
    for row in range(x.shape[0] - 10):
        for column in range(x.shape[1] - 10):
            for colour in range(x.shape[2]):
                a = x[row : row + 11, column : column + 11, colour]
                b = y[row : row + 11, column : column + 11, colour]
                mean_a, mean_b = (window * a).sum(), (window * b).sum()
                variances = (window * ((a - mean_a) ** 2 + (b - mean_b) ** 2)).sum()
                covariance = (window * (a - mean_a) * (b - mean_b)).sum()
                luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
                values.append(luminance * (2 * covariance + c2) / (variances + c2))
    return np.mean(values)


def test_ssim_is_that_of_the_paper():
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (3, 16, 13, 2)).astype(np.float32)
    y = np.clip(0.7 * x + 0.3 * rng.normal(size=x.shape), -1, 1).astype(np.float32)
    expected = [slow_ssim(*pair) for pair in zip(x, y, strict=True)]
    np.testing.assert_allclose(reconstruction.ssim(x, y), expected, 1e-5)
    result = reconstruction.score(x, y)
    assert result["ssim"] == pytest.approx(np.mean(expected))
    json.dumps(result, allow_nan=False)


def test_figures_are_means_over_examples():
    """Errors of 0.2 and 0.02 everywhere: 20 and 40 dB, of which the mean is 30 and not the PSNR of the mean error."""
    images = np.zeros((2, 16, 16, 3), np.float32)
    off = images + np.array([0.2, -0.02], np.float32)[:, None, None, None]
    result = reconstruction.score(images, off)
    assert result["mae"] == pytest.approx(0.11)
    assert result["mse"] == pytest.approx((0.04 + 0.0004) / 2)
    assert result["psnr"] == pytest.approx(30.0)
    assert result["identical"] == 0


def test_an_exact_reconstruction_is_perfect_and_counted_apart():
    images = np.random.default_rng(2).uniform(-1, 1, (3, 16, 16, 1))
    exact = reconstruction.score(images, images)
    assert exact == {"mse": 0.0, "mae": 0.0, "psnr": None, "identical": 3, "ssim": pytest.approx(1.0)}
    off = images.copy()
    off[0] += 0.2
    result = reconstruction.score(images, off)
    assert (result["psnr"], result["identical"]) == (pytest.approx(20.0), 2)
    json.dumps([exact, result], allow_nan=False)


def test_every_example_counts_once_whatever_the_chunks():
    rng = np.random.default_rng(3)
    images = rng.uniform(-1, 1, (1_001, 11, 11, 1)).astype(np.float32)
    off = images + 0.1
    off[-1] = images[-1] + 0.5
    result = reconstruction.score(images, off)
    assert result["mae"] == pytest.approx((1_000 * 0.1 + 0.5) / 1_001)
    halves = [reconstruction.score(images[part], off[part]) for part in (slice(0, 500), slice(500, None))]
    for name in ("mse", "mae", "psnr", "ssim"):
        assert result[name] == pytest.approx((500 * halves[0][name] + 501 * halves[1][name]) / 1_001)


def test_images_smaller_than_the_window_have_no_ssim():
    points = np.zeros((4, 1, 1, 2))
    result = reconstruction.score(points, points + 1)
    assert (result["mse"], result["ssim"]) == (1.0, None)


@pytest.mark.parametrize(
    ("count", "shape"), [(2, (1, 16, 16, 1)), (2, (2, 16, 16, 3)), (2, (2, 16, 1, 1)), (0, (0, 16, 16, 1))]
)
def test_no_images_or_shapes_that_would_broadcast_are_refused(count, shape):
    with pytest.raises(ValueError, match=rf"\({count}, 16, 16, 1\)"):
        reconstruction.score(np.zeros((count, 16, 16, 1)), np.zeros(shape))
