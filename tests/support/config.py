"""The smallest configuration that trains, shared by the tests."""

from typing import Any

from amr_tf.config import Config


def tiny_config(**overrides: Any) -> Config:
    """AMR on points with two feature maps: an epoch of two steps takes a moment once TensorFlow is loaded.

    Example:
        >>> tiny_config(model="vae").depth
        2

    Args:
        overrides: fields of the config. With an `arch` for images the networks get a code of 8 pixels' width.
    """
    settings = {"dataset": "spiral", "depth": 2, "batch_size": 8, "update_g_every": 1}
    settings |= {"epochs": 1, "steps_per_epoch": 2}
    if overrides.get("arch", "mlp") != "mlp" or overrides.get("dataset", "spiral") != "spiral":
        settings |= {"dataset": "lines", "latent": 2, "latent_width": 8}
    return Config(**settings | overrides)
