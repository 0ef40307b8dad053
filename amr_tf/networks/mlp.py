"""Networks `mlp` for 2-D points (`--dataset=spiral`). No source specifies these networks.

This project chose two hidden layers of 16 * depth units, leaky relu with slope 0.2, and He-normal kernels. The
discriminator has no spectral norm: if the slope of the score were at most 1, the score could not separate the arms of
the spiral from the space between the arms.
"""

import math

import keras

from amr_tf.networks import layers
from amr_tf.networks.base import Architecture, Layers, Sizes

SLOPE = 0.2


class Mlp(Architecture):
    """Networks for points [B, 1, 1, 2], which are images of one pixel with two channels. Outputs are linear."""

    flat_codes = True
    torch_probe = False

    def encoder_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        return [keras.layers.Flatten(), *_stack(sizes.depth, sizes.code_shape[-1], seeds)]

    def decoder_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        stack = _stack(sizes.depth, math.prod(sizes.image_shape), seeds)
        return [*stack, keras.layers.Reshape(sizes.image_shape)]

    def discriminator_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        return [keras.layers.Flatten(), *_stack(sizes.depth, 1, seeds)]


def _stack(depth: int, outputs: int, seeds: layers.Seeds) -> Layers:
    def dense(units: int) -> keras.layers.Layer:
        return keras.layers.Dense(units, kernel_initializer=layers.fan_in_normal(SLOPE, seeds.next()))

    hidden = [layer for _ in range(2) for layer in (dense(16 * depth), keras.layers.LeakyReLU(SLOPE))]
    return [*hidden, dense(outputs)]


MLP = Mlp()
