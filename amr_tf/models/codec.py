"""Codec: an encoder and a decoder that fit each other, and what can be asked of them once they are trained."""

import keras
import tensorflow as tf

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

    def interpolate(self, x1: tf.Tensor, x2: tf.Tensor, steps: int, mixer: str = "mixup") -> tf.Tensor:
        """Decoded codes on the way from x1 to x2, both ends included.

        Args:
            x1, x2: images [B, H, W, C].
            steps: points on the way, at least 2.
            mixer: a convex one goes straight; a Bernoulli one switches feature maps over in their order.

        Returns:
            Images [B, steps, H, W, C].
        """
        codes = tf.stack([self.encode(x1), self.encode(x2)], axis=1)
        share = tf.linspace(0.0, 1.0, steps)
        if mixer.startswith("bernoulli"):
            maps = self.code_shape[-1]
            switched = tf.range(1, maps + 1, dtype=tf.float32) <= tf.round(share[:, None] * maps)
            share = tf.reshape(
                tf.cast(switched, tf.float32), [steps, *[1] * (len(self.code_shape) - 1), maps]
            )
        else:
            share = tf.reshape(share, [steps, *[1] * len(self.code_shape)])
        path = codes[:, None, 0] * (1 - share) + codes[:, None, 1] * share
        images = self.decode(tf.reshape(path, [-1, *self.code_shape]))
        return tf.reshape(images, [-1, steps, *self.image_shape])
