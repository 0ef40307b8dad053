"""The dSprites networks of Burgess et al. 2018 as the AMR code has them: `burgess`.

64x64 images, a flat code; the image range is enforced by tanh, so the binary cross-entropies apply. Images of
32 px, which are not of the papers, take one convolution less.
"""

import math
from typing import Any

import keras

from amr_tf.networks import layers
from amr_tf.networks.convolutional import Shape, torch_dense
from amr_tf.networks.discriminator import Discriminator

MAPS, UNITS, TOP = 32, 256, 4  # feature maps, hidden units, width of the last feature map


def _conv(seeds: layers.Seeds) -> keras.layers.Layer:
    return keras.layers.Conv2D(
        MAPS, 4, 2, padding="same", activation="relu", kernel_initializer=layers.he_normal(seeds.next())
    )


def _dense(units: int, seeds: layers.Seeds, activation: str | None = "relu") -> keras.layers.Layer:
    return keras.layers.Dense(units, activation=activation, kernel_initializer=layers.he_normal(seeds.next()))


def _deconv(filters: int, seeds: layers.Seeds, activation: str) -> keras.layers.Layer:
    limit = (16 * filters) ** -0.5
    return keras.layers.Conv2DTranspose(
        filters, 4, 2, padding="same", activation=activation,
        kernel_initializer=layers.uniform_within(limit, seeds.next()),
        bias_initializer=layers.uniform_within(limit, seeds.next()),
    )  # fmt: skip


def _halvings(image_shape: Shape) -> int:
    """Convolutions with strides of 2 between the image and the last feature map: 4 for 64 px, as published."""
    return int(math.log2(image_shape[0] // TOP))


class Burgess:
    """Encoder, decoder, discriminator and probe for images of 64 px, or 32. `depth` is not used.

    It implements `networks.Networks`.
    """

    def code_shape(self, latent: int, latent_width: int) -> Shape:
        """(latent,): codes are flat."""
        return (latent,)

    def encoder(self, image_shape: Shape, code_shape: Shape, depth: int, seeds: layers.Seeds) -> keras.Model:
        """Images [B, W, W, C] -> codes [B, c]."""
        stack = [_conv(seeds) for _ in range(_halvings(image_shape))]
        stack += [
            keras.layers.Flatten(),
            _dense(UNITS, seeds),
            _dense(UNITS, seeds),
            _dense(code_shape[-1], seeds, None),
        ]
        return keras.Sequential([keras.Input(image_shape), *stack], name="encoder")

    def decoder(self, image_shape: Shape, code_shape: Shape, depth: int, seeds: layers.Seeds) -> keras.Model:
        """Codes [B, c] -> images [B, W, W, C] in (-1, 1)."""
        stack = [_dense(UNITS, seeds), _dense(UNITS, seeds), _dense(TOP * TOP * MAPS, seeds)]
        stack += [keras.layers.Reshape((TOP, TOP, MAPS))]
        stack += [_deconv(MAPS, seeds, "relu") for _ in range(_halvings(image_shape) - 1)]
        stack += [_deconv(image_shape[-1], seeds, "tanh")]
        return keras.Sequential([keras.Input(code_shape), *stack], name="decoder")

    def discriminator(
        self, image_shape: Shape, code_shape: Shape, depth: int, seeds: layers.Seeds
    ) -> Discriminator:
        """Images [B, W, W, C] -> logits [B]: spectral norm on every layer, power steps in training only."""

        def spectral(kind: type, *args: Any, **kwargs: Any) -> keras.layers.Layer:
            return kind(
                *args, kernel_initializer=layers.fan_in_uniform(seeds.next()), steps_in_eval=False,
                u_seed=seeds.next(), **kwargs,
            )  # fmt: skip

        conv = {"strides": 2, "padding": "same", "activation": "relu"}
        stack = [spectral(layers.SpectralConv2D, MAPS, 4, **conv) for _ in range(_halvings(image_shape))]
        stack += [keras.layers.Flatten()]
        stack += [spectral(layers.SpectralDense, UNITS, activation="relu") for _ in range(2)]
        return Discriminator([*stack, spectral(layers.SpectralDense, 1)], image_shape, name="discriminator")

    def probe(self, code_size: int, classes: int, seeds: layers.Seeds) -> keras.layers.Dense:
        """The classifier on codes."""
        return torch_dense(code_size, classes, seeds)


BURGESS = Burgess()
