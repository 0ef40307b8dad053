"""The networks of ACAI and of the AMR paper: `acai`, `acai_bounded`, `amr` and `amr_fixed`.

The networks of both papers halve the image until it is `latent_width` pixels wide. The first scale has `depth` feature
maps, and each halving doubles the number of feature maps. `Style` describes the differences between the networks.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import keras

from amr_tf.networks import layers
from amr_tf.networks.base import Architecture, Layers, Sizes


class Style(NamedTuple):
    """Settings in which the networks of the papers differ.

    `slope` is the slope of the leaky relu. `kernel` and `gamma` create initialisers from seeds.
    """

    slope: float
    pad_first: int  # zero padding before the first convolution, in pixels
    norms: bool  # instance norm in encoder and decoder, spectral norm in D
    last_gradient: bool  # argument of `layers.SpectralNorm`
    kernel: Callable[[int], keras.initializers.Initializer]
    gamma: Callable[[int], keras.initializers.Initializer]
    torch_uniform: bool  # PyTorch's default initialisers for D's spectral layers and the probe
    bounded: bool = False  # images are 2 sigmoid(z) - 1, in (-1, 1), for the last layer's output z


ACAI_STYLE = Style(
    slope=0.2, pad_first=0, norms=False, last_gradient=False, torch_uniform=False,
    kernel=lambda seed: layers.fan_in_normal(0.2, seed), gamma=lambda seed: keras.initializers.Ones(),
)  # fmt: skip
AMR_STYLE = Style(
    slope=0.01, pad_first=1, norms=True, last_gradient=True, torch_uniform=True,
    kernel=lambda seed: layers.KernelRowNormal(0.2, seed),
    gamma=lambda seed: keras.initializers.RandomNormal(0.0, (1 + 0.2**2) ** -0.5, seed=seed),
)  # fmt: skip
AMR_FIXED_STYLE = ACAI_STYLE._replace(pad_first=1, norms=True)
ACAI_BOUNDED_STYLE = ACAI_STYLE._replace(bounded=True)


def halvings(sizes: Sizes) -> int:
    """Returns the number of times the image is halved: log2(image width / code width)."""
    return int(math.log2(sizes.image_shape[0] / sizes.code_shape[0]))


class Builder:
    """Builder for the layers of one network in one style. Each initialiser uses a new seed."""

    def __init__(self, style: Style, seeds: layers.Seeds):
        self.style, self.seeds = style, seeds

    def conv(self, filters: int, size: int = 3) -> keras.layers.Layer:
        kernel = self.style.kernel(self.seeds.next())
        return keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=kernel)

    def hidden(self, filters: int) -> list[keras.layers.Layer]:
        """Returns a 3x3 convolution, an instance norm if the style has norms, and a leaky relu."""
        norm = [layers.instance_norm(self.style.gamma(self.seeds.next()))] if self.style.norms else []
        return [self.conv(filters), *norm, self.activation()]

    def discriminator_conv(self, inputs: int, filters: int) -> keras.layers.Layer:
        if not self.style.norms:
            return self.conv(filters)
        kernel, bias = self.style.kernel(self.seeds.next()), keras.initializers.Zeros()
        if self.style.torch_uniform:
            kernel = layers.fan_in_uniform(self.seeds.next())
            bias = layers.uniform_within((9 * inputs) ** -0.5, self.seeds.next())
        return layers.SpectralConv2D(
            filters, 3, padding="same", kernel_initializer=kernel, bias_initializer=bias,
            last_gradient=self.style.last_gradient, u_seed=self.seeds.next(),
        )  # fmt: skip

    def activation(self) -> keras.layers.Layer:
        return keras.layers.LeakyReLU(self.style.slope)

    def entry(self, filters: int) -> list[keras.layers.Layer]:
        """Returns the first 1x1 convolution, after zero padding in the networks of the AMR paper."""
        border = [keras.layers.ZeroPadding2D(self.style.pad_first)] if self.style.pad_first else []
        return [*border, self.conv(filters, size=1)]

    def scale(self, filters: int, resize: keras.layers.Layer) -> list[keras.layers.Layer]:
        return [*self.hidden(filters), *self.hidden(filters), resize]


class Convolutional(Architecture):
    """Networks in one style. The discriminator is built like an encoder, and its mean output is the score."""

    def __init__(self, style: Style):
        self.style, self.torch_probe = style, style.torch_uniform

    def encoder_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        make, scales, depth = Builder(self.style, seeds), halvings(sizes), sizes.depth
        stack = make.entry(depth)
        for scale in range(scales):
            stack += make.scale(depth << scale, keras.layers.AveragePooling2D(2))
        return [*stack, *make.hidden(depth << scales), make.conv(sizes.code_shape[-1])]

    def decoder_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        make, depth = Builder(self.style, seeds), sizes.depth
        stack: list[keras.layers.Layer] = []
        for scale in reversed(range(halvings(sizes))):
            stack += make.scale(depth << scale, keras.layers.UpSampling2D(2))
        # 2 sigmoid(z) - 1 = tanh(z / 2)
        bound = [keras.layers.Rescaling(0.5), keras.layers.Activation("tanh")] if self.style.bounded else []
        return [*stack, *make.hidden(depth), make.conv(sizes.image_shape[-1]), *bound]

    def discriminator_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        make, scales, depth = Builder(self.style, seeds), halvings(sizes), sizes.depth
        stack, inputs = make.entry(depth), depth
        for scale in range(scales):
            for _ in range(2):
                stack += [make.discriminator_conv(inputs, depth << scale), make.activation()]
                inputs = depth << scale
            stack += [keras.layers.AveragePooling2D(2)]
        stack += [make.discriminator_conv(inputs, depth << scales), make.activation()]
        return [*stack, make.discriminator_conv(depth << scales, sizes.code_shape[-1])]


ACAI, ACAI_BOUNDED, AMR, AMR_FIXED = (
    Convolutional(style) for style in (ACAI_STYLE, ACAI_BOUNDED_STYLE, AMR_STYLE, AMR_FIXED_STYLE)
)
