"""Runs that differ by their seed only: grouped by their settings, and the settings that tell groups apart."""

from typing import Any

from amr_tf.config import Config
from amr_tf.config.rules import FLAT_ARCHS


def settings_of(config: Config) -> dict[str, Any]:
    """Returns the settings that the runs of a group share, by flag name: all hyper-parameters except the seed.

    A flat code has no width.
    """
    settings = {name: value for name, value in config.hyperparameters().items() if name != "seed"}
    return settings | ({"latent_width": "-"} if config.arch in FLAT_ARCHS else {})


def by_settings(runs: list[Any]) -> list[tuple[dict[str, Any], list[Any]]]:
    """Groups runs, which have a `config`, by their settings, in the order in which these first appear."""
    groups: dict[tuple, list[Any]] = {}
    for run in runs:
        groups.setdefault(tuple(settings_of(run.config).items()), []).append(run)
    return [(dict(settings), members) for settings, members in groups.items()]


def varying(everything: list[dict[str, Any]]) -> list[str]:
    """Returns the names of the settings in which these differ."""
    return [name for name in everything[0] if len({settings[name] for settings in everything}) > 1]


def shown(value: Any) -> str:
    """Returns a setting's value as short text."""
    return f"{value:g}" if isinstance(value, float) else str(value)
