"""The two-player training step: who is updated when, by whose gradient. What the losses are, the models say."""

import functools

import tensorflow as tf

from amr_tf import losses
from amr_tf.mixing import mix
from amr_tf.models.autoencoder import Autoencoder, Forward
from amr_tf.networks.layers import Seeds


class Adversarial(Autoencoder):
    """An autoencoder with a discriminator (paper Eq. 2 and 3; BUILD_NOTES 1 to 4).

    One step: forward once; the generator's update, on every `update_g_every`-th step of an epoch; then the
    discriminator's, on the images of the forward pass made before the generator moved; then the probe's.

    A sub-class names its losses and gives `generator_losses`, `loss_weights` and `discriminator_losses`.
    """

    discriminator_loss_names: tuple[str, ...] = ()
    # Passes of the discriminator in the generator's phase. Each takes a power step, also where no update is due.
    generator_passes = 0
    mixes = True

    def _build_players(self, arch, seeds: Seeds) -> None:
        self.discriminator = arch.discriminator(self.config, self.image_shape, seeds)
        self.gan_loss = losses.GAN_LOSSES[self.config.gan_loss]

    def _tracked_names(self) -> tuple[str, ...]:
        losses_by_name = (*self._tracked_generator_losses(), *self.discriminator_loss_names)
        norms = ("gen_gradient_norm", "disc_gradient_norm", "probe_gradient_norm")
        return (*losses_by_name, "gen_loss", "disc_loss", "probe_loss", *norms)

    def _tracked_generator_losses(self) -> tuple[str, ...]:
        return (*self.generator_loss_names, "consistency") if self.config.beta else self.generator_loss_names

    def compile(self, **kwargs) -> None:
        self.discriminator_optimizer = self.make_optimizer()
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        super().compile(**kwargs)

    def forward(self, x: tf.Tensor) -> Forward:
        forward = super().forward(x)
        if not self.mixes:
            return forward
        indices, weights = self.mixer.sample(tf.shape(x)[0], self.code_shape, self.seeds())
        h_mix = mix(forward.h, indices, weights)
        return forward._replace(h_mix=h_mix, mix=self.generate(h_mix), indices=indices, weights=weights)

    def forward_on(self, x: tf.Tensor, y) -> Forward:
        """The forward pass of a training step. What is known of x besides, y, matters to supervised mixing alone."""
        return self.forward(x)

    def generator_losses(self, forward: Forward, step) -> dict[str, tf.Tensor]:
        """The reconstruction loss and, where beta is not 0, the consistency loss |f(x_mix) - h_mix|.

        Neither side of the latter is held fixed: gradient flows into both, as in the reference.
        """
        terms = super().generator_losses(forward, step)
        if self.config.beta:
            recoded = self.code(forward.mix)
            terms["consistency"] = losses.RECON_LOSSES[self.config.consistency_loss](forward.h_mix, recoded)
        return terms

    def loss_weights(self) -> dict[str, float]:
        return super().loss_weights() | {"consistency": self.config.beta}

    def discriminator_losses(self, forward: Forward, step) -> dict[str, tf.Tensor]:
        """The discriminator's losses by name, [B] each; it minimises their plain sum."""
        raise NotImplementedError

    def discriminate(self, *images: tf.Tensor) -> list[tf.Tensor]:
        """Scores [B] of each batch of images [B, H, W, C], each a pass of its own within this training step."""
        return self.discriminator(list(images), training=True)

    def train_step(self, data, update_generator: bool = True):
        x, y, _ = self.unpack(data)
        if update_generator:
            forward = self.generator_step(lambda: self.forward_on(x, y))
        else:
            forward = self.forward_on(x, y)
            self.track({"recon": self.recon_loss(x, forward.recon)})
            self.discriminator.power_steps(self.generator_passes)
        self.discriminator_step(forward)
        self.probe_step(forward.h, y)
        self.step.assign_add(1)
        return self.get_metrics_result()

    def discriminator_step(self, forward: Forward) -> None:
        """Updates the discriminator once. The tape starts at the images, so nothing reaches the generator."""
        with tf.GradientTape() as tape:
            terms = self.discriminator_losses(forward, self.step)
            disc_loss = tf.add_n(list(terms.values()))
            total = self.global_mean(disc_loss)
        variables = self.discriminator.trainable_variables
        self.minimise("disc_gradient_norm", total, tape, self.discriminator_optimizer, variables)
        self.track(terms | {"disc_loss": disc_loss})

    def train_on_batch(self, x, y=None, **kwargs):
        """One step, as Keras does it, with `return_dict=True` without the losses that this step did not compute."""
        due = bool(self.generator_is_due())
        logs = super().train_on_batch(x, y, **kwargs)
        if due or not kwargs.get("return_dict"):
            return logs
        missing = {*self._tracked_generator_losses(), "gen_loss", "gen_gradient_norm"} - {"recon"}
        return {name: value for name, value in logs.items() if name not in missing}

    def generator_is_due(self) -> tf.Tensor:
        """Whether the coming step updates the generator; the count starts again with each epoch."""
        step = self.distribute_strategy.experimental_local_results(self.step.value)[0]
        in_epoch = step % self.epoch_length if self.epoch_length else step
        return in_epoch % self.config.update_g_every == 0

    def train_once(self, data) -> None:
        """One training step on every replica, with or without the generator's update.

        The choice is made outside the replicas: an optimizer's `apply` inside a `tf.cond` of a replica fails.
        """
        if self.config.update_g_every == 1:
            self._run(data, update_generator=True)
            return
        tf.cond(
            self.generator_is_due(),
            lambda: self._run(data, update_generator=True),
            lambda: self._run(data, update_generator=False),
        )

    def _run(self, data, update_generator: bool) -> None:
        step = functools.partial(self.train_step, update_generator=update_generator)
        self.distribute_strategy.run(step, args=(data,))
