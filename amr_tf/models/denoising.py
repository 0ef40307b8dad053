"""Denoising autoencoder (Vincent et al., 2008), a baseline in the ACAI paper."""

import dataclasses
from typing import Any

import tensorflow as tf

from amr_tf.models.autoencoder import Autoencoder, ForwardPass, Loss
from amr_tf.networks.layers import serializable


@serializable
class DenoisingAutoencoder(Autoencoder):
    """Denoising autoencoder (`--model=denoising`), which minimises rec(x, g(f(x + n))).

    The noise of every pixel is n ~ N(0, input_noise^2). The noisy images are not clipped. Probe, example images and
    metrics use the codes of images without noise.

    Example:
        >>> import numpy as np
        >>> model = DenoisingAutoencoder((32, 32, 1), num_classes=10, depth=4, latent=2, input_noise=0.5)
        >>> model.encode(np.zeros((2, 32, 32, 1), np.uint8)).shape
        TensorShape([2, 4, 4, 2])
    """

    description = "a denoising autoencoder"
    paper = "Vincent et al., ICML 2008, https://doi.org/10.1145/1390156.1390294"
    torch_epsilon = False  # the reference implementation is in TensorFlow 1
    generator_terms = (
        Loss("recon", "rec(x, g(f(x + n)))", "Reconstruction of images with noise n, before lambda."),
    )

    def forward(self, x: tf.Tensor, y: Any = None) -> ForwardPass:
        """Reconstructs x from x + n. `h` is the code of x, without noise."""
        noise = self.config.input_noise * tf.random.stateless_normal(tf.shape(x), self.seeds())
        noisy = super().forward(x + noise)
        return dataclasses.replace(noisy, x=x, h=self.encode(x))
