"""ACAI (Berthelot et al. 2019): the discriminator guesses the mixing coefficient, the generator wants it to guess 0."""

import tensorflow as tf

from amr_tf.mixing import ReversedMixup
from amr_tf.models.adversarial import Adversarial
from amr_tf.models.autoencoder import Forward

ADVERSARIAL_WEIGHT = 0.5  # of the generator's adversarial loss
GAMMA = 0.2  # share of the image in the blend that the discriminator must score 0


def smaller_weight(weights: tf.Tensor) -> tf.Tensor:
    """min(alpha, 1 - alpha) of pairs, from their weights [B, 2, 1, ...]: [B]."""
    return tf.reshape(tf.reduce_min(weights, axis=1), [-1])


class ACAI(Adversarial):
    """ACAI as published (`--model=acai`)."""

    generator_loss_names = ("recon", "gan_mix")
    discriminator_loss_names = ("disc_mix", "disc_blend")
    generator_passes = 1

    def default_mixer(self):
        """Pairs of the reversed batch with alpha in [0, 1/2], as published."""
        return ReversedMixup()

    def generator_losses(self, forward: Forward, step) -> dict[str, tf.Tensor]:
        (mix_score,) = self.discriminate(forward.mix)
        return super().generator_losses(forward, step) | {"gan_mix": self.gan_loss(mix_score, 0.0)}

    def loss_weights(self) -> dict[str, float]:
        return super().loss_weights() | {"gan_mix": ADVERSARIAL_WEIGHT}

    def discriminator_losses(self, forward: Forward, step) -> dict[str, tf.Tensor]:
        blend = GAMMA * forward.x + (1 - GAMMA) * forward.recon
        mix_score, blend_score = self.discriminate(forward.mix, blend)
        return {
            "disc_mix": self.gan_loss(mix_score, smaller_weight(forward.weights)),
            "disc_blend": self.gan_loss(blend_score, 0.0),
        }


class ACAIRerun(Adversarial):
    """ACAI as the AMR paper reran it, with AMR's networks and losses (`--model=acai_amr`)."""

    generator_loss_names = ("recon", "gan_mix")
    discriminator_loss_names = ("disc_real", "disc_recon", "disc_mix")
    generator_passes = 1

    def generator_losses(self, forward: Forward, step) -> dict[str, tf.Tensor]:
        (mix_score,) = self.discriminate(forward.mix)
        return super().generator_losses(forward, step) | {"gan_mix": self.gan_loss(mix_score, 0.0)}

    def discriminator_losses(self, forward: Forward, step) -> dict[str, tf.Tensor]:
        real_score, recon_score, mix_score = self.discriminate(forward.x, forward.recon, forward.mix)
        return {
            "disc_real": self.gan_loss(real_score, 0.0),
            "disc_recon": self.gan_loss(recon_score, 0.0),
            "disc_mix": self.gan_loss(mix_score, 2 * smaller_weight(forward.weights)),
        }
