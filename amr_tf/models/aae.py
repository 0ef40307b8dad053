"""Adversarial autoencoder (Makhzani et al., 2015): a discriminator distinguishes codes from samples of a prior."""

import dataclasses
import operator
from typing import Any

import keras
import tensorflow as tf

from amr_tf import registry
from amr_tf.models.adversarial import Adversarial
from amr_tf.models.autoencoder import ForwardPass, Loss
from amr_tf.networks.base import Architecture, Sizes
from amr_tf.networks.discriminator import Discriminator
from amr_tf.networks.layers import Seeds, serializable

UNITS = (100, 100)  # units of the discriminator's hidden layers
SLOPE = 0.2
CODE = operator.attrgetter("h")


def prior(made: ForwardPass) -> tf.Tensor:
    return made.extras["prior"]


@serializable
class AAE(Adversarial):
    """Adversarial autoencoder (`--model=aae`) with the prior N(0, 1).

    For every `--arch`, the discriminator is a perceptron with two hidden layers on the flattened code. The authors of
    ACAI used the same discriminator.

    Example:
        >>> import numpy as np
        >>> model = AAE((32, 32, 1), num_classes=10, depth=4, latent=2)
        >>> model.score(np.zeros((2, 32, 32, 1), np.float32)).shape
        TensorShape([2])
    """

    description = "an adversarial autoencoder; its discriminator compares codes with draws of N(0, 1)"
    paper = "Makhzani et al., 2015, https://arxiv.org/abs/1511.05644"
    score_meaning = "higher if the image's code looks like a draw of the prior; a logit with --gan_loss=bce"
    torch_epsilon = False  # the reference implementation is in TensorFlow 1
    own_discriminator = False
    mixes = False
    generator_terms = (
        *Adversarial.generator_terms,
        Loss("gan_code", "l(D(h), 1)", "Codes should look like draws of the prior.", CODE, 1.0),
    )
    discriminator_terms = (
        Loss("disc_prior", "l(D(z), 1)", "Draws z ~ N(0, 1) of the prior.", prior, 1.0),
        Loss("disc_code", "l(D(h), 0)", "Codes.", CODE, 0.0),
    )

    def _build_players(self, arch: Architecture, sizes: Sizes, seeds: Seeds) -> None:
        layers: list[keras.layers.Layer] = [keras.layers.Flatten()]
        for units in UNITS:
            layers += [_dense(units, seeds), keras.layers.LeakyReLU(SLOPE)]
        self.discriminator = Discriminator([*layers, _dense(1, seeds)], self.code_shape, name="discriminator")
        self.gan_loss = registry.load(registry.GAN_LOSSES, self.config.gan_loss)

    def score(self, x: tf.Tensor) -> tf.Tensor:
        return self.discriminator(self.encode(x), training=False)

    def forward(self, x: tf.Tensor, y: Any = None) -> ForwardPass:
        """Adds samples of the prior to `extras`: one sample for each code."""
        forward = super().forward(x, y)
        return dataclasses.replace(forward, extras={"prior": self.draw_prior(forward.h)})

    def draw_prior(self, h: tf.Tensor) -> tf.Tensor:
        """Returns samples of N(0, 1) in the shape of the codes [B, ...]."""
        return tf.random.stateless_normal(tf.shape(h), self.seeds())


def _dense(units: int, seeds: Seeds) -> keras.layers.Layer:
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed=seeds.next()))
