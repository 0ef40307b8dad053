"""The one place where config, data, model and callbacks meet."""

from amr_tf.config import Config
from amr_tf.models import MODELS


def build_model(config: Config, image_shape: tuple[int, int, int], classes: int):
    """A compiled model with initial weights drawn from the config's seed. No data is needed.

    Args:
        config: a resolved `Config`.
        image_shape: (H, W, C) of the images the model will see.
        classes: number of labels.

    Raises:
        ConfigError: networks that do not fit images of this shape.
    """
    config.check_networks(image_shape[0])
    model = MODELS[config.model](config, tuple(image_shape), classes)
    model.compile()
    return model
