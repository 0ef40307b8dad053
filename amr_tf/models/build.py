"""The model of a run, made from its settings and the shape of its images."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from amr_tf import registry
from amr_tf.config import Config
from amr_tf.models.autoencoder import Autoencoder


def build_model(
    config: Config, image_shape: tuple[int, ...], classes: int, attributes: int | None = None
) -> Autoencoder:
    """Returns a compiled model with initial weights drawn from the config's seed. No data are needed.

    Args:
        config: settings of the run.
        image_shape: (H, W, C) of the images the model will see.
        classes: number of labels.
        attributes: number of attributes, where the data have any; read by methods that need attributes.

    Raises:
        ConfigError: the networks do not fit images of this shape.
    """
    config.check_networks(image_shape[0])
    policy = "float32" if config.mixed_precision == "none" else f"mixed_{config.mixed_precision}"
    with _keras_settings(policy):
        model = registry.load(registry.MODELS, config.model)(config, image_shape, classes, attributes)
        model.compile()
    return model


@contextlib.contextmanager
def _keras_settings(policy: str) -> Iterator[None]:
    """Applies the settings of Keras that the layers are made with; the caller's are restored afterwards."""
    own = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last", "dtype_policy": policy}
    before = {name: getattr(keras.config, name)() for name in own}

    def apply(settings: dict[str, Any]) -> None:
        for name, value in settings.items():
            getattr(keras.config, f"set_{name}")(value)

    apply(own)
    try:
        yield
    finally:
        apply(before)
