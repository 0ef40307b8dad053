"""Reconstruction errors, PSNR and SSIM."""

import numpy as np

# Width of the data range [-1, 1].
_RANGE = 2.0
# Constants of SSIM (Wang et al., 2004, section III.C).
_WINDOW = 11
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03
# Number of images compared at a time. This limits the float64 copies to about 100 MB for images of 32 x 32 x 3.
_CHUNK = 500


def score(images: np.ndarray, reconstructions: np.ndarray) -> dict:
    """Computes mean errors and similarities between images and their reconstructions.

    Images and reconstructions are float [N, H, W, C] in [-1, 1]. Pixels outside [-1, 1] are not clipped.

    Returns:
        mse, mae: means over examples, pixels and channels (lower is better). identical: number of reconstructions that
        equal the image exactly. psnr: mean over the other examples, in dB for a data range of 2, or None if all
        reconstructions are exact. ssim: mean of `ssim`, or None if the images are smaller than the window.

    Raises:
        ValueError: shapes differ, or the arrays are empty.

    Example:
        >>> found = score(np.zeros((2, 8, 8, 1)), np.full((2, 8, 8, 1), 0.5))
        >>> found["mse"], found["mae"]
        (0.25, 0.5)
    """
    if images.shape != reconstructions.shape or not len(images):
        raise ValueError(
            "Images and reconstructions must have the same shape, and not be empty. Received: "
            f"{images.shape}, {reconstructions.shape}"
        )
    parts = []
    for start in range(0, len(images), _CHUNK):
        x = images[start : start + _CHUNK].astype(np.float64)
        y = reconstructions[start : start + _CHUNK].astype(np.float64)
        errors = (x - y).reshape(len(x), -1)
        parts.append(((errors**2).mean(axis=1), np.abs(errors).mean(axis=1), ssim(x, y)))
    mse, mae, similarity = (np.concatenate(part) for part in zip(*parts, strict=True))
    inexact = mse[mse > 0]
    return {
        "mse": float(mse.mean()),
        "mae": float(mae.mean()),
        "psnr": float(np.mean(10 * np.log10(_RANGE**2 / inexact))) if len(inexact) else None,
        "identical": len(mse) - len(inexact),
        "ssim": None if np.isnan(similarity).any() else float(similarity.mean()),
    }


def ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Computes the structural similarity (Wang et al., 2004, https://doi.org/10.1109/TIP.2003.819861, Eq. 13).

    The window is an 11 x 11 Gaussian with sigma 1.5. K1 is 0.01, K2 is 0.03 and the data range is 2. SSIM is averaged
    over channels and over all positions at which the window is completely inside the image.

    Args:
        x, y: images float [N, H, W, C] in [-1, 1].

    Returns:
        float [N]. The value is 1 if x and y are equal, and NaN if the images are smaller than the window.
    """
    if min(x.shape[1:3]) < _WINDOW:
        return np.full(len(x), np.nan)
    x, y = x.transpose(0, 3, 1, 2), y.transpose(0, 3, 1, 2)
    rows, columns = _window_means(x.shape[2]), _window_means(x.shape[3]).T

    def blurred(values: np.ndarray) -> np.ndarray:
        return rows @ values @ columns

    mean_x, mean_y = blurred(x), blurred(y)
    c1, c2 = (_K1 * _RANGE) ** 2, (_K2 * _RANGE) ** 2
    variances = blurred(x * x) - mean_x**2 + blurred(y * y) - mean_y**2
    covariance = blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * (2 * covariance + c2) / (variances + c2)).mean(axis=(1, 2, 3))


def _window_means(size: int) -> np.ndarray:
    """Returns the pixel weights for each position of the window, float [size - 10, size]. Each row sums to 1."""
    positions = np.arange(size - _WINDOW + 1) + _WINDOW // 2
    offsets = np.arange(size) - positions[:, None]
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2)) * (np.abs(offsets) <= _WINDOW // 2)
    return weights / weights.sum(axis=1, keepdims=True)
