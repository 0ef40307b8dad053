"""Runs that differ by their seed only, as one group: which of them count, what to call it, and its statistics."""

import dataclasses
import math
import statistics
from typing import Any, NamedTuple

from scipy import special

from amr_tf.config import Config
from amr_tf.config.rules import CONV_ARCHS
from amr_tf.reporting.published import BEST_VALIDATION, LAST, LAST_TESTS, TEST_AT_BEST
from amr_tf.reporting.reading import Run

# What a group's name begins with; mixer and k follow for the model that mixes by them.
_NAMED = ("dataset", "model")


class Summary(NamedTuple):
    """n values: mean, standard deviation (ddof 1) and the limits of the 95 % t interval; None where n is 1."""

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs with the same settings but for the seed, by seed.

    Attributes:
        settings: of all of them, by flag name, without the seed.
        runs: one for each seed.
        dropped: further runs of these seeds, which do not count.
        label: a name that no other group has.
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
        """The finished runs; all of them as they are so far where none is finished."""
        return tuple(run for run in self.runs if run.finished) or self.runs

    @property
    def finished(self) -> bool:
        return all(run.finished for run in self.counted)

    def summary(self, name: str) -> Summary | None:
        """Of a figure over the runs that have it; None where none has."""
        values = [value for run in self.counted if (value := figure(run, name)) is not None]
        return summarise(values) if values else None


def settings_of(config: Config) -> dict[str, Any]:
    """What the runs of a group agree in, by flag name."""
    return {name: value for name, value in config.hyperparameters().items() if name != "seed"}


def group(runs: list[Run]) -> list[Group]:
    """All runs in groups, in the order in which settings first appear.

    Of several runs with the same settings and seed a finished one is kept, the newest of them.
    """
    by_settings: dict[tuple, list[Run]] = {}
    for run in runs:
        by_settings.setdefault(tuple(settings_of(run.config).items()), []).append(run)
    everything = [dict(key) for key in by_settings]
    groups = []
    for key, members in by_settings.items():
        by_seed: dict[int, list[Run]] = {}
        for run in sorted(members, key=lambda run: (run.finished, run.changed, run.folder)):
            by_seed.setdefault(run.config.seed, []).append(run)
        kept = tuple(by_seed[seed][-1] for seed in sorted(by_seed))
        dropped = tuple(run for seed in sorted(by_seed) for run in by_seed[seed][:-1])
        groups.append(Group(dict(key), kept, dropped, _label(dict(key), everything)))
    return groups


def _label(settings: dict[str, Any], everything: list[dict[str, Any]]) -> str:
    """Data set and method, and whatever else tells it from the groups of the same data set and method."""
    named = _names(settings)
    alike = [other for other in everything if all(other[name] == settings[name] for name in named)]
    extras = [f"{name}={shown(settings[name])}" for name in varying(alike) if name not in named]
    method = [settings["model"]]
    if named != _NAMED:
        method += [settings["mixer"], f"k={settings['k']}"]
    return ", ".join([settings["dataset"], " ".join(method), *extras])


def _names(settings: dict[str, Any]) -> tuple[str, ...]:
    return (*_NAMED, "mixer", "k") if settings["model"] == "amr" else _NAMED


def varying(everything: list[dict[str, Any]]) -> list[str]:
    """The settings in which these differ."""
    return [name for name in everything[0] if len({settings[name] for settings in everything}) > 1]


def shown(value: Any) -> str:
    """A setting's value, short."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def cell_key(config: Config) -> tuple:
    """What decides to which cell of the paper's tables a run belongs.

    Data set, model, mixer and k where the model mixes by them, d_h = latent_width^2 * latent where the code is an
    image, and the number of training examples.
    """
    mixed = (config.mixer, config.k) if config.model == "amr" else None
    code = config.latent_width**2 * config.latent if config.arch in CONV_ARCHS else None
    return config.dataset, config.model, mixed, code, config.train_examples


def differences(settings: dict[str, Any], published: dict[str, Any]) -> str:
    """`epochs 5 instead of 2000, ...`; empty where they agree."""
    return ", ".join(
        f"{name} {shown(value)} instead of {shown(published[name])}"
        for name, value in settings.items()
        if value != published[name]
    )


def figure(run: Run, name: str) -> float | None:
    """A figure of a run: accuracies in %, or the headline of an evaluated metric as it is.

    Args:
        run: the run.
        name: one of those in `published`, or a metric's name.
    """
    if name == BEST_VALIDATION:
        return 100 * run.best["val_probe_accuracy"]
    if name == TEST_AT_BEST:
        return 100 * run.best["test_probe_accuracy"]
    if name == LAST_TESTS:
        tests = [row["test_probe_accuracy"] for row in run.rows[-LAST:] if "test_probe_accuracy" in row]
        return 100 * statistics.median(tests) if tests else None
    return run.scores.get(name)


def summarise(values: list[float]) -> Summary:
    """Mean, sd and mean +- t(0.975, n - 1) sd / sqrt(n)."""
    n, mean = len(values), statistics.fmean(values)
    if n == 1:
        return Summary(n, mean, None, None, None)
    sd = statistics.stdev(values)
    half = float(special.stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)
    return Summary(n, mean, sd, mean - half, mean + half)
