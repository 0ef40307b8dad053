"""Building the model of a run from its settings and the shape of its images."""

import contextlib

import keras

from amr_tf.config import Config
from amr_tf.models import model_class


def build_model(
    config: Config, image_shape: tuple[int, int, int], classes: int, attributes: int | None = None
):
    """A compiled model with initial weights drawn from the config's seed. No data is needed.

    Args:
        config: a resolved `Config`.
        image_shape: (H, W, C) of the images the model will see.
        classes: number of labels.
        attributes: number of attributes, where the data have any; only supervised mixing looks at it.

    Raises:
        ConfigError: networks that do not fit images of this shape.
    """
    config.check_networks(image_shape[0])
    with _dtype_policy(config.mixed_precision):
        model = model_class(config)(config, image_shape, classes, attributes)
    model.compile()
    return model


@contextlib.contextmanager
def _dtype_policy(mixed_precision: str):
    """Layers made within compute in this type; Keras's global policy is back as it was afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if mixed_precision == "none" else f"mixed_{mixed_precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
