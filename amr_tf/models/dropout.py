"""Autoencoder with dropout on the code, a baseline in the ACAI paper."""

from typing import Any

import tensorflow as tf

from amr_tf.models.autoencoder import Autoencoder, ForwardPass, Loss
from amr_tf.networks.layers import serializable


@serializable
class DropoutAutoencoder(Autoencoder):
    """Autoencoder with dropout on the code (`--model=dropout`), which minimises rec(x, g(drop(h))).

    Dropout sets elements of a code to 0 with the probability 1 - `keep_probability`, and divides the other elements by
    `keep_probability`. Only the reconstructions of training steps use dropout.

    Example:
        >>> import numpy as np
        >>> model = DropoutAutoencoder((32, 32, 1), num_classes=10, depth=4, latent=2)
        >>> model.encode(np.zeros((2, 32, 32, 1), np.uint8)).shape
        TensorShape([2, 4, 4, 2])
    """

    description = "an autoencoder with dropout on the code"
    paper = "Srivastava et al., JMLR 2014, https://jmlr.org/papers/v15/srivastava14a.html"
    torch_epsilon = False  # the reference implementation is in TensorFlow 1
    generator_terms = (
        Loss("recon", "rec(x, g(drop(h)))", "Reconstruction from codes with dropout, before lambda."),
    )

    def forward(self, x: tf.Tensor, y: Any = None) -> ForwardPass:
        """Reconstructs x from the code with dropout. `h` is the code without dropout."""
        h = self.encode(x, training=True)
        keep = self.config.keep_probability
        kept = tf.random.stateless_uniform(tf.shape(h), self.seeds()) < keep
        return ForwardPass(x, h, self.decode(tf.where(kept, h / keep, 0.0), training=True))
