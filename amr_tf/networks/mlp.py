"""Networks for 2-D points (`--dataset=spiral`): `mlp`. No public source fixes them; these are ours.

Two hidden layers of 16 * depth units, leaky relu 0.2, He-normal kernels. No spectral norm: a score that rises by 1 per
unit at most cannot tell the arms of a spiral, a quarter apart, from what lies between them.
"""

import math

import keras

from amr_tf.networks import layers
from amr_tf.networks.convolutional import ImageShape, glorot_dense
from amr_tf.networks.discriminator import Discriminator

SLOPE = 0.2


def _stack(config, outputs: int, seeds: layers.Seeds) -> list[keras.layers.Layer]:
    stack: list[keras.layers.Layer] = []
    for _ in range(2):
        stack += [_dense(16 * config.depth, seeds), keras.layers.LeakyReLU(SLOPE)]
    return [*stack, _dense(outputs, seeds)]


def _dense(units: int, seeds: layers.Seeds) -> keras.layers.Layer:
    return keras.layers.Dense(units, kernel_initializer=layers.fan_in_normal(SLOPE, seeds.next()))


class MlpArch:
    """Encoder, decoder, discriminator and probe for points, which are images of one pixel with two channels."""

    def encoder(self, config, image_shape: ImageShape, seeds: layers.Seeds) -> keras.Model:
        """Points [B, 1, 1, 2] -> codes [B, latent]."""
        stack = [keras.layers.Flatten(), *_stack(config, config.latent, seeds)]
        return keras.Sequential([keras.Input(image_shape), *stack], name="encoder")

    def decoder(self, config, image_shape: ImageShape, seeds: layers.Seeds) -> keras.Model:
        """Codes [B, latent] -> points [B, 1, 1, 2], output linear."""
        stack = [*_stack(config, math.prod(image_shape), seeds), keras.layers.Reshape(image_shape)]
        return keras.Sequential([keras.Input((config.latent,)), *stack], name="decoder")

    def discriminator(self, config, image_shape: ImageShape, seeds: layers.Seeds) -> Discriminator:
        """Points [B, 1, 1, 2] -> scores [B]."""
        stack = [keras.layers.Flatten(), *_stack(config, 1, seeds)]
        return Discriminator(stack, image_shape, name="discriminator")

    def probe(self, code_size: int, classes: int, seeds: layers.Seeds) -> keras.layers.Dense:
        """The classifier on codes."""
        return glorot_dense(classes, seeds)
