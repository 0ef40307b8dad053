"""Groups of runs that differ by their seed only, and the settings that differ between groups."""

from typing import Any

from amr_tf.config import Config
from amr_tf.config.defaults import UNUSED_SIZES


def settings_of(config: Config) -> dict[str, Any]:
    """Returns the settings that the runs of a group share, by flag name: all hyper-parameters except the seed.

    Settings without effect are None: sizes that the networks do not read, such as the `latent_width` of flat codes, and
    `image_fit` of data that have the width of the networks' images.
    """
    unused = dict.fromkeys(
        (*UNUSED_SIZES.get(config.arch, ()), *(() if config.dataset_spec.builders else ("image_fit",)))
    )
    return {name: value for name, value in (config.hyperparameters() | unused).items() if name != "seed"}


def by_settings(runs: list[Any]) -> list[tuple[dict[str, Any], list[Any]]]:
    """Groups runs, which have a `config`, by their settings, in the order of first appearance."""
    groups: dict[tuple, list[Any]] = {}
    for run in runs:
        groups.setdefault(tuple(settings_of(run.config).items()), []).append(run)
    return [(dict(settings), members) for settings, members in groups.items()]


def varying(everything: list[dict[str, Any]]) -> list[str]:
    """Returns the names of the settings that differ; None counts as equal to any value."""
    return [name for name in everything[0] if len({settings[name] for settings in everything} - {None}) > 1]


def shown(value: Any) -> str:
    """Returns a setting's value as short text, "-" for a setting without effect."""
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
