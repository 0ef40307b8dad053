"""AE+GAN and Adversarial Mixup Resynthesis (paper Eq. 2 and 3)."""

import tensorflow as tf

from amr_tf.models.adversarial import Adversarial
from amr_tf.models.autoencoder import Forward


class AEGAN(Adversarial):
    """Reconstructions must look real (Eq. 2, `--model=aegan`): the baseline that mixes nothing."""

    generator_loss_names = ("recon", "gan_recon")
    discriminator_loss_names = ("disc_real", "disc_recon")
    generator_passes = 2
    mixes = False

    def generator_losses(self, forward: Forward, step) -> dict[str, tf.Tensor]:
        (recon_score,) = self.discriminate(forward.recon)
        # The reference scores mixes too and leaves the result unused; only u and v see it.
        self.discriminator.power_steps(1)
        return super().generator_losses(forward, step) | {"gan_recon": self.gan_loss(recon_score, 1.0)}

    def discriminator_losses(self, forward: Forward, step) -> dict[str, tf.Tensor]:
        real_score, recon_score = self.discriminate(forward.x, forward.recon)
        return {"disc_real": self.gan_loss(real_score, 1.0), "disc_recon": self.gan_loss(recon_score, 0.0)}


class AMR(Adversarial):
    """Decoded mixes must look real too (Eq. 3, `--model=amr`), and may have to keep their code (beta)."""

    generator_loss_names: tuple[str, ...] = ("recon", "gan_recon", "gan_mix")
    discriminator_loss_names: tuple[str, ...] = ("disc_real", "disc_recon", "disc_mix")
    generator_passes = 2

    def generator_losses(self, forward: Forward, step) -> dict[str, tf.Tensor]:
        recon_score, mix_score = self.discriminate(forward.recon, forward.mix)
        terms = {"gan_recon": self.gan_loss(recon_score, 1.0), "gan_mix": self.gan_loss(mix_score, 1.0)}
        return super().generator_losses(forward, step) | terms

    def discriminator_losses(self, forward: Forward, step) -> dict[str, tf.Tensor]:
        real_score, recon_score, mix_score = self.discriminate(forward.x, forward.recon, forward.mix)
        return {
            "disc_real": self.gan_loss(real_score, 1.0),
            "disc_recon": self.gan_loss(recon_score, 0.0),
            "disc_mix": self.gan_loss(mix_score, 0.0),
        }
