"""The networks of ACAI and of the AMR paper: `acai`, `amr` and `amr_fixed`.

Both papers halve the image until it is `latent_width` wide, with `depth` feature maps at the first scale and twice as
many at each following one. What differs is in `Style`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import keras

from amr_tf.networks import layers
from amr_tf.networks.discriminator import Discriminator

Shape = tuple[int, ...]


class Style(NamedTuple):
    """What sets the three apart: slope of the leaky relu, padding of the first convolution, norms, initialisers."""

    slope: float
    pad_first: int
    norms: bool
    sigma_gradient: str
    kernel: Callable[[int], keras.initializers.Initializer]
    gamma: Callable[[int], keras.initializers.Initializer]
    torch_uniform: bool  # PyTorch's default for D's spectral layers and the probe


ACAI_STYLE = Style(
    slope=0.2, pad_first=0, norms=False, sigma_gradient="own", torch_uniform=False,
    kernel=lambda seed: layers.fan_in_normal(0.2, seed), gamma=lambda seed: keras.initializers.Ones(),
)  # fmt: skip
AMR_STYLE = Style(
    slope=0.01, pad_first=1, norms=True, sigma_gradient="last", torch_uniform=True,
    kernel=lambda seed: layers.KernelRowNormal(0.2, seed),
    gamma=lambda seed: keras.initializers.RandomNormal(0.0, (1 + 0.2**2) ** -0.5, seed=seed),
)  # fmt: skip
AMR_FIXED_STYLE = ACAI_STYLE._replace(pad_first=1, norms=True)


def halvings(image_shape: Shape, code_shape: Shape) -> int:
    """Returns the number of times the image is halved: log2(image width / code width)."""
    return int(math.log2(image_shape[0] / code_shape[0]))


class Builder:
    """Makes the layers of one network in one style, each with a seed of its own."""

    def __init__(self, style: Style, seeds: layers.Seeds):
        self.style, self.seeds = style, seeds

    def conv(self, filters: int, size: int = 3) -> keras.layers.Layer:
        kernel = self.style.kernel(self.seeds.next())
        return keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=kernel)

    def hidden(self, filters: int) -> list[keras.layers.Layer]:
        """conv3 [instance norm] leaky relu."""
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
            gradient=self.style.sigma_gradient, u_seed=self.seeds.next(),
        )  # fmt: skip

    def activation(self) -> keras.layers.Layer:
        return keras.layers.LeakyReLU(self.style.slope)

    def entry(self, filters: int) -> list[keras.layers.Layer]:
        """The first 1x1 convolution, which sees a border of zeros in the AMR paper's networks."""
        border = [keras.layers.ZeroPadding2D(self.style.pad_first)] if self.style.pad_first else []
        return [*border, self.conv(filters, size=1)]

    def encoder(self, depth: int, halvings: int, latent: int) -> list[keras.layers.Layer]:
        stack = self.entry(depth)
        for scale in range(halvings):
            stack += [
                *self.hidden(depth << scale),
                *self.hidden(depth << scale),
                keras.layers.AveragePooling2D(2),
            ]
        return [*stack, *self.hidden(depth << halvings), self.conv(latent)]

    def discriminator(self, depth: int, halvings: int, latent: int) -> list[keras.layers.Layer]:
        stack, inputs = self.entry(depth), depth
        for scale in range(halvings):
            for _ in range(2):
                stack += [self.discriminator_conv(inputs, depth << scale), self.activation()]
                inputs = depth << scale
            stack += [keras.layers.AveragePooling2D(2)]
        stack += [self.discriminator_conv(inputs, depth << halvings), self.activation()]
        return [*stack, self.discriminator_conv(depth << halvings, latent)]

    def decoder(self, depth: int, halvings: int, colours: int) -> list[keras.layers.Layer]:
        stack: list[keras.layers.Layer] = []
        for scale in reversed(range(halvings)):
            stack += [
                *self.hidden(depth << scale),
                *self.hidden(depth << scale),
                keras.layers.UpSampling2D(2),
            ]
        return [*stack, *self.hidden(depth), self.conv(colours)]


class Convolutional:
    """Encoder, decoder, discriminator and probe in one style. It implements `networks.Networks`."""

    def __init__(self, style: Style):
        self.style = style

    def code_shape(self, latent: int, latent_width: int) -> Shape:
        """(latent_width, latent_width, latent)."""
        return (latent_width, latent_width, latent)

    def encoder(self, image_shape: Shape, code_shape: Shape, depth: int, seeds: layers.Seeds) -> keras.Model:
        """Images [B, W, W, C] -> codes [B, w, w, c]."""
        stack = Builder(self.style, seeds).encoder(depth, halvings(image_shape, code_shape), code_shape[-1])
        return keras.Sequential([keras.Input(image_shape), *stack], name="encoder")

    def decoder(self, image_shape: Shape, code_shape: Shape, depth: int, seeds: layers.Seeds) -> keras.Model:
        """Codes [B, w, w, c] -> images [B, W, W, C], output linear."""
        stack = Builder(self.style, seeds).decoder(depth, halvings(image_shape, code_shape), image_shape[-1])
        return keras.Sequential([keras.Input(code_shape), *stack], name="decoder")

    def discriminator(
        self, image_shape: Shape, code_shape: Shape, depth: int, seeds: layers.Seeds
    ) -> Discriminator:
        """Images [B, W, W, C] -> scores [B]: the mean over the output of an encoder."""
        stack = Builder(self.style, seeds).discriminator(
            depth, halvings(image_shape, code_shape), code_shape[-1]
        )
        return Discriminator(stack, image_shape, name="discriminator")

    def probe(self, code_size: int, classes: int, seeds: layers.Seeds) -> keras.layers.Dense:
        """The classifier on flattened codes."""
        return (
            torch_dense(code_size, classes, seeds)
            if self.style.torch_uniform
            else glorot_dense(classes, seeds)
        )


ACAI, AMR, AMR_FIXED = (Convolutional(style) for style in (ACAI_STYLE, AMR_STYLE, AMR_FIXED_STYLE))


def torch_dense(inputs: int, units: int, seeds: layers.Seeds) -> keras.layers.Dense:
    """Dense with PyTorch's default initial values."""
    return keras.layers.Dense(
        units,
        kernel_initializer=layers.fan_in_uniform(seeds.next()),
        bias_initializer=layers.uniform_within(inputs**-0.5, seeds.next()),
    )


def glorot_dense(units: int, seeds: layers.Seeds) -> keras.layers.Dense:
    """Dense with Glorot-uniform kernel and zero bias."""
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed=seeds.next()))
