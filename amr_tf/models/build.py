"""The model of a run, made from its settings and the shape of its images."""

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
    precision, before = config.mixed_precision, keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "none" else f"mixed_{precision}")
    try:
        model = registry.load(registry.MODELS, config.model)(config, image_shape, classes, attributes)
    finally:
        keras.config.set_dtype_policy(before)
    model.compile()
    return model
