"""Distance of decoded mixes of points to the curve of the data (AMR, supplement, Figure 12)."""

import numpy as np
from scipy.spatial import cKDTree

# Mixes farther from the curve, for data in [-1, 1], count as off it.
OFF = 0.05


def score(mixes: np.ndarray, curve: np.ndarray, **others: np.ndarray) -> dict:
    """Mean distance of decoded mixes to a curve, share of mixes off it, and mean distance of the curve to the mixes.

    The supplement of AMR (Beckham et al., 2019, https://arxiv.org/abs/1903.02709) shows the mixes without numbers.

    Args:
        mixes: decoded mixes [N, D].
        curve: the vertices [L, D] of a fine polyline, in their order.
        others: sets of points [M, D] to compare with, such as reconstructions.

    Returns:
        distance: mean distance of the mixes to the curve; off: share of mixes farther than 0.05 from it, in [0, 1];
        gap: mean distance of the curve's vertices to the nearest mix, large where mixes cover only a part of the curve;
        mixes: N; the mean distance of each of `others` under its name. Lower is better.

    Raises:
        ValueError: no points, a polyline of fewer than 2 vertices, or a number that is not finite.

    Example:
        >>> curve = np.array([[0.0, 0.0], [1.0, 0.0]])
        >>> found = score(np.array([[0.5, 0.25]]), curve)
        >>> found["distance"], found["off"]
        (0.25, 1.0)
    """
    distances = distance_to_curve(mixes, curve)
    gaps, _ = cKDTree(np.asarray(mixes, np.float64)).query(np.asarray(curve, np.float64))
    return {
        "distance": float(distances.mean()),
        "off": float((distances > OFF).mean()),
        "gap": float(gaps.mean()),
        "mixes": len(distances),
    } | {name: float(distance_to_curve(points, curve).mean()) for name, points in others.items()}


def distance_to_curve(points: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Euclidean distance of each point [N, D] to a polyline of vertices [L, D]: float64 [N].

    Only the pieces on both sides of the nearest vertex are considered, hence vertices must be closer to each other than
    different stretches of the curve.

    Raises:
        ValueError: as `score`.
    """
    points, curve = np.asarray(points, np.float64), np.asarray(curve, np.float64)
    if not len(points) or len(curve) < 2 or not (np.isfinite(points).all() and np.isfinite(curve).all()):
        raise ValueError(
            "Finite points and a curve of at least 2 vertices are needed. Received: "
            f"points {points.shape}, curve {curve.shape}"
        )
    _, nearest = cKDTree(curve).query(points)
    before = np.clip(nearest - 1, 0, len(curve) - 2)
    after = np.clip(nearest, 0, len(curve) - 2)
    return np.minimum(*(_to_piece(points, curve[start], curve[start + 1]) for start in (before, after)))


def _to_piece(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance of each point to its own straight piece, all [N, D]."""
    along = end - start
    length = np.maximum((along**2).sum(axis=1), np.finfo(np.float64).tiny)
    share = np.clip(((points - start) * along).sum(axis=1) / length, 0, 1)
    return np.linalg.norm(points - start - share[:, None] * along, axis=1)
