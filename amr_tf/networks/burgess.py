"""Networks of Burgess et al. (2018, https://arxiv.org/abs/1804.03599) as in the reference implementation.

Images have 64 x 64 pixels, and codes are flat vectors. A final tanh limits decoded images to (-1, 1), because the
binary cross-entropy losses need this range. Images of 32 x 32 pixels, which the papers do not use, are also supported.
The networks then have one convolution less.
"""

import math
from typing import Any

import keras

from amr_tf.networks import layers
from amr_tf.networks.base import Architecture, Layers, Sizes

MAPS, UNITS, TOP = 32, 256, 4  # feature maps, hidden units, width of the last feature map


class Burgess(Architecture):
    """Networks for images of 64 or 32 px. `depth` has no effect."""

    flat_codes = True

    def encoder_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        dense = [(UNITS, "relu"), (UNITS, "relu"), (sizes.code_shape[-1], None)]
        return [
            *(_conv(seeds) for _ in range(_halvings(sizes))),
            keras.layers.Flatten(),
            *(_dense(units, seeds, activation) for units, activation in dense),
        ]

    def decoder_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        """Returns the layers of the decoder. Decoded images are in (-1, 1)."""
        return [
            *(_dense(units, seeds) for units in (UNITS, UNITS, TOP * TOP * MAPS)),
            keras.layers.Reshape((TOP, TOP, MAPS)),
            *(_deconv(MAPS, seeds, "relu") for _ in range(_halvings(sizes) - 1)),
            _deconv(sizes.image_shape[-1], seeds, "tanh"),
        ]

    def discriminator_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        """Returns the layers of the discriminator, with spectral norm whose power steps are taken in training only."""

        def spectral(kind: type, *args: Any, **kwargs: Any) -> keras.layers.Layer:
            return kind(
                *args, kernel_initializer=layers.fan_in_uniform(seeds.next()), steps_in_eval=False,
                u_seed=seeds.next(), **kwargs,
            )  # fmt: skip

        conv = {"strides": 2, "padding": "same", "activation": "relu"}
        return [
            *(spectral(layers.SpectralConv2D, MAPS, 4, **conv) for _ in range(_halvings(sizes))),
            keras.layers.Flatten(),
            *(spectral(layers.SpectralDense, UNITS, activation="relu") for _ in range(2)),
            spectral(layers.SpectralDense, 1),
        ]


def _halvings(sizes: Sizes) -> int:
    """Returns the number of convolutions with stride 2: 4 for images of 64 px, as published."""
    return int(math.log2(sizes.image_shape[0] // TOP))


def _conv(seeds: layers.Seeds) -> keras.layers.Layer:
    kernel = layers.he_normal(seeds.next())
    return keras.layers.Conv2D(MAPS, 4, 2, padding="same", activation="relu", kernel_initializer=kernel)


def _dense(units: int, seeds: layers.Seeds, activation: str | None = "relu") -> keras.layers.Layer:
    return keras.layers.Dense(units, activation=activation, kernel_initializer=layers.he_normal(seeds.next()))


def _deconv(filters: int, seeds: layers.Seeds, activation: str) -> keras.layers.Layer:
    kernel, bias = (layers.uniform_within((16 * filters) ** -0.5, seeds.next()) for _ in range(2))
    return keras.layers.Conv2DTranspose(
        filters, 4, 2, padding="same", activation=activation, kernel_initializer=kernel, bias_initializer=bias
    )


BURGESS = Burgess()
