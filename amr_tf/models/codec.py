"""Codec: an encoder and a decoder that fit each other, and what can be asked of them once they are trained."""

import keras
import tensorflow as tf

from amr_tf.mixing import Mixer
from amr_tf.networks import ARCHS
from amr_tf.networks.layers import Seeds


class Codec(keras.Model):
    """Images to codes and back. Weights are called kernel, bias, gamma, beta, u.

    Args:
        config: a `Config`.
        image_shape: (H, W, C).
        seeds: of the initial weights, the encoder's first.
    """

    def __init__(self, config, image_shape: tuple[int, int, int], seeds: Seeds):
        super().__init__(name=config.model)
        self.config = config
        self.image_shape = tuple(image_shape)
        arch = ARCHS[config.arch]
        self.encoder = self._build_encoder(arch, seeds)
        self.decoder = arch.decoder(config, self.image_shape, seeds)
        self.code_shape = tuple(self.decoder.input_shape[1:])

    def _build_encoder(self, arch, seeds: Seeds) -> keras.Model:
        return arch.encoder(self.config, self.image_shape, seeds)

    def call(self, x, training=False):
        return self.decoder(self._codes(x, training), training=training)

    def _codes(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """Images [B, H, W, C] -> codes [B, ...] in the type that the networks compute in."""
        return self.encoder(x, training=training)

    def encode(self, x: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, C] in [-1, 1] -> codes float32 [B, ...]."""
        return tf.cast(self._codes(x, training=False), tf.float32)

    def decode(self, h: tf.Tensor) -> tf.Tensor:
        """Codes [B, ...] -> images float32 [B, H, W, C]."""
        return tf.cast(self.decoder(h, training=False), tf.float32)

    def reconstruct(self, x: tf.Tensor) -> tf.Tensor:
        """g(f(x)): images [B, H, W, C] -> images [B, H, W, C]."""
        return self.decode(self.encode(x))

    def interpolate(self, x1: tf.Tensor, x2: tf.Tensor, steps: int, mixer: Mixer | None = None) -> tf.Tensor:
        """Decodes codes on the way from x1 to x2, both ends included.

        Args:
            x1, x2: images [B, H, W, C].
            steps: points on the way, at least 2.
            mixer: whose `path` is taken; the model's by default.

        Returns:
            Images [B, steps, H, W, C].
        """
        a, b = self.encode(x1), self.encode(x2)
        weights = (mixer or self.mixer).path(a, b, steps)
        path = a[:, None] * weights[:, 0] + b[:, None] * weights[:, 1]
        images = self.decode(tf.reshape(path, [-1, *self.code_shape]))
        return tf.reshape(images, [-1, steps, *self.image_shape])
