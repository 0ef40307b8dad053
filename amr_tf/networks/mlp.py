"""Networks for 2-D points (`--dataset=spiral`): `mlp`. No public source fixes them; these are ours.

Two hidden layers of 16 * depth units, leaky relu 0.2, He-normal kernels. No spectral norm: a score that rises by 1 per
unit at most cannot tell the arms of a spiral, a quarter apart, from what lies between them.
"""

import math

import keras

from amr_tf.networks import layers
from amr_tf.networks.convolutional import Shape, glorot_dense
from amr_tf.networks.discriminator import Discriminator

SLOPE = 0.2


def _stack(depth: int, outputs: int, seeds: layers.Seeds) -> list[keras.layers.Layer]:
    stack: list[keras.layers.Layer] = []
    for _ in range(2):
        stack += [_dense(16 * depth, seeds), keras.layers.LeakyReLU(SLOPE)]
    return [*stack, _dense(outputs, seeds)]


def _dense(units: int, seeds: layers.Seeds) -> keras.layers.Layer:
    return keras.layers.Dense(units, kernel_initializer=layers.fan_in_normal(SLOPE, seeds.next()))


class Mlp:
    """Encoder, decoder, discriminator and probe for points, which are images of one pixel with two channels.

    It implements `networks.Networks`.
    """

    def code_shape(self, latent: int, latent_width: int) -> Shape:
        """(latent,): codes are flat."""
        return (latent,)

    def encoder(self, image_shape: Shape, code_shape: Shape, depth: int, seeds: layers.Seeds) -> keras.Model:
        """Points [B, 1, 1, 2] -> codes [B, c]."""
        stack = [keras.layers.Flatten(), *_stack(depth, code_shape[-1], seeds)]
        return keras.Sequential([keras.Input(image_shape), *stack], name="encoder")

    def decoder(self, image_shape: Shape, code_shape: Shape, depth: int, seeds: layers.Seeds) -> keras.Model:
        """Codes [B, c] -> points [B, 1, 1, 2], output linear."""
        stack = [*_stack(depth, math.prod(image_shape), seeds), keras.layers.Reshape(image_shape)]
        return keras.Sequential([keras.Input(code_shape), *stack], name="decoder")

    def discriminator(
        self, image_shape: Shape, code_shape: Shape, depth: int, seeds: layers.Seeds
    ) -> Discriminator:
        """Points [B, 1, 1, 2] -> scores [B]."""
        stack = [keras.layers.Flatten(), *_stack(depth, 1, seeds)]
        return Discriminator(stack, image_shape, name="discriminator")

    def probe(self, code_size: int, classes: int, seeds: layers.Seeds) -> keras.layers.Dense:
        """The classifier on codes."""
        return glorot_dense(classes, seeds)


MLP = Mlp()
