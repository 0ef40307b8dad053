"""Distance from decoded mixes of 2-D points to the spiral of the data (AMR, supplement, Figure 12)."""

import numpy as np
from scipy.spatial import cKDTree

# Mixes at a larger distance from the curve count as off the curve. The data are in [-1, 1].
OFF = 0.05


def score(mixes: np.ndarray, curve: np.ndarray, **others: np.ndarray) -> dict:
    """Computes distances between decoded mixes and a curve.

    The supplement of AMR (Beckham et al., 2019, https://arxiv.org/abs/1903.02709) shows the mixes in a figure but
    reports no distances.

    Args:
        mixes: decoded mixes [N, D].
        curve: consecutive vertices [L, D] of a fine polyline.
        others: other sets of points [M, D] by name, such as reconstructions.

    Returns:
        distance: mean distance from a mix to the curve. off: fraction of mixes that are farther than 0.05 from the
        curve, in [0, 1]. gap: mean distance from a vertex of the curve to the nearest mix; the gap is large if the
        mixes cover only a part of the curve. mixes: N. For each name in `others`: mean distance from a point of this
        set to the curve. Lower is better.

    Raises:
        ValueError: there are no points, the polyline has fewer than 2 vertices, or a coordinate is not finite.

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
    """Returns the Euclidean distance from each point [N, D] to a polyline with vertices [L, D]: float64 [N].

    Only the two segments next to the nearest vertex are searched. The result is therefore correct only if neighbouring
    vertices are closer to each other than different turns of the curve are.

    Raises:
        ValueError: the points or the polyline are invalid; see `score`.
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
    """Returns the distance from each point to the segment in the same row. All arguments are [N, D]."""
    along = end - start
    length = np.maximum((along**2).sum(axis=1), np.finfo(np.float64).tiny)
    share = np.clip(((points - start) * along).sum(axis=1) / length, 0, 1)
    return np.linalg.norm(points - start - share[:, None] * along, axis=1)
