"""Training step of methods with a discriminator. Sub-classes declare the losses."""

import dataclasses
import operator
from typing import Any, ClassVar

import keras
import tensorflow as tf

from amr_tf import registry
from amr_tf.mixing import mix
from amr_tf.models.autoencoder import Autoencoder, ForwardPass, Loss
from amr_tf.networks.base import Architecture, Sizes
from amr_tf.networks.layers import Seeds

# Functions from a forward pass to the images that a discriminator scores.
REAL, RECON, MIX = (operator.attrgetter(name) for name in ("x", "recon", "mix"))


class Adversarial(Autoencoder):
    """Autoencoder with a discriminator (AMR, Eq. 2 and 3; rows 1 to 4 of the table "Fidelity" in BUILD_NOTES.md).

    A training step starts with one forward pass. Every `update_g_every`-th step of an epoch updates the generator,
    which consists of encoder and decoder. Then the discriminator is updated on the images of the same forward pass.
    The last update is the update of the probe.

    A sub-class declares `generator_terms` and `discriminator_terms`. Terms that are losses of discriminator scores
    need no other code. Other terms are computed in `generator_losses` and `discriminator_losses`. `loss_weights`
    returns the factors of the generator's terms.

    Attributes:
        discriminator_terms: losses whose unweighted sum the discriminator minimises.
        consistency_terms: losses of the generator with the factor beta. They are not computed if beta is 0.
        generator_passes: number of discriminator passes in an update of the generator.
    """

    discriminator_terms: tuple[Loss, ...] = ()
    consistency_terms: tuple[Loss, ...] = (
        Loss("consistency", "rec(f(x_m), h_m)", "A mix keeps its code, before beta (Eq. 3)."),
    )
    # Each pass includes a power step of spectral norm. The power steps also run if the generator is not updated.
    generator_passes: ClassVar[int] = 0
    has_discriminator = True
    own_discriminator = True
    mixes = True
    score_meaning = "higher for images that it takes for real; a logit with --gan_loss=bce"

    def _build_players(self, arch: Architecture, sizes: Sizes, seeds: Seeds) -> None:
        self.discriminator = arch.discriminator(sizes, seeds)
        self.gan_loss = registry.load(registry.GAN_LOSSES, self.config.gan_loss)
        self.consistency_loss = registry.load(registry.RECON_LOSSES, self.config.consistency_loss)

    def score(self, x: tf.Tensor) -> tf.Tensor:
        """Scores images [B, H, W, C] in [-1, 1] -> float32 [B]. `score_meaning` explains the scores.

        Layers of spectral norm with `steps_in_eval`, as in `--arch=amr`, take a power step, which changes u.
        """
        return self.discriminator(x, training=False)

    @property
    def active_generator_terms(self) -> tuple[Loss, ...]:
        return (*self.generator_terms, *(self.consistency_terms if self.config.beta else ()))

    @property
    def networks(self) -> dict[str, keras.Model]:
        return super().networks | {"discriminator": self.discriminator}

    def _tracked_names(self) -> tuple[str, ...]:
        terms = [term.name for term in (*self.active_generator_terms, *self.discriminator_terms)]
        norms = ("gen_gradient_norm", "disc_gradient_norm", "probe_gradient_norm")
        return (*terms, "gen_loss", "disc_loss", "probe_loss", *norms)

    @property
    def players(self) -> dict[str, list]:
        return {"discriminator": self.discriminator.trainable_variables} | super().players

    def forward(self, x: tf.Tensor, y: Any = None) -> ForwardPass:
        forward = super().forward(x, y)
        if not self.mixes:
            return forward
        indices, weights = self.mixer.sample(tf.shape(x)[0], self.code_shape, self.seeds())
        h_mix = mix(forward.h, indices, weights)
        return dataclasses.replace(
            forward, h_mix=h_mix, mix=self.decode(h_mix, training=True), indices=indices, weights=weights
        )

    def generator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        """Returns the reconstruction loss, the losses of scores and, if beta is not 0, the consistency loss.

        The consistency loss compares f(x_mix) with h_mix. Gradients flow into both arguments, as in the reference
        implementation.
        """
        terms = super().generator_losses(forward)
        if self.config.beta:
            recoded = self.encode(forward.mix, training=True)
            terms["consistency"] = self.consistency_loss(forward.h_mix, recoded)
        return terms | self._scored(self.generator_terms, forward)

    def loss_weights(self) -> dict[str, float]:
        return super().loss_weights() | {term.name: self.config.beta for term in self.consistency_terms}

    def discriminator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        """Returns the losses of the discriminator by name, [B] each."""
        return self._scored(self.discriminator_terms, forward)

    def _scored(self, terms: tuple[Loss, ...], forward: ForwardPass) -> dict[str, tf.Tensor]:
        """Returns the losses of scores by name. The discriminator scores each batch of images in a separate pass."""
        scored = [term for term in terms if term.images]
        scores = self.discriminator([term.images(forward) for term in scored], training=True)
        return {
            term.name: self.gan_loss(score, term.target(forward) if callable(term.target) else term.target)
            for term, score in zip(scored, scores, strict=True)
        }

    def train_step(self, data: Any, update_generator: bool = True) -> dict[str, tf.Tensor]:
        x, y, _ = self.unpack(data)
        if update_generator:
            forward = self.generator_step(x, y)
        else:
            forward = self.forward(x, y)
            self.track({"recon": self.recon_loss(x, forward.recon)})
            self.discriminator.power_steps(self.generator_passes)
        self.discriminator_step(forward)
        self.probe_step(forward.probed, y)
        self.step.assign_add(1)
        return self.get_metrics_result()

    def discriminator_step(self, forward: ForwardPass) -> None:
        """Updates the discriminator once. The tape starts at the images, so no gradient reaches the generator."""
        with tf.GradientTape() as tape:
            terms = self.discriminator_losses(forward)
            disc_loss = tf.add_n(list(terms.values()))
            total = self.global_mean(disc_loss)
        variables = self.discriminator.trainable_variables
        self.minimise("disc_gradient_norm", total, tape, self.discriminator_optimizer, variables)
        self.track(terms | {"disc_loss": disc_loss})

    def train_on_batch(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """Runs one training step, as Keras does. With `return_dict=True`, losses that were not computed are omitted."""
        due = bool(self.generator_is_due())
        logs = super().train_on_batch(x, y, **kwargs)
        if due or not kwargs.get("return_dict"):
            return logs
        names = {term.name for term in self.active_generator_terms}
        missing = (names | {"gen_loss", "gen_gradient_norm"}) - {"recon"}
        return {name: value for name, value in logs.items() if name not in missing}

    def generator_is_due(self) -> tf.Tensor:
        """Returns a scalar bool: true if the next step updates the generator. Steps are counted within the epoch."""
        step = self.distribute_strategy.experimental_local_results(self.step.value)[0]
        if self.epoch_origin:
            step = step - self.epoch_origin
        in_epoch = step % self.epoch_length if self.epoch_length else step
        return in_epoch % self.config.update_g_every == 0

    def replicated_train_step(self, data: Any) -> None:
        """Runs one training step on every replica, with or without an update of the generator.

        `tf.cond` is called outside the replicas, because an optimizer's `apply` fails in a `tf.cond` of a replica.
        """

        def run(update_generator: bool) -> None:
            self.distribute_strategy.run(self.train_step, args=(data, update_generator))

        if self.config.update_g_every == 1:
            run(True)
        else:
            tf.cond(self.generator_is_due(), lambda: run(True), lambda: run(False))
