"""Names that earlier versions used: every old flags.txt, results.json and run folder opens through these tables."""

from typing import Any

# (settings as they were written, settings as they are now). The first row that fits is applied.
SETTINGS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"model": "acai_amr"}, {"model": "acai_rerun"}),
    ({"model": "amr", "mixer": "supervised"}, {"model": "amr_supervised", "mixer": "mixup"}),
)
# Beginnings of the names of default run folders: now, then.
FOLDERS = {"acai_rerun": "acai_amr", "amr_supervised": "amr_supervised_k2"}
METRICS = {"factor_vae_dlib": "factor_vae_disentanglement_lib"}
# Flags that no longer exist; an old flags.txt may set them to their default.
REMOVED = ("lambdas",)


def renamed(settings: dict[str, Any]) -> dict[str, Any]:
    """Replaces the settings that have another name now; the others are returned as they are."""
    for before, now in SETTINGS:
        if all(settings[name] == value for name, value in before.items()):
            return settings | now
    return settings
