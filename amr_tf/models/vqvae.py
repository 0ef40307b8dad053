"""VQ-VAE (van den Oord et al., 2017) as ACAI's authors compared it: codes pass through a codebook before decoding."""

from typing import Any

import keras
import tensorflow as tf

from amr_tf.models.autoencoder import Autoencoder, ForwardPass, Loss
from amr_tf.networks.base import Architecture, Sizes
from amr_tf.networks.codebook import Codebook
from amr_tf.networks.layers import Seeds, serializable

HIDDEN = 512  # units between the codewords and the decoder


@serializable
class VQVAE(Autoencoder):
    """Each code becomes `code_vectors` vectors, each replaced by the nearest of `codewords` (`--model=vqvae`).

    A dense layer makes the vectors of the flattened code; two more make a code for the decoder of the codewords. Mixes
    and metrics use the code before the quantization, so interpolations are quantized on their way; the probe reads
    the code after it.

    Example:
        >>> import numpy as np
        >>> model = VQVAE((32, 32, 1), num_classes=10, depth=4, latent=2, codewords=64)
        >>> model.reconstruct(np.zeros((2, 32, 32, 1), np.uint8)).shape
        TensorShape([2, 32, 32, 1])
    """

    description = "a VQ-VAE; its codes are quantized before they are decoded"
    paper = "van den Oord et al., NeurIPS 2017, https://arxiv.org/abs/1711.00937"
    torch_epsilon = False  # the reference implementation is in TensorFlow 1
    generator_terms = (
        *Autoencoder.generator_terms,
        Loss("commitment", "mean (v - e)^2", "Distance of vectors and codewords, before commitment_weight."),
    )

    def _build_players(self, arch: Architecture, sizes: Sizes, seeds: Seeds) -> None:
        size = int(tf.TensorShape(self.code_shape).num_elements())
        vectors = self.config.code_vectors

        def dense(units: int) -> keras.layers.Layer:
            return keras.layers.Dense(
                units, kernel_initializer=keras.initializers.GlorotUniform(seed=seeds.next())
            )

        self.to_vectors = keras.Sequential(
            [keras.Input(self.code_shape), keras.layers.Flatten(), dense(vectors * size),
             keras.layers.Reshape((vectors, size))],
            name="to_vectors",
        )  # fmt: skip
        self.codebook = Codebook(self.config.codewords, size, self.config.codebook_decay, seeds.next())
        self.from_codewords = keras.Sequential(
            [keras.Input((vectors, size)), keras.layers.ReLU(), keras.layers.Flatten(), dense(HIDDEN),
             keras.layers.ReLU(), dense(size), keras.layers.Reshape(self.code_shape)],
            name="from_codewords",
        )  # fmt: skip

    @property
    def networks(self) -> dict[str, keras.Model]:
        return super().networks | {"to_vectors": self.to_vectors, "from_codewords": self.from_codewords}

    @property
    def generator_variables(self) -> list:
        return (
            super().generator_variables
            + self.to_vectors.trainable_variables
            + self.from_codewords.trainable_variables
        )

    def through_codebook(self, h: tf.Tensor) -> tf.Tensor:
        """Codes [B, ...] -> the codes that their codewords stand for, float32 [B, ...]."""
        vectors = tf.cast(self.to_vectors(h), tf.float32)
        return tf.cast(self.from_codewords(self.codebook.nearest(vectors)[0]), tf.float32)

    def classify(self, h: tf.Tensor) -> tf.Tensor:
        return super().classify(self.through_codebook(h))

    def decode(self, h: tf.Tensor, training: bool = False) -> tf.Tensor:
        return super().decode(self.through_codebook(h), training)

    def forward(self, x: tf.Tensor, y: Any = None) -> ForwardPass:
        """Adds the vectors [B, vectors, size] and their codewords to `extras`, and updates the codebook."""
        h = self.encode(x, training=True)
        vectors = tf.cast(self.to_vectors(h, training=True), tf.float32)
        codewords, chosen = self.codebook.nearest(vectors)
        self.codebook.update(tf.stop_gradient(vectors), chosen)
        passed = vectors + tf.stop_gradient(codewords - vectors)  # the gradient of the vectors themselves
        code = tf.cast(self.from_codewords(passed, training=True), tf.float32)
        extras = {"vectors": vectors, "codewords": codewords, "probed": code}
        return ForwardPass(x, h, super().decode(code, training=True), extras=extras)

    def generator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        vectors, codewords = forward.extras["vectors"], forward.extras["codewords"]
        distance = tf.math.squared_difference(vectors, tf.stop_gradient(codewords))
        return super().generator_losses(forward) | {"commitment": tf.reduce_mean(distance, axis=[1, 2])}

    def loss_weights(self) -> dict[str, float]:
        return super().loss_weights() | {"commitment": self.config.commitment_weight}

    def decoding_network(self) -> keras.Model:
        """Codes -> vectors -> codewords -> images."""
        return self._after_codebook(self.decoder)

    def classifying_network(self) -> keras.Model:
        """Codes -> vectors -> codewords -> logits."""
        return self._after_codebook(self.probe)

    def _after_codebook(self, network: keras.Model) -> keras.Model:
        code = keras.Input(self.code_shape)
        codewords = self.codebook.lookup(self.to_vectors(code))
        return keras.Model(code, network(self.from_codewords(codewords)), name=network.name)
