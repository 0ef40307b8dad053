"""Networks `style` for style mixing. A code has one row, the style, for each decoder layer; AdaIN applies the style.

The decoder follows StyleGAN (Karras et al., 2019, https://arxiv.org/abs/1812.04948): a learnt constant of 4 x 4
pixels, two layers for each resolution, and a style for each layer. The decoder has no mapping network, because codes
come from images. The decoder has no noise, because decoding must be deterministic.

As in ALAE (Pidhorskyi et al., 2020, https://arxiv.org/abs/2004.04467), the encoder computes a style from the feature
statistics of each encoder layer. As in pSp (Richardson et al., 2021, https://arxiv.org/abs/2008.00951), each decoder
layer gets a separate style. This project combined these designs.
"""

from typing import TypeAlias

import keras

from amr_tf.config.rules import style_rows
from amr_tf.networks import layers
from amr_tf.networks.base import Architecture, Layers, Shape, Sizes
from amr_tf.networks.convolutional import ACAI

SLOPE, EPSILON, TOP = 0.2, 1e-8, 4  # slope of leaky relu, epsilon of norms, width of the constant

Tensor: TypeAlias = keras.KerasTensor


class Style(Architecture):
    """Networks for images whose width is a power of 2 and at least 8 px.

    Codes have the shape [L, latent], and the rows are ordered from coarse to fine. There are two rows for each
    resolution from 4 px to the image width: L is 8 for 32 px and 10 for 64 px. There are `depth` feature maps at full
    image size, and each halving doubles the number of feature maps. Discriminator and probe are the same as in `acai`.
    """

    torch_probe = False

    def code_shape(self, image_shape: Shape, latent: int, latent_width: int) -> Shape:
        return (style_rows(image_shape[0]), latent)

    def encoder(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        """Builds the encoder. Each row of the code is computed from the statistics after a 3x3 convolution."""
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
        """Builds the decoder: a learnt constant, two layers for each resolution, and a linear 1x1 convolution."""
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
    """Computes means and standard deviations of feature maps over the pixels: [B, H, W, C] -> [B, 2 C]."""
    mean, variance = keras.ops.mean(x, axis=(1, 2)), keras.ops.var(x, axis=(1, 2))
    # The gradient of the square root is infinite at 0.
    return keras.ops.concatenate([mean, keras.ops.sqrt(variance + EPSILON)], axis=-1)


def styled(x: Tensor, style: Tensor) -> Tensor:
    """Computes (1 + y_s) x + y_b for normalised feature maps x [B, H, W, C] and a style (y_s, y_b) [B, 2 C]."""
    scale, shift = keras.ops.split(style[:, None, None, :], 2, axis=-1)
    return (1 + scale) * x + shift


def _constant(maps: int) -> keras.Sequential:
    """Returns a network that outputs the learnt constant, which starts with ones.

    The constant is the bias of a dense layer on zeros. Therefore saved files contain only built-in layers of Keras.
    """
    ones = keras.layers.Dense(TOP * TOP * maps, kernel_initializer="zeros", bias_initializer="ones")
    return keras.Sequential(
        [keras.Input((1,)), ones, keras.layers.Reshape((TOP, TOP, maps))], name="constant"
    )


def _norm() -> keras.layers.Layer:
    """Returns an instance norm without gamma and beta."""
    return keras.layers.GroupNormalization(groups=-1, epsilon=EPSILON, center=False, scale=False)


def _conv(filters: int, seeds: layers.Seeds, size: int = 3) -> keras.layers.Layer:
    kernel = layers.fan_in_normal(SLOPE, seeds.next())
    return keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=kernel)


def _dense(units: int, seeds: layers.Seeds) -> keras.layers.Layer:
    return keras.layers.Dense(units, kernel_initializer=layers.fan_in_normal(1.0, seeds.next()))


STYLE = Style()
