"""Discriminator: a stack of layers whose mean output is the score, and an optional head that predicts attributes."""

from typing import Any

import keras
import tensorflow as tf

from amr_tf.networks.layers import Seeds, SpectralNorm, revived, serializable


@serializable
class Discriminator(keras.Model):
    """Network that scores images. The score of an image is the mean over all outputs of the last layer.

    A call with images [B, H, W, C] returns raw scores [B], which are logits if the loss is bce. A call with a list of
    batches of images runs a separate pass for each batch and returns a list of scores.
    """

    def __init__(self, trunk: list[keras.layers.Layer], image_shape: tuple[int, ...], **kwargs: Any):
        super().__init__(**kwargs)
        # Each layer is an attribute: tf.train.Checkpoint silently omits layers in a list, and so their variable u.
        shape: tuple[int | None, ...] = (None, *image_shape)
        for number, layer in enumerate(trunk):
            setattr(self, f"layer_{number}", layer)
            if not layer.built:
                layer.build(shape)
            self._feature_maps = shape[-1]
            if layer is not trunk[-1]:
                shape = layer.compute_output_shape(shape)
        self._trunk_length, self._image_shape = len(trunk), tuple(image_shape)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        serialize, head = keras.saving.serialize_keras_object, getattr(self, "attribute_head", None)
        return super().get_config() | {
            "trunk": [serialize(layer) for layer in self.trunk],
            "image_shape": self._image_shape,
            "attribute_head": head and serialize(head),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Discriminator":
        *trunk, head = map(revived, (*config["trunk"], config["attribute_head"]))
        others = {name: value for name, value in config.items() if name not in ("trunk", "attribute_head")}
        discriminator = cls(trunk, **others)
        if head:
            discriminator._set_head(head)
        return discriminator

    @property
    def trunk(self) -> list[keras.layers.Layer]:
        """All layers except the attribute head."""
        return self.layers[: self._trunk_length]

    def add_attribute_head(self, attributes: int, seeds: Seeds) -> None:
        """Adds a dense layer that predicts attributes from the input of the last layer, summed over the pixels.

        The sum follows Miyato and Koyama (2018, https://arxiv.org/abs/1802.05637). The reference implementation uses
        the average instead. After layers with spectral norm, this average is so small that the head hardly learns. The
        discriminator of `resnet` already averages before its last layer, as published. The head has no spectral norm,
        because spectral norm bounds the logits, and bounded logits cannot express high confidence.
        """
        kernel = keras.initializers.GlorotUniform(seed=seeds.next())
        self._set_head(keras.layers.Dense(attributes, kernel_initializer=kernel))

    def _set_head(self, head: keras.layers.Dense) -> None:
        self.attribute_head = head
        if not head.built:
            head.build((None, self._feature_maps))

    def call(self, images: Any, training: bool = False) -> Any:
        several = isinstance(images, (list, tuple))
        scores = self._scores(self._features(images if several else [images], training), training)
        return scores if several else scores[0]

    def scores_and_attributes(self, passes: list[tf.Tensor], training: bool = False) -> tuple[list, list]:
        """Scores a list of batches [B, H, W, C]. Returns a list of scores [B] and a list of attribute logits [B, A]."""
        features = self._features(passes, training)
        logits = []
        for x in features:
            pooled = tf.reduce_sum(tf.cast(x, tf.float32), axis=list(range(1, x.shape.rank - 1)))
            logits.append(tf.cast(self.attribute_head(pooled), tf.float32))
        return self._scores(features, training), logits

    def _features(self, passes: list[tf.Tensor], training: bool) -> list[tf.Tensor]:
        """Computes the input of the last layer for each pass."""
        passes = [tf.cast(x, self.compute_dtype) for x in passes]
        for layer in self.trunk[:-1]:
            passes = _apply_layer(layer, passes, training)
        return passes

    def _scores(self, features: list[tf.Tensor], training: bool) -> list[tf.Tensor]:
        # A mean over thousands of numbers needs a higher precision than bfloat16.
        passes = [tf.cast(x, tf.float32) for x in _apply_layer(self.trunk[-1], features, training)]
        return [tf.reduce_mean(x, axis=list(range(1, x.shape.rank))) for x in passes]

    @property
    def spectral_layers(self) -> list[SpectralNorm]:
        """All layers with spectral norm."""
        return [one for layer in self.trunk for one in getattr(layer, "spectral_layers", ())]

    def power_steps(self, passes: int) -> None:
        """Updates u of each layer with spectral norm as `passes` calls would, but without computing convolutions."""
        for layer in self.spectral_layers:
            layer.power_steps(passes)


def _apply_layer(layer: keras.layers.Layer, passes: list[tf.Tensor], training: bool) -> list[tf.Tensor]:
    if hasattr(layer, "spectral_layers"):  # this layer takes a list with the inputs of all passes
        return layer(passes, training=training)
    return [layer(x, training=training) for x in passes]
