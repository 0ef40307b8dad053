"""The model of a run, made from its settings and the shape of its images."""

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
    method = registry.load(registry.MODELS, config.model)
    model = method(image_shape, classes, num_attributes=attributes, **vars(config))
    model.compile()
    return model
