"""Names that earlier versions used. With these tables, flags.txt, results.json and run folders of old runs open."""

from typing import Any

# Each row is (old settings, present settings). The first row whose old settings match is applied.
SETTINGS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"model": "acai_amr"}, {"model": "acai_rerun"}),
    ({"model": "amr", "mixer": "supervised"}, {"model": "amr_supervised", "mixer": "mixup"}),
)
# Prefixes of the names of default run folders. The keys are present prefixes, the values are old prefixes.
FOLDERS = {"acai_rerun": "acai_amr", "amr_supervised": "amr_supervised_k2"}
METRICS = {"factor_vae_dlib": "factor_vae_disentanglement_lib"}
# Flags that no longer exist. An old flags.txt may contain them with an empty value.
REMOVED = ("lambdas",)


def renamed(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings with old names replaced by present names."""
    for before, now in SETTINGS:
        if all(settings[name] == value for name, value in before.items()):
            return settings | now
    return settings
