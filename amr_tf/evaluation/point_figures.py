"""Figures of points: mixes of points on the spiral, and codes projected to three dimensions."""

import copy
from typing import TYPE_CHECKING

import numpy as np

from amr_tf.config import ConfigError
from amr_tf.data.sources import generated
from amr_tf.evaluation.figures import Figure
from amr_tf.plotting import charts
from amr_tf.runs import alike

if TYPE_CHECKING:
    from amr_tf.runs.trained import TrainedRun

MOST_POINTS = 1_000


def spiral(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws test points in blue and decoded mixes in orange (AMR paper, supplement, Figure 12).

    Runs that differ only by the seed share one panel. The panel shows the points of the first of these runs. The title
    contains the mean distance of the mixes to the curve, as mean +- standard deviation over the runs. All runs use the
    same random numbers for the mixes as the metric `spiral` with the same seed.
    """
    from amr_tf.metrics.spiral import distance_to_curve

    if runs[0].config.dataset != "spiral":
        raise ConfigError(f"Only --dataset=spiral has points. Received: {runs[0].config.flag('dataset')}")
    curve, panels = generated.spiral_curve(), []
    for title, members in _titled(runs):
        decoded = [run.mixes("test", copy.deepcopy(rng))[1].reshape(-1, 2) for run in members]
        distances = [distance_to_curve(points, curve).mean() for points in decoded]
        real = members[0].examples("test")[0].reshape(-1, 2)
        panels.append(charts.Cloud(f"{title}\n{_mean_and_sd(distances)}", real, decoded[0]))
    return [charts.picture(charts.clouds(panels))]


def latent(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws codes of test examples in red and mixed codes in blue, as on the poster of the AMR paper.

    Runs that differ only by the seed share one panel, which shows the first of these runs. The axes are the first three
    principal components of the codes of the test examples. With two test examples, the coordinates on the third axis
    are 0.
    """
    panels = []
    for title, (run, *_) in _titled(runs):
        codes = run.codes("test")
        real = codes.reshape(len(codes), -1).astype(np.float64)
        if real.shape[1] < 3:
            raise ConfigError(f"A 3-D picture takes codes of 3 numbers or more. Received: {real.shape[1]}")
        mixed = run.mixes("test", copy.deepcopy(rng))[0].reshape(real.shape)
        _, spread, directions = np.linalg.svd(real - real.mean(axis=0), full_matrices=False)
        axes = np.zeros((3, real.shape[1]))
        axes[: len(directions[:3])] = directions[:3]
        first, second = ((part - real.mean(axis=0)) @ axes.T for part in (real, mixed))
        share = (spread[:3] ** 2).sum() / max((spread**2).sum(), 1e-12)
        title += f"\n{share:.0%} of the variance of {real.shape[1]} numbers"
        panels.append(charts.Cloud(title, first[:MOST_POINTS], second[:MOST_POINTS]))
    return [charts.picture(charts.clouds(panels))]


def _titled(runs: "list[TrainedRun]") -> "list[tuple[str, list[TrainedRun]]]":
    """Groups runs that differ only by the seed.

    The title of a group lists the settings that differ between groups. For a single group, the title contains the
    method and k.
    """
    groups = alike.by_settings(runs)
    differing = alike.varying([settings for settings, _ in groups])
    config = runs[0].config
    alone = f"{config.model}, k = {config.k}" if config.uses("k") else config.model
    return [
        (", ".join(f"{name} = {alike.shown(settings[name])}" for name in differing) or alone, members)
        for settings, members in groups
    ]


def _mean_and_sd(values: list[float]) -> str:
    """Returns mean and sample standard deviation as text. For a single value, the text contains only this value."""
    if len(values) == 1:
        return f"distance {values[0]:.4f}"
    return f"distance {np.mean(values):.4f} ± {np.std(values, ddof=1):.4f} ({len(values)} seeds)"


SPIRAL = Figure(
    "points: decoded mixes over real points, and their distance to the spiral, a panel for each setting",
    spiral,
    points=True,
)
LATENT = Figure("codes in 3-D, real and mixed, a panel for each setting", latent, points=True)
