"""Networks by the name that `--arch` takes: each makes an encoder, a decoder, a discriminator and a probe."""

from typing import Protocol

import keras

from amr_tf.networks.convolutional import Shape
from amr_tf.networks.discriminator import Discriminator
from amr_tf.networks.layers import Seeds


class Networks(Protocol):
    """A value of `--arch`. Networks take sizes, so they can be used without a run.

    `image_shape` is (H, W, C), `code_shape` what the method of this name gives, `depth` the number of feature maps at
    the first scale. Every initialiser takes its own seed from `seeds`.
    """

    def code_shape(self, latent: int, latent_width: int) -> Shape:
        """Shape of a code: (latent_width, latent_width, latent), or (latent,) where codes are flat."""

    def encoder(self, image_shape: Shape, code_shape: Shape, depth: int, seeds: Seeds) -> keras.Model:
        """Images [B, H, W, C] in [-1, 1] -> codes [B, *code_shape]."""

    def decoder(self, image_shape: Shape, code_shape: Shape, depth: int, seeds: Seeds) -> keras.Model:
        """Codes [B, *code_shape] -> images [B, H, W, C]."""

    def discriminator(self, image_shape: Shape, code_shape: Shape, depth: int, seeds: Seeds) -> Discriminator:
        """Images [B, H, W, C] -> scores [B]."""

    def probe(self, code_size: int, classes: int, seeds: Seeds) -> keras.layers.Dense:
        """Flattened codes [B, code_size] -> logits [B, classes]."""
