"""Construction of a run's model from settings and the shape of the images."""

from amr_tf import registry
from amr_tf.config import Config
from amr_tf.models.autoencoder import Autoencoder


def build_model(
    config: Config, image_shape: tuple[int, ...], classes: int, attributes: int | None = None
) -> Autoencoder:
    """Returns a compiled model. The initial weights depend on the seed in `config`, not on data.

    Args:
        config: settings of the run.
        image_shape: (H, W, C) of the training images.
        classes: number of classes.
        attributes: number of attributes of each example, or None. Only methods that need attributes use this number.

    Raises:
        ConfigError: the networks do not support images of this shape.
    """
    method = registry.load(registry.MODELS, config.model)
    model = method(image_shape, classes, num_attributes=attributes, **vars(config))
    model.compile()
    return model
