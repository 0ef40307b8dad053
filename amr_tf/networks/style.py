"""Networks for style mixing (`style`): a code has a row for each layer of the decoder, which AdaIN applies there.

The decoder follows StyleGAN (Karras et al., 2019, https://arxiv.org/abs/1812.04948): a learnt constant of 4 x 4
pixels, two layers for each resolution, and a style for each layer. It has no mapping network and no noise, because
codes come from images and decoding must be a function. The encoder takes a style from the statistics of each of its
own layers, as ALAE does (Pidhorskyi et al., 2020, https://arxiv.org/abs/2004.04467), and keeps them apart as pSp does
(Richardson et al., 2021, https://arxiv.org/abs/2008.00951). The combination is this project's.
"""

from typing import TypeAlias

import keras

from amr_tf.config.rules import style_rows
from amr_tf.networks import layers
from amr_tf.networks.base import Architecture, Layers, Shape, Sizes
from amr_tf.networks.convolutional import ACAI

SLOPE, EPSILON, TOP = 0.2, 1e-8, 4  # leaky relu, of the norms, width of the constant

Tensor: TypeAlias = keras.KerasTensor


class Style(Architecture):
    """Networks for images whose width is a power of 2 from 8 px. Codes are [L, latent], rows coarse to fine.

    L is two for each resolution from 4 px to the image's: 8 at 32 px, 10 at 64 px. There are `depth` feature maps at
    the image's size, and twice as many at each halving. Discriminator and probe are those of `acai`.
    """

    torch_probe = False

    def code_shape(self, image_shape: Shape, latent: int, latent_width: int) -> Shape:
        return (style_rows(image_shape[0]), latent)

    def encoder(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        """Statistics of the feature maps after each convolution -> a row of the code."""
        rows, size = sizes.code_shape
        image = keras.Input(sizes.image_shape)
        x, styles = _conv(sizes.depth, seeds, size=1)(image), []
        for scale in range(rows // 2):
            if scale:
                x = keras.layers.AveragePooling2D(2)(x)
            for _ in range(2):
                x = keras.layers.LeakyReLU(SLOPE)(_conv(sizes.depth << scale, seeds)(x))
                styles.append(_dense(size, seeds)(statistics(x)))
                x = _norm()(x)
        return keras.Model(image, keras.ops.stack(styles[::-1], axis=1), name="encoder")

    def decoder(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        """A learnt constant, two layers for each resolution, and a convolution to colours; linear output."""
        rows, _ = sizes.code_shape
        code = keras.Input(sizes.code_shape)
        x = _constant(sizes.depth << (rows // 2 - 1))(keras.ops.zeros_like(code[:, 0, :1]))
        for row in range(rows):
            maps = sizes.depth << (rows // 2 - 1 - row // 2)
            if row:
                x = keras.layers.UpSampling2D(2)(x) if row % 2 == 0 else x
                x = _conv(maps, seeds)(x)
            x = _norm()(keras.layers.LeakyReLU(SLOPE)(x))
            style = _dense(2 * maps, seeds)(code[:, row])
            x = styled(x, style)
        return keras.Model(code, _conv(sizes.image_shape[-1], seeds, size=1)(x), name="decoder")

    def discriminator_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        top = sizes._replace(code_shape=(TOP, TOP, sizes.code_shape[-1]))
        return ACAI.discriminator_layers(top, seeds)


def statistics(x: Tensor) -> Tensor:
    """Means and standard deviations of feature maps over the pixels: [B, H, W, C] -> [B, 2 C]."""
    mean, variance = keras.ops.mean(x, axis=(1, 2)), keras.ops.var(x, axis=(1, 2))
    # The root of 0 has no finite gradient.
    return keras.ops.concatenate([mean, keras.ops.sqrt(variance + EPSILON)], axis=-1)


def styled(x: Tensor, style: Tensor) -> Tensor:
    """(1 + y_s) x + y_b for normalised maps [B, H, W, C] and a style (y_s, y_b) [B, 2 C]."""
    scale, shift = keras.ops.split(style[:, None, None, :], 2, axis=-1)
    return (1 + scale) * x + shift


def _constant(maps: int) -> keras.Sequential:
    """The constant, ones at first, is the bias of a dense layer on zeros: a layer of Keras that any file can name."""
    ones = keras.layers.Dense(TOP * TOP * maps, kernel_initializer="zeros", bias_initializer="ones")
    return keras.Sequential(
        [keras.Input((1,)), ones, keras.layers.Reshape((TOP, TOP, maps))], name="constant"
    )


def _norm() -> keras.layers.Layer:
    """Instance norm without gamma and beta."""
    return keras.layers.GroupNormalization(groups=-1, epsilon=EPSILON, center=False, scale=False)


def _conv(filters: int, seeds: layers.Seeds, size: int = 3) -> keras.layers.Layer:
    kernel = layers.fan_in_normal(SLOPE, seeds.next())
    return keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=kernel)


def _dense(units: int, seeds: layers.Seeds) -> keras.layers.Layer:
    return keras.layers.Dense(units, kernel_initializer=layers.fan_in_normal(1.0, seeds.next()))


STYLE = Style()
