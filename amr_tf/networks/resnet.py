"""Residual networks `resnet` of the CelebA and Zappos figures in the AMR paper, for images of 64 or 128 px.

There are `depth` feature maps at full image size. Each halving doubles the number of feature maps, up to `latent`. A
code has the shape [latent_width, latent_width, latent]. The published values are depth 64, latent 512 and latent_width
8, so codes are 8 x 8 x 512 for both image sizes.

This project chose the initial values of encoder and decoder: He-normal kernels, gamma 1 and biases 0. The kernels of
the discriminator start Glorot-uniform, as in the reference implementation. Only the 1x1 convolutions of the reference
implementation start sqrt(2) times as large. With spectral norm, this factor changes only the effective step size of
these convolutions.
"""

from typing import Any, TypeAlias

import keras
import tensorflow as tf

from amr_tf.networks import layers
from amr_tf.networks.base import Architecture, Layers, Sizes
from amr_tf.networks.convolutional import halvings

BLOCKS = 2  # residual blocks at the width of the code
STAGES = (1, 2, 4, 8)  # feature maps after each halving of the discriminator, divided by `depth`
POOL = 4

Tensor: TypeAlias = keras.KerasTensor


def widths(sizes: Sizes) -> list[int]:
    """Returns the numbers of feature maps before the first halving and after each halving. The last is the code's."""
    maps = sizes.code_shape[-1]
    return [min(sizes.depth << scale, maps) for scale in range(halvings(sizes))] + [maps]


class Builder:
    """Builds parts of encoder and decoder: a method applies new layers to a Keras tensor and returns the result."""

    def __init__(self, seeds: layers.Seeds):
        self.seeds = seeds

    def conv(self, x: Tensor, filters: int, size: int = 3, strides: int = 1) -> Tensor:
        """Applies a convolution with reflection padding. Stride 2 halves the image."""
        border = (size // 2, size // 2)
        # Only Keras operations are used, so that an exported network needs no class of this package.
        x = keras.ops.pad(x, ((0, 0), border, border, (0, 0)), mode="reflect")
        return keras.layers.Conv2D(filters, size, strides, kernel_initializer=self._kernel())(x)

    def deconv(self, x: Tensor, filters: int) -> Tensor:
        """Applies a transposed convolution that doubles width and height of the image."""
        layer = keras.layers.Conv2DTranspose(filters, 3, 2, padding="same", kernel_initializer=self._kernel())
        return layer(x)

    def norm(self, x: Tensor) -> Tensor:
        return layers.instance_norm(keras.initializers.Ones())(x)

    def norm_relu(self, x: Tensor) -> Tensor:
        return keras.layers.ReLU()(self.norm(x))

    def block(self, x: Tensor) -> Tensor:
        """Applies 3x3 convolution, norm, relu, 3x3 convolution and norm, and adds the input."""
        maps = x.shape[-1]
        inner = self.norm_relu(self.conv(x, maps))
        return keras.layers.Add()([x, self.norm(self.conv(inner, maps))])

    def _kernel(self) -> keras.initializers.Initializer:
        return layers.he_normal(self.seeds.next())


@layers.serializable
class SpectralBlock(keras.layers.Layer):
    """Residual block with spectral norm (Miyato et al. 2018).

    The block applies relu, 3x3 convolution, relu and 3x3 convolution, and adds the input. As `layers.SpectralNorm`, the
    block is called with a list of inputs: [B, H, W, in] each -> [B, H', W', filters] each.

    Args:
        filters: number of feature maps of the output.
        halved: if true, both paths end with a mean over 2 x 2 pixels, and the shortcut has a 1x1 convolution.
        first: true if the input is an image. The first relu is then omitted.
        seeds: seeds of the initial values.
    """

    def __init__(self, filters: int, halved: bool, first: bool, seeds: layers.Seeds, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters, self.halved, self.first = filters, halved, first
        # Each convolution is an attribute: tf.train.Checkpoint silently omits layers that Keras tracks in a list.
        self.inner, self.outer = _spectral_conv(filters, 3, seeds), _spectral_conv(filters, 3, seeds)
        self.short = _spectral_conv(filters, 1, seeds) if halved else None

    @property
    def spectral_layers(self) -> list[layers.SpectralNorm]:
        return [layer for layer in (self.inner, self.outer, self.short) if layer]

    def get_config(self) -> dict[str, Any]:
        drawn = [seed for one in self.spectral_layers for seed in (one.kernel_initializer.seed, one.u_seed)]
        own = {"filters": self.filters, "halved": self.halved, "first": self.first, "seeds": drawn}
        return super().get_config() | own

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SpectralBlock":
        return cls(**config | {"seeds": layers.DrawnSeeds(config["seeds"])})

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.inner.build(input_shape)
        self.outer.build((*input_shape[:-1], self.filters))
        if self.short:
            self.short.build(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        batch, height, width, _ = input_shape
        factor = 2 if self.halved else 1
        return (batch, height // factor, width // factor, self.filters)

    def call(self, passes: list[tf.Tensor], training: bool = False) -> list[tf.Tensor]:
        inputs = passes if self.first else [tf.nn.relu(x) for x in passes]
        inner = [tf.nn.relu(x) for x in self.inner(inputs, training=training)]
        long = self.outer(inner, training=training)
        short = self.short(passes, training=training) if self.short else passes
        sums = [a + b for a, b in zip(long, short, strict=True)]
        return [tf.nn.avg_pool2d(x, 2, 2, "VALID") for x in sums] if self.halved else sums


def _spectral_conv(filters: int, size: int, seeds: layers.Seeds) -> layers.SpectralConv2D:
    kernel = keras.initializers.GlorotUniform(seed=seeds.next())
    return layers.SpectralConv2D(
        filters, size, padding="same", kernel_initializer=kernel, u_seed=seeds.next()
    )


class Resnet(Architecture):
    """Networks for images of 64 or 128 px."""

    def encoder(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        first, *halved = widths(sizes)
        make, image = Builder(seeds), keras.Input(sizes.image_shape)
        x = make.norm_relu(make.conv(image, first, size=7))
        for maps in halved:
            x = make.block(make.norm_relu(make.conv(x, maps, strides=2)))
        for _ in range(BLOCKS):
            x = make.block(x)
        return keras.Model(image, x, name="encoder")

    def decoder(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        """Builds the decoder, a mirrored encoder. Decoded images are in (-1, 1)."""
        make, code = Builder(seeds), keras.Input(sizes.code_shape)
        x = code
        for _ in range(BLOCKS):
            x = make.block(x)
        for maps in reversed(widths(sizes)[:-1]):
            x = make.norm_relu(make.deconv(make.block(x), maps))
        image = keras.layers.Activation("tanh")(make.conv(x, sizes.image_shape[-1], size=7))
        return keras.Model(code, image, name="decoder")

    def discriminator_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        """Returns the layers of the discriminator. Four of the residual blocks halve the image."""
        depth = sizes.depth
        return [
            *(SpectralBlock(depth * maps, True, number == 0, seeds) for number, maps in enumerate(STAGES)),
            SpectralBlock(depth * STAGES[-1], False, False, seeds),
            keras.layers.ReLU(),
            keras.layers.AveragePooling2D(POOL),
            keras.layers.Flatten(),
            layers.SpectralDense(
                1, kernel_initializer=keras.initializers.GlorotUniform(seed=seeds.next()), u_seed=seeds.next()
            ),
        ]


RESNET = Resnet()
