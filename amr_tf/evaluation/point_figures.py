"""The pictures of `amr_tf.evaluate` that show points and not images: mixes on the spiral, codes in three dimensions."""

import copy

import numpy as np

from amr_tf.config import ConfigError
from amr_tf.data.sources import generated
from amr_tf.metrics.spiral import distance_to_curve
from amr_tf.plotting import canvas
from amr_tf.runs.trained import TrainedRun

PANELS_A_ROW, PANEL, PANEL_GAP = 4, 320, 16
MOST_POINTS = 1_000


def spiral(opened: list[TrainedRun], rng: np.random.Generator) -> list[np.ndarray]:
    """A panel for each setting: test points blue, decoded mixes orange (Figure 12).

    Above it how far the mixes are from the curve, mean +- sd over its runs, which differ by their seed. The points are
    those of its first run. All runs draw the same mixes, and so does the metric of this name.
    """
    if opened[0].config.dataset != "spiral":
        raise ConfigError(
            f"Only points lie on a spiral: --dataset=spiral. Received: {opened[0].config.flag('dataset')}"
        )
    curve, panels = generated.spiral_curve(), []
    for name, alike in _settings(opened):
        decoded = [run.mixes("test", copy.deepcopy(rng))[1].reshape(-1, 2) for run in alike]
        distances = [distance_to_curve(points, curve).mean() for points in decoded]
        picture = canvas.scatter(alike[0].examples("test")[0], decoded[0], PANEL)
        panels.append(canvas.with_title(picture, [name, _mean_and_sd(distances)]))
    return [_arranged(panels)]


def latent(opened: list[TrainedRun], rng: np.random.Generator) -> list[np.ndarray]:
    """A panel for each setting: codes of test examples red, mixes of them blue, as each run mixes (AMR's poster).

    Shown are the three directions in which the codes of real examples vary most.
    """
    panels = []
    for name, (run, *_) in _settings(opened):
        codes = run.codes("test")
        real = codes.reshape(len(codes), -1).astype(np.float64)
        if real.shape[1] < 3:
            raise ConfigError(
                f"A picture in 3-D takes codes of 3 numbers or more. Received: codes of {real.shape[1]}"
            )
        mixed = run.mixes("test", copy.deepcopy(rng))[0].reshape(real.shape)
        _, spread, directions = np.linalg.svd(real - real.mean(axis=0), full_matrices=False)
        first, second = ((part - real.mean(axis=0)) @ directions[:3].T for part in (real, mixed))
        share = (spread[:3] ** 2).sum() / max((spread**2).sum(), 1e-12)
        picture = canvas.scatter_3d(first[:MOST_POINTS], second[:MOST_POINTS], PANEL)
        panels.append(
            canvas.with_title(picture, [name, f"{share:.0%} of the variance of {real.shape[1]} numbers"])
        )
    return [_arranged(panels)]


def _settings(opened: list[TrainedRun]) -> list[tuple[str, list[TrainedRun]]]:
    """Runs that differ by their seed only, together, in the order given, under the settings that tell them apart."""
    groups: dict[tuple, list[TrainedRun]] = {}
    for run in opened:
        groups.setdefault(tuple((run.config.hyperparameters() | {"seed": 0}).items()), []).append(run)
    differing = [
        name
        for number, (name, _) in enumerate(next(iter(groups)))
        if len({key[number] for key in groups}) > 1
    ]
    named = []
    for key, alike in groups.items():
        config = dict(key)
        words = [f"{name} = {config[name]:g}" if isinstance(config[name], float) else f"{name} = {config[name]}"
                 for name in differing]  # fmt: skip
        named.append((", ".join(words) or f"{config['model']}, k = {config['k']}", alike))
    return named


def _mean_and_sd(values: list[float]) -> str:
    """Of one value its own; of several mean and sample standard deviation."""
    if len(values) == 1:
        return f"distance {values[0]:.4f}"
    return f"distance {np.mean(values):.4f} ± {np.std(values, ddof=1):.4f} ({len(values)} seeds)"


def _arranged(panels: list[np.ndarray]) -> np.ndarray:
    """Panels of one size in rows of PANELS_A_ROW, the last filled up with background."""
    columns = min(PANELS_A_ROW, len(panels))
    empty = np.full_like(panels[0], canvas.BACKGROUND)
    filled = panels + [empty] * (-len(panels) % columns)
    rows = [
        canvas.beside(filled[first : first + columns], PANEL_GAP) for first in range(0, len(filled), columns)
    ]
    return canvas.stack(rows, PANEL_GAP)
