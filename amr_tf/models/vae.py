"""beta-VAE (Higgins et al., 2017): codes are Gaussian, and their divergence from N(0, 1) is a loss."""

from typing import Any

import tensorflow as tf

from amr_tf import losses
from amr_tf.models.autoencoder import Autoencoder, ForwardPass, Loss
from amr_tf.models.inputs import to_images
from amr_tf.networks.layers import serializable


@serializable
class VAE(Autoencoder):
    """beta-VAE (`--model=vae`), which minimises lambda rec(x, g(z)) + beta_kl KL(N(mean, variance), N(0, 1)).

    z is sampled from N(mean, variance). The encoder's output has twice as many feature maps as a code. The first half
    contains the means, and the second half contains the log-variances. Probe, example images and metrics use only the
    means.

    Example:
        >>> import numpy as np
        >>> model = VAE((32, 32, 1), num_classes=10, depth=4, latent=2)
        >>> model.encode(np.zeros((2, 32, 32, 1), np.uint8)).shape
        TensorShape([2, 4, 4, 2])
    """

    description = "a beta-VAE; its codes are the means"
    paper = "Higgins et al., ICLR 2017, https://openreview.net/forum?id=Sy2fzU9gl"
    encoded_parts = 2  # mean and log-variance
    generator_terms = (
        *Autoencoder.generator_terms,
        Loss("kl", "KL(N(mean, variance) | N(0, 1))", "Divergence of a code in nats, before beta_kl."),
    )

    def encode(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self._posterior(x, training)[0]

    def _posterior(self, x: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes images [B, H, W, C]. Returns means and log-variances of codes, float32 [B, ...] each."""
        parameters = tf.cast(self.encoder(to_images(x, self.image_shape), training=training), tf.float32)
        mean, log_variance = tf.split(parameters, 2, axis=-1)
        return mean, log_variance

    def forward(self, x: tf.Tensor, y: Any = None) -> ForwardPass:
        """Reconstructs x from a sampled code. `h` is the mean, and `extras` contains the log-variance."""
        mean, log_variance = self._posterior(x, training=True)
        noise = tf.random.stateless_normal(tf.shape(mean), self.seeds())
        z = mean + tf.exp(log_variance / 2) * noise
        return ForwardPass(x, mean, self.decode(z, training=True), extras={"log_variance": log_variance})

    def generator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        kl = losses.kl_to_standard_normal(forward.h, forward.extras["log_variance"])
        return super().generator_losses(forward) | {"kl": kl}

    def loss_weights(self) -> dict[str, float]:
        return super().loss_weights() | {"kl": self.config.beta_kl}
