"""AE+GAN and Adversarial Mixup Resynthesis (paper Eq. 2 and 3)."""

import tensorflow as tf

from amr_tf.models.adversarial import Adversarial
from amr_tf.models.autoencoder import ForwardPass, Loss

PAPER = "Beckham et al., NeurIPS 2019, https://arxiv.org/abs/1903.02709"
GAN_RECON = Loss("gan_recon", "l(D(x^), 1)", "Reconstructions should look real (Eq. 2, 3).")
GAN_MIX = Loss("gan_mix", "l(D(x_m), 1)", "Decoded mixes x_m = g(h_m) should look real (Eq. 3).")
DISC_REAL = Loss("disc_real", "l(D(x), 1)", "Real images (Eq. 2, 3).")
DISC_RECON = Loss("disc_recon", "l(D(x^), 0)", "Reconstructions (Eq. 2, 3).")
DISC_MIX = Loss("disc_mix", "l(D(x_m), 0)", "Decoded mixes (Eq. 3).")


class AEGAN(Adversarial):
    """Reconstructions must look real (Eq. 2, `--model=aegan`): the baseline that mixes nothing."""

    description = "an autoencoder whose reconstructions a discriminator must take for real (AE+GAN)"
    paper = PAPER
    generator_terms = (*Adversarial.generator_terms, GAN_RECON)
    discriminator_terms = (DISC_REAL, DISC_RECON)
    generator_passes = 2
    mixes = False

    def generator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        (recon_score,) = self.discriminate(forward.recon)
        # The reference scores mixes too and leaves the result unused; only u and v see it.
        self.discriminator.power_steps(1)
        return super().generator_losses(forward) | {"gan_recon": self.gan_loss(recon_score, 1.0)}

    def discriminator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        real_score, recon_score = self.discriminate(forward.x, forward.recon)
        return {"disc_real": self.gan_loss(real_score, 1.0), "disc_recon": self.gan_loss(recon_score, 0.0)}


class AMR(Adversarial):
    """Decoded mixes must look real too (Eq. 3, `--model=amr`), and may have to keep their code (beta)."""

    description = "Adversarial Mixup Resynthesis"
    paper = PAPER
    generator_terms: tuple[Loss, ...] = (*Adversarial.generator_terms, GAN_RECON, GAN_MIX)
    discriminator_terms: tuple[Loss, ...] = (DISC_REAL, DISC_RECON, DISC_MIX)
    generator_passes = 2

    def generator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        recon_score, mix_score = self.discriminate(forward.recon, forward.mix)
        terms = {"gan_recon": self.gan_loss(recon_score, 1.0), "gan_mix": self.gan_loss(mix_score, 1.0)}
        return super().generator_losses(forward) | terms

    def discriminator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        real_score, recon_score, mix_score = self.discriminate(forward.x, forward.recon, forward.mix)
        return {
            "disc_real": self.gan_loss(real_score, 1.0),
            "disc_recon": self.gan_loss(recon_score, 0.0),
            "disc_mix": self.gan_loss(mix_score, 0.0),
        }
