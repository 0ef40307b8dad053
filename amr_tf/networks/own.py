"""User-supplied Keras models as encoder, decoder and discriminator, instead of the networks of `--arch`."""

from typing import Any

import keras

from amr_tf.config import ConfigError
from amr_tf.networks import layers
from amr_tf.networks.base import Architecture, Layers, Shape, Sizes


@layers.serializable
class Networks(Architecture):
    """User-supplied Keras models as the networks of a method.

    Training changes the weights of these models. They are saved with the model of the method.

    Args:
        encoder: images [B, H, W, C] in [-1, 1] -> codes of any shape [B, ...]. For a VAE, the last axis of the output
            is twice as long as the last axis of a code. The first half contains the means, and the second half contains
            the log-variances.
        decoder: codes [B, ...] -> images [B, H, W, C].
        discriminator: images [B, H, W, C] -> scores [B] or [B, ...]. Scores [B, ...] are averaged to one score per
            image. Scores are logits unless `gan_loss="lsgan"`. For `GAIA`, the discriminator maps images to
            reconstructions [B, H, W, C]. Omit this argument for methods without a discriminator, and for `AAE`, whose
            discriminator scores codes.

    Example:
        >>> import keras
        >>> from amr_tf.models.amr import AMR
        >>> flat = [keras.Input((8, 8, 1)), keras.layers.Flatten()]
        >>> encoder = keras.Sequential([*flat, keras.layers.Dense(4)])
        >>> decoder = keras.Sequential(
        ...     [keras.Input((4,)), keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))])
        >>> discriminator = keras.Sequential([*flat, keras.layers.Dense(1)])
        >>> model = AMR((8, 8, 1), 10, networks=Networks(encoder, decoder, discriminator))
        >>> model.code_shape
        (4,)
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, discriminator: keras.Model | None = None):
        self._models = {"encoder": encoder, "decoder": decoder, "discriminator": discriminator}
        for name, model in self._models.items():
            left_out = model is None and name == "discriminator"
            if not left_out and not isinstance(model, keras.Model):
                raise ConfigError(
                    f"The {name} is not a Keras model. Received: {model!r}. Pass a keras.Model."
                )

    def fit_to(self, image_shape: Shape, encoded_parts: int, has_discriminator: bool) -> Shape:
        """Builds the models with calls on symbolic inputs, and returns the shape of a code.

        Args:
            image_shape: (H, W, C).
            encoded_parts: number of encoder outputs for each element of a code.
            has_discriminator: true if the method trains a discriminator of images.

        Raises:
            ConfigError: the shapes are inconsistent, or the discriminator is missing or not used by the method.
        """
        *place, maps = encoded = self._output_shape("encoder", image_shape, "image_shape")
        if maps % encoded_parts:
            raise ConfigError(
                f"The encoder's last axis needs {encoded_parts} numbers for each one of a code. Received: output "
                f"{encoded}. Make it a multiple of {encoded_parts}."
            )
        code_shape = (*place, maps // encoded_parts)
        decoded = self._output_shape("decoder", code_shape, "the code's shape")
        if decoded != image_shape:
            raise ConfigError(
                f"The decoder returns images of another shape. Received: output {decoded}, image_shape "
                f"{image_shape}. Make them equal."
            )
        if has_discriminator != (self._models["discriminator"] is not None):
            problem = ("The method trains no discriminator of images", "The method needs a discriminator")[
                has_discriminator
            ]
            advice = ("Leave it out", "Pass a keras.Model")[has_discriminator]
            raise ConfigError(
                f"{problem}. Received: discriminator={self._models['discriminator']!r}. {advice}."
            )
        if has_discriminator:
            self._output_shape("discriminator", image_shape, "image_shape")
        return code_shape

    def encoder(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        return self._models["encoder"]

    def decoder(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        return self._models["decoder"]

    def discriminator_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        """Returns the layers of a Sequential discriminator, or a list with the model as the only layer."""
        model = self._models["discriminator"]
        return list(model.layers) if isinstance(model, keras.Sequential) else [model]

    def reconstructor(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        """Returns the discriminator of a method whose discriminator reconstructs images.

        Raises:
            ConfigError: the output shape of the discriminator differs from the image shape.
        """
        output = self._output_shape("discriminator", sizes.image_shape, "image_shape")
        if output != sizes.image_shape:
            raise ConfigError(
                f"The discriminator of this method reconstructs images. Received: output {output}, image_shape "
                f"{sizes.image_shape}. Pass an autoencoder."
            )
        return self._models["discriminator"]

    def get_config(self) -> dict[str, Any]:
        return {
            name: model and keras.saving.serialize_keras_object(model) for name, model in self._models.items()
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Networks":
        return cls(**{name: layers.revived(model) for name, model in config.items()})

    def _output_shape(self, name: str, shape: Shape, source: str) -> Shape:
        """Returns the output shape of a model for an input of `shape`. `source` names the input in error messages."""
        model = self._models[name]
        takes = tuple(model.input_shape[1:]) if model.built and hasattr(model, "input_shape") else None
        try:
            output = model(keras.Input(shape))
        except (ValueError, TypeError) as error:
            received = f"input {takes}" if takes else str(error).splitlines()[0]
            raise ConfigError(
                f"The {name} does not take what it is given. Received: {received}, {source} {shape}. Make them equal."
            ) from error
        if not isinstance(output, keras.KerasTensor):
            raise ConfigError(f"The {name} returns several tensors. Received: {output}. Return one.")
        return tuple(output.shape[1:])
