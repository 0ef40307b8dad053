"""VQ-VAE (van den Oord et al., 2017), a baseline in the ACAI paper."""

from typing import Any

import keras
import tensorflow as tf

from amr_tf.models.autoencoder import Autoencoder, ForwardPass, Loss
from amr_tf.networks.base import Architecture, Sizes
from amr_tf.networks.codebook import Codebook
from amr_tf.networks.layers import Seeds, serializable

HIDDEN = 512  # units of the hidden layer between codewords and decoder


@serializable
class VQVAE(Autoencoder):
    """VQ-VAE (`--model=vqvae`): a code becomes `code_vectors` vectors, and the nearest codeword replaces each vector.

    A dense layer computes the vectors from the flattened code. Two other dense layers compute the decoder's input from
    the codewords. The codebook contains `codewords` codewords. Mixes and metrics use codes before quantization, and
    `decode` quantizes codes. Therefore each point of an interpolation is quantized. The probe uses codes after
    quantization.

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
        """Quantizes codes [B, ...]. Returns the input of the decoder, float32 [B, ...]."""
        vectors = tf.cast(self.to_vectors(h), tf.float32)
        return tf.cast(self.from_codewords(self.codebook.nearest(vectors)[0]), tf.float32)

    def classify(self, h: tf.Tensor) -> tf.Tensor:
        return super().classify(self.through_codebook(h))

    def decode(self, h: tf.Tensor, training: bool = False) -> tf.Tensor:
        return super().decode(self.through_codebook(h), training)

    def forward(self, x: tf.Tensor, y: Any = None) -> ForwardPass:
        """Reconstructs x from quantized codes, and updates the codebook.

        `extras` contains the vectors [B, vectors, size], their codewords and the codes after quantization.
        """
        h = self.encode(x, training=True)
        vectors = tf.cast(self.to_vectors(h, training=True), tf.float32)
        codewords, chosen = self.codebook.nearest(vectors)
        self.codebook.update(tf.stop_gradient(vectors), chosen)
        passed = vectors + tf.stop_gradient(codewords - vectors)  # straight-through gradient
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
        """Returns a Keras model that computes codes -> vectors -> codewords -> images."""
        return self._after_codebook(self.decoder)

    def classifying_network(self) -> keras.Model:
        """Returns a Keras model that computes codes -> vectors -> codewords -> logits."""
        return self._after_codebook(self.probe)

    def _after_codebook(self, network: keras.Model) -> keras.Model:
        code = keras.Input(self.code_shape)
        codewords = self.codebook.lookup(self.to_vectors(code))
        return keras.Model(code, network(self.from_codewords(codewords)), name=network.name)
