"""ACAI (Berthelot et al., 2019).

The discriminator estimates the mixing coefficient of an image, and the generator minimises this estimate.
"""

import tensorflow as tf

from amr_tf.mixing import Mixer, ReversedMixup
from amr_tf.models.adversarial import MIX, REAL, RECON, Adversarial
from amr_tf.models.amr import PAPER
from amr_tf.models.autoencoder import ForwardPass, Loss
from amr_tf.networks.layers import serializable

ADVERSARIAL_WEIGHT = 0.5  # weight of the generator's adversarial loss
GAMMA = 0.2  # weight of the image in `blend`; the discriminator must score the blend 0
UNMIXED = Loss("gan_mix", "l(D(x_m), 0)", "Decoded mixes x_m = g(h_m) should look unmixed.", MIX, 0.0)


def blend(made: ForwardPass) -> tf.Tensor:
    return GAMMA * made.x + (1 - GAMMA) * made.recon


def smaller_weight(made: ForwardPass) -> tf.Tensor:
    """Returns min(alpha, 1 - alpha) of each pair, [B], from weights [B, 2, 1, ...]."""
    return tf.reshape(tf.reduce_min(made.weights, axis=1), [-1])


@serializable
class ACAI(Adversarial):
    """ACAI as published (`--model=acai`).

    Example:
        >>> model = ACAI((32, 32, 1), num_classes=10, depth=4, latent=2)
        >>> type(model.mixer).__name__
        'ReversedMixup'
    """

    description = "ACAI as published"
    paper = "Berthelot et al., ICLR 2019, https://arxiv.org/abs/1807.07543"
    score_meaning = "how much of a second image it sees in the image: 0 for a real one, 0.5 for an even mix"
    torch_epsilon = False  # the reference implementation is in TensorFlow 1
    generator_terms = (*Adversarial.generator_terms, UNMIXED)
    discriminator_terms = (
        Loss("disc_mix", "l(D(x_m), alpha)", "Decoded mixes, alpha in [0, 1/2].", MIX, smaller_weight),
        Loss("disc_blend", "l(D(0.2 x + 0.8 x^), 0)", "A blend of image and reconstruction.", blend, 0.0),
    )
    generator_passes = 1

    def default_mixer(self) -> Mixer:
        """Returns the published mixer: example i is mixed with example B - 1 - i, with alpha in [0, 1/2]."""
        return ReversedMixup()

    def loss_weights(self) -> dict[str, float]:
        return super().loss_weights() | {"gan_mix": ADVERSARIAL_WEIGHT}


@serializable
class ACAIRerun(Adversarial):
    """ACAI as the AMR paper reran it, with AMR's networks and losses (`--model=acai_rerun`).

    Example:
        >>> model = ACAIRerun((32, 32, 1), num_classes=10, depth=4, latent=2)
        >>> type(model.mixer).__name__
        'Mixup'
    """

    description = "ACAI as the AMR paper reran it"
    paper = PAPER
    score_meaning = "higher for images that it takes to be mixed; a logit with --gan_loss=bce"
    generator_terms = (*Adversarial.generator_terms, UNMIXED)
    discriminator_terms = (
        Loss("disc_real", "l(D(x), 0)", "Real images.", REAL, 0.0),
        Loss("disc_recon", "l(D(x^), 0)", "Reconstructions.", RECON, 0.0),
        Loss(
            "disc_mix",
            "l(D(x_m), 2 min(alpha, 1 - alpha))",
            "Decoded mixes.",
            MIX,
            lambda made: 2 * smaller_weight(made),
        ),
    )
    generator_passes = 1
