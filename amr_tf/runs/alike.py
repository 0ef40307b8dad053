"""Groups of runs that differ by their seed only, and the settings that differ between groups."""

from typing import Any

from amr_tf.config import Config
from amr_tf.config.defaults import UNUSED_SIZES


def settings_of(config: Config) -> dict[str, Any]:
    """Returns all hyper-parameters except the seed, by flag name. Runs for which they are equal form a group.

    Settings without effect are None. They are sizes that the architecture does not use, such as `latent_width` if a
    code is a vector, and `image_fit` for data sets that are not read through TFDS.
    """
    unused = dict.fromkeys(
        (*UNUSED_SIZES.get(config.arch, ()), *(() if config.dataset_spec.builders else ("image_fit",)))
    )
    return {name: value for name, value in (config.hyperparameters() | unused).items() if name != "seed"}


def by_settings(runs: list[Any]) -> list[tuple[dict[str, Any], list[Any]]]:
    """Groups runs by the settings of their `config`. The groups are in the order of their first runs."""
    groups: dict[tuple, list[Any]] = {}
    for run in runs:
        groups.setdefault(tuple(settings_of(run.config).items()), []).append(run)
    return [(dict(settings), members) for settings, members in groups.items()]


def varying(everything: list[dict[str, Any]]) -> list[str]:
    """Returns the names of the settings whose values differ between the dicts. None counts as equal to any value."""
    return [name for name in everything[0] if len({settings[name] for settings in everything} - {None}) > 1]


def shown(value: Any) -> str:
    """Returns a setting's value as short text. None, for a setting without effect, becomes "-"."""
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
