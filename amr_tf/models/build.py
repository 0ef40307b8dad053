"""The model of a run, made from its settings and the shape of its images."""

import contextlib
from collections.abc import Iterator

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
    with _dtype_policy(config.mixed_precision):
        model = registry.load(registry.MODELS, config.model)(config, image_shape, classes, attributes)
    model.compile()
    return model


@contextlib.contextmanager
def _dtype_policy(mixed_precision: str) -> Iterator[None]:
    """Makes layers within compute in this type and restores Keras's global policy afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if mixed_precision == "none" else f"mixed_{mixed_precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
