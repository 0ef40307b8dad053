"""AE+GAN and Adversarial Mixup Resynthesis (Eq. 2 and 3 of the paper)."""

import tensorflow as tf

from amr_tf.models.adversarial import MIX, REAL, RECON, Adversarial
from amr_tf.models.autoencoder import ForwardPass, Loss
from amr_tf.networks.layers import serializable

PAPER = "Beckham et al., NeurIPS 2019, https://arxiv.org/abs/1903.02709"
GAN_RECON = Loss("gan_recon", "l(D(x^), 1)", "Reconstructions should look real (Eq. 2, 3).", RECON, 1.0)
GAN_MIX = Loss("gan_mix", "l(D(x_m), 1)", "Decoded mixes x_m = g(h_m) should look real (Eq. 3).", MIX, 1.0)
DISC_REAL = Loss("disc_real", "l(D(x), 1)", "Real images (Eq. 2, 3).", REAL, 1.0)
DISC_RECON = Loss("disc_recon", "l(D(x^), 0)", "Reconstructions (Eq. 2, 3).", RECON, 0.0)
DISC_MIX = Loss("disc_mix", "l(D(x_m), 0)", "Decoded mixes (Eq. 3).", MIX, 0.0)


@serializable
class AEGAN(Adversarial):
    """AE+GAN (Eq. 2, `--model=aegan`), the baseline without mixing. A discriminator scores images and reconstructions.

    Example:
        >>> model = AEGAN((32, 32, 1), num_classes=10, depth=4, latent=8)
        >>> model.mixes
        False
    """

    description = "an autoencoder whose reconstructions a discriminator must take for real (AE+GAN)"
    paper = PAPER
    generator_terms = (*Adversarial.generator_terms, GAN_RECON)
    discriminator_terms = (DISC_REAL, DISC_RECON)
    generator_passes = 2
    mixes = False

    def generator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        terms = super().generator_losses(forward)
        # The reference implementation also scores mixes and ignores the scores. That pass changes only u and v.
        self.discriminator.power_steps(1)
        return terms


@serializable
class AMR(Adversarial):
    """AMR (Eq. 3, `--model=amr`). The discriminator also scores decoded mixes.

    If beta > 0, a consistency loss compares the code of each decoded mix with the mixed code.

    Example:
        >>> import numpy as np
        >>> model = AMR((32, 32, 1), num_classes=10, mixer="mixup", k=3, depth=4, latent=8)
        >>> images = np.zeros((2, 32, 32, 1), np.uint8)
        >>> model.interpolate(images, images, steps=5).shape
        TensorShape([2, 5, 32, 32, 1])
    """

    description = "Adversarial Mixup Resynthesis"
    paper = PAPER
    generator_terms: tuple[Loss, ...] = (*Adversarial.generator_terms, GAN_RECON, GAN_MIX)
    discriminator_terms: tuple[Loss, ...] = (DISC_REAL, DISC_RECON, DISC_MIX)
    generator_passes = 2
