"""GAIA (Sainburg et al., 2018): the discriminator is an autoencoder, and a score is a reconstruction error."""

from typing import Any

import keras
import tensorflow as tf

from amr_tf import losses
from amr_tf.mixing import GaussianPairs, Mixer
from amr_tf.models.adversarial import Adversarial
from amr_tf.models.autoencoder import ForwardPass, Loss
from amr_tf.networks.base import Architecture, Sizes
from amr_tf.networks.layers import Seeds, serializable
from amr_tf.optimizers import make_adam

LARGEST_SHARE = 0.9  # upper limit of c, the weight of (a + m) / 2 in the discriminator's loss
LARGEST_LOSS = 1.0  # losses of generator and discriminator are clipped to [-1, 1]


@serializable
class GAIA(Adversarial):
    """Generative Adversarial Interpolative Autoencoding (`--model=gaia`).

    The discriminator D is a second autoencoder of the same architecture. L1 is the distance of images scaled to [0, 1],
    s is the logistic function, S is `balance_slope` and eta is `structure_weight`::

        r = L1(x, D(x)), a = L1(x, D(x^)), m = L1(x_m, D(x_m))
        D minimises r - c (a + m) / 2, c = min(s(S (m / 2 - r)), 0.9)
        f and g minimise w m + (1 - w) a + eta dist(x, h), w = s(S (m - a))

    Every step splits the learning rate: the fraction for D is s(S (r - (a + m) / 2)), and f and g use the rest. The
    pixel-wise reconstruction loss `recon` is logged but not minimised. As an extension of the paper, lambda > 0 adds
    lambda `recon` to the loss of f and g.

    r, a and m are means over the batch of all replicas. dist compares only pairs of examples on the same replica. The
    learning rates of optimizers that are passed to `compile` are not split.

    Example:
        >>> import numpy as np
        >>> model = GAIA((32, 32, 1), num_classes=10, depth=4, latent=2)
        >>> model.score(np.zeros((2, 32, 32, 1), np.float32)).shape
        TensorShape([2])
    """

    description = "Generative Adversarial Interpolative Autoencoding"
    paper = "Sainburg et al., 2018, https://arxiv.org/abs/1807.06650"
    score_meaning = "error of the discriminator's reconstruction, L1 on [0, 1]: lower for real images"
    torch_epsilon = False  # the reference implementation is in TensorFlow 1
    generator_terms = (
        *Adversarial.generator_terms,
        Loss("gan_recon", "a = |x - D(x^)|", "D of reconstructions beside the images, weighted by 1 - w."),
        Loss("gan_mix", "m = |x_m - D(x_m)|", "D's error on decoded mixes, weighted by w."),
        Loss("distance", "dist(x, h)", "Codes are as far apart as their images, before structure_weight."),
        Loss("share_mix", "w = s(S (m - a))", "Weight of m beside a."),
        Loss("gen_rate", "lr - lr_D", "Learning rate of f and g."),
    )
    discriminator_terms = (
        Loss("disc_real", "r = |x - D(x)|", "D's error on images."),
        Loss("share_fake", "c = min(s(S (m/2 - r)), 0.9)", "Weight of (a + m) / 2, which D increases."),
        Loss("disc_rate", "lr_D = lr s(S (r - (a + m) / 2))", "Learning rate of D."),
    )

    def _build_players(self, arch: Architecture, sizes: Sizes, seeds: Seeds) -> None:
        self.discriminator = arch.reconstructor(sizes, seeds)
        self.disc_share = self.add_weight(
            name="disc_share", trainable=False, initializer="zeros", dtype="float32"
        )

    def default_mixer(self) -> Mixer:
        """Returns GAIA's published mixer: pairs of examples with weights sampled from N(0.5, 0.25^2)."""
        return GaussianPairs()

    def make_optimizer(self, player: str) -> keras.optimizers.Optimizer:
        shares = {
            "discriminator": lambda: self.disc_share.value,
            "generator": lambda: 1 - self.disc_share.value,
        }
        return make_adam(self.config, self.torch_epsilon, self.step, self.total_steps, shares.get(player))

    def _state(self) -> list:
        return [*super()._state(), self.disc_share]

    def score(self, x: tf.Tensor) -> tf.Tensor:
        return self._error(x, x, training=False)

    def _error(self, target: tf.Tensor, x: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns L1(target, D(x)) for pixels scaled to [0, 1]: images [B, H, W, C] in [-1, 1] -> float32 [B]."""
        return losses.l1(target, tf.cast(self.discriminator(x, training=training), tf.float32)) / 2

    def train_step(self, data: Any, update_generator: bool = True) -> dict[str, tf.Tensor]:
        """Updates generator and discriminator with gradients of the same forward pass, and then updates the probe."""
        x, y, _ = self.unpack(data)
        with tf.GradientTape(persistent=True) as tape:
            forward = self.forward(x, y)
            errors = self._errors(forward)
            means = self._means(errors)
            gen_loss, disc_loss, shares = self._objectives(means)
        disc_share = shares.pop("disc_share")
        self.disc_share.assign(disc_share)
        self.minimise("gen_gradient_norm", gen_loss, tape, self.generator_optimizer, self.generator_variables)
        variables = self.discriminator.trainable_variables
        self.minimise("disc_gradient_norm", disc_loss, tape, self.discriminator_optimizer, variables)
        rates = {
            "gen_rate": self.generator_optimizer.learning_rate,
            "disc_rate": self.discriminator_optimizer.learning_rate,
        }
        self.track(errors | shares | rates | {"gen_loss": gen_loss, "disc_loss": disc_loss})
        self.probe_step(forward.probed, y)
        self.step.assign_add(1)
        return self.get_metrics_result()

    def _errors(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        """Returns values by name: r, a, m and the reconstruction loss, [B] each, and the scalar dist(x, h)."""
        return {
            "disc_real": self._error(forward.x, forward.x, training=True),
            "gan_recon": self._error(forward.x, forward.recon, training=True),
            "gan_mix": self._error(forward.mix, forward.mix, training=True),
            "recon": self.recon_loss(forward.x, forward.recon),
            "distance": losses.pairwise_distances(forward.x, forward.h),
        }

    def _means(self, errors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the mean of each value over all replicas. Gradients flow only to the values of this replica."""
        local = tf.stack([tf.reduce_mean(values) for values in errors.values()])
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            part = local / context.num_replicas_in_sync
            whole = context.all_reduce(tf.distribute.ReduceOp.SUM, part)
            local = part + tf.stop_gradient(whole - part)
        return dict(zip(errors, tf.unstack(local), strict=True))

    def _objectives(self, means: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the losses of generator and discriminator, and, by name, c, w and D's fraction of the learning rate.

        Gradients flow through c and w, as published.
        """
        slope = self.config.balance_slope
        real, recon, mix = means["disc_real"], means["gan_recon"], means["gan_mix"]
        fake = (recon + mix) / 2
        share_fake = tf.minimum(tf.sigmoid(slope * (mix / 2 - real)), LARGEST_SHARE)
        share_mix = tf.sigmoid(slope * (mix - recon))
        disc_loss = real - share_fake * fake
        gen_loss = (
            share_mix * mix + (1 - share_mix) * recon + self.config.structure_weight * means["distance"]
        )
        shares = {
            "share_fake": share_fake,
            "share_mix": share_mix,
            "disc_share": tf.sigmoid(slope * (real - fake)),
        }
        gen_loss = tf.clip_by_value(gen_loss, -LARGEST_LOSS, LARGEST_LOSS)
        disc_loss = tf.clip_by_value(disc_loss, -LARGEST_LOSS, LARGEST_LOSS)
        return gen_loss + self.config.lambda_ * means["recon"], disc_loss, shares
