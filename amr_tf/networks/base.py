"""Base class of architectures. An architecture builds the networks for one value of `--arch`."""

from typing import ClassVar, NamedTuple

import keras

from amr_tf.networks import layers
from amr_tf.networks.discriminator import Discriminator

Shape = tuple[int, ...]
Layers = list[keras.layers.Layer]


class Sizes(NamedTuple):
    """Sizes of a model: the shapes of images and codes, and `depth`, the number of feature maps at the first scale."""

    image_shape: Shape
    code_shape: Shape
    depth: int


class Architecture:
    """Builder of encoder, decoder, discriminator and probe for given sizes.

    A sub-class returns the layers of each network. Every initialiser uses a new seed from `seeds`.
    """

    flat_codes: ClassVar[bool] = False
    torch_probe: bool = True  # if true, the probe is initialised as in PyTorch, else Glorot-uniform

    def code_shape(self, image_shape: Shape, latent: int, latent_width: int) -> Shape:
        """Returns the shape of a code: (latent_width, latent_width, latent), or (latent,) for flat codes."""
        return (latent,) if self.flat_codes else (latent_width, latent_width, latent)

    def encoder(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        """Builds the encoder: images [B, H, W, C] in [-1, 1] -> codes [B, *code_shape]."""
        stack = self.encoder_layers(sizes, seeds)
        return keras.Sequential([keras.Input(sizes.image_shape), *stack], name="encoder")

    def decoder(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        """Builds the decoder: codes [B, *code_shape] -> images [B, H, W, C]."""
        stack = self.decoder_layers(sizes, seeds)
        return keras.Sequential([keras.Input(sizes.code_shape), *stack], name="decoder")

    def discriminator(self, sizes: Sizes, seeds: layers.Seeds) -> Discriminator:
        """Builds the discriminator: images [B, H, W, C] -> scores [B]."""
        return Discriminator(self.discriminator_layers(sizes, seeds), sizes.image_shape, name="discriminator")

    def reconstructor(self, sizes: Sizes, seeds: layers.Seeds) -> keras.Model:
        """Builds the discriminator of GAIA, a second autoencoder: images [B, H, W, C] -> images [B, H, W, C]."""
        image = keras.Input(sizes.image_shape)
        encoder, decoder = self.encoder(sizes, seeds), self.decoder(sizes, seeds)
        return keras.Model(image, decoder(encoder(image)), name="discriminator")

    def probe(self, code_size: int, classes: int, seeds: layers.Seeds) -> keras.layers.Dense:
        """Builds the probe's dense layer: flattened codes [B, code_size] -> logits [B, classes]."""
        if not self.torch_probe:
            kernel = keras.initializers.GlorotUniform(seed=seeds.next())
            return keras.layers.Dense(classes, kernel_initializer=kernel)
        kernel = layers.fan_in_uniform(seeds.next())
        bias = layers.uniform_within(code_size**-0.5, seeds.next())
        return keras.layers.Dense(classes, kernel_initializer=kernel, bias_initializer=bias)

    def encoder_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        raise NotImplementedError

    def decoder_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        raise NotImplementedError

    def discriminator_layers(self, sizes: Sizes, seeds: layers.Seeds) -> Layers:
        raise NotImplementedError
