"""Groups of runs that differ only in their seed, and the name and the statistics of each group."""

import dataclasses
import math
import statistics
from typing import Any, NamedTuple

from scipy import special

from amr_tf.config import Config
from amr_tf.config.rules import CONV_ARCHS
from amr_tf.reporting.published import (
    BEST_VALIDATION,
    LAST,
    LAST_TESTS,
    RECON_TEST,
    RECON_VALIDATION,
    TEST_AT_BEST,
)
from amr_tf.reporting.reading import Run
from amr_tf.runs import alike
from amr_tf.runs.alike import shown
from amr_tf.runs.best import ACCURACY


class Summary(NamedTuple):
    """Statistics of n values: mean, standard deviation (ddof 1) and limits of the 95 % t interval.

    The standard deviation and the limits are None for n = 1.
    """

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs with the same settings except the seed.

    Attributes:
        settings: shared settings by flag name, without the seed.
        runs: one run for each seed, sorted by seed.
        dropped: further runs with the same seeds, which are not counted.
        label: name that distinguishes the group from the others.
    """

    settings: dict[str, Any]
    runs: tuple[Run, ...]
    dropped: tuple[Run, ...]
    label: str

    @property
    def config(self) -> Config:
        return self.runs[0].config

    @property
    def counted(self) -> tuple[Run, ...]:
        """The finished runs. If no run is finished, all runs are counted with their current numbers."""
        return tuple(run for run in self.runs if run.finished) or self.runs

    @property
    def finished(self) -> bool:
        return all(run.finished for run in self.counted)

    @property
    def by_accuracy(self) -> bool:
        """False if the probe's accuracy has no meaning because all labels are equal."""
        return any(run.by is ACCURACY for run in self.counted)

    def summary(self, name: str) -> Summary | None:
        """Returns the statistics of the number `figure(run, name)` over all counted runs that have this number.

        Returns None if no run has the number.
        """
        values = [value for run in self.counted if (value := figure(run, name)) is not None]
        return summarise(values) if values else None


def group(runs: list[Run]) -> list[Group]:
    """Groups runs by their settings. The groups are in the order of their first runs.

    If several runs have equal settings and seed, only the newest finished run is counted.
    """
    found = alike.by_settings(runs)
    everything = [settings for settings, _ in found]
    groups = []
    for settings, members in found:
        by_seed: dict[int, list[Run]] = {}
        for run in sorted(members, key=lambda run: (run.finished, run.changed, run.folder)):
            by_seed.setdefault(run.config.seed, []).append(run)
        kept = tuple(by_seed[seed][-1] for seed in sorted(by_seed))
        dropped = tuple(run for seed in sorted(by_seed) for run in by_seed[seed][:-1])
        groups.append(Group(settings, kept, dropped, _label(kept[0].config, settings, everything)))
    return groups


def _label(config: Config, settings: dict[str, Any], everything: list[dict[str, Any]]) -> str:
    """Returns the data set, the method, and the settings in which groups with this data set and method differ."""
    named = ("dataset", "model", *(("mixer", "k") if config.uses("mixer") else ()))
    similar = [other for other in everything if all(other[name] == settings[name] for name in named)]
    extras = [f"{name}={shown(settings[name])}" for name in alike.varying(similar) if name not in named]
    method = f"{config.model} {config.mixer} k={config.k}" if config.uses("mixer") else config.model
    return ", ".join([config.dataset, method, *extras])


def cell_key(config: Config) -> tuple:
    """Returns the settings that decide to which cell of the paper's tables a run belongs.

    The settings are the data set, the model, the mixer and k if the model uses them, d_h = latent_width^2 * latent if
    a code consists of feature maps, and the number of training examples.
    """
    mixed = (config.mixer, config.k) if config.uses("mixer") else None
    code = config.latent_width**2 * config.latent if config.arch in CONV_ARCHS else None
    return config.dataset, config.model, mixed, code, config.train_examples


def differences(settings: dict[str, Any], published: dict[str, Any]) -> str:
    """Lists the settings that differ from the published settings, as `epochs 5 instead of 2000, ...`."""
    return ", ".join(
        f"{name} {shown(value)} instead of {shown(published[name])}"
        for name, value in settings.items()
        if value != published[name] and None not in (value, published[name])
    )


def figure(run: Run, name: str) -> float | None:
    """Returns a number of a run by name, or None if the run lacks this number.

    The name is a constant of `published`, such as BEST_VALIDATION, or a key of `run.scores`. Accuracies are in %. A run
    has either accuracies or reconstruction losses, depending on the criterion of the run's best epoch.
    """
    accuracies = {BEST_VALIDATION: "val_probe_accuracy", TEST_AT_BEST: "test_probe_accuracy"}
    reconstructions = {RECON_VALIDATION: "val_recon", RECON_TEST: "test_recon"}
    if name in reconstructions:
        return None if run.by is ACCURACY else run.best.get(reconstructions[name])
    if name in (*accuracies, LAST_TESTS) and run.by is not ACCURACY:
        return None
    if name in accuracies:
        return 100 * run.best[accuracies[name]]
    if name == LAST_TESTS:
        tests = [row["test_probe_accuracy"] for row in run.rows[-LAST:] if "test_probe_accuracy" in row]
        return 100 * statistics.median(tests) if tests else None
    return run.scores.get(name)


def summarise(values: list[float]) -> Summary:
    """Returns mean, sd and mean +- t(0.975, n - 1) sd / sqrt(n)."""
    n, mean = len(values), statistics.fmean(values)
    if n == 1:
        return Summary(n, mean, None, None, None)
    sd = statistics.stdev(values)
    half = float(special.stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)
    return Summary(n, mean, sd, mean - half, mean + half)
