"""AMR with supervised mixing (section 2.2 and Figure 6 of the paper).

For requested attributes, a network chooses from which of two parents a mix gets each feature map.
"""

import dataclasses
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from amr_tf import losses
from amr_tf.config import ConfigError
from amr_tf.mixing import draw_mask, labelled_partners, mix, requested_attributes
from amr_tf.models.amr import AMR
from amr_tf.models.autoencoder import ForwardPass, Loss
from amr_tf.networks.base import Architecture, Sizes
from amr_tf.networks.layers import Seeds, he_normal, serializable


class SupervisedMix(NamedTuple):
    """A batch of mixes with requested attributes. There is one mix for each example."""

    attributes: tf.Tensor  # y, the attributes of the examples [B, A]
    weight: tf.Tensor  # weight of each example in losses that need labels [B]
    requested: tf.Tensor  # y~, the requested attributes of the mixes [B, A]
    mask: tf.Tensor  # m, the weight of the first parent in each feature map [B, C]
    h_mix: tf.Tensor  # h_s = m h1 + (1 - m) h2 [B, ...]
    mix: tf.Tensor  # x_s = g(h_s) [B, H, W, C]


@serializable
class SupervisedAMR(AMR):
    """AMR with additional mixes for requested attributes (`--model=amr_supervised`).

    Two parents have the codes h1, h2 and the attributes y1, y2. The requested attributes of their mix are
    y~ = alpha y1 + (1 - alpha) y2, with alpha ~ Bern(1/2) for each attribute. `class_mixer` maps y~ to one Bernoulli
    parameter for each feature map. A mask m is sampled from these parameters, and the mixed code is
    h_s = m h1 + (1 - m) h2.

    The losses of a supervised mix are the adversarial loss, the consistency loss (factor beta), the cross-entropy
    between y~ and the predicted attributes, and a loss that balances the mask. The discriminator has a second head
    that predicts attributes. This head is trained on real images only. `class_mixer` is trained with encoder and
    decoder. As in the reference implementation, the losses of Eq. 3 on mixup mixes are added.

    In training, `y` is a dict of `label` int [B], `attributes` float32 [B, A] and `weight` float32 [B]. The weight is 0
    for examples whose labels must not be used. The mean weight over the data set is 1. `y` may also be labels int [B],
    which are converted to one-hot attributes.

    Example:
        >>> model = SupervisedAMR((32, 32, 1), num_classes=10, num_attributes=4, depth=4, latent=8)
        >>> model.class_mixer.output_shape
        (None, 8)
    """

    description = "Adversarial Mixup Resynthesis with supervised mixing"
    needs_attributes = True
    generator_terms = (
        *AMR.generator_terms,
        Loss(
            "gan_supervised",
            "l(D(x_s), 1)",
            "Supervised mixes x_s = g(m h_1 + (1 - m) h_2) should look real.",
        ),
        Loss("attributes", "cross-entropy of C(x_s) and y~", "Their attributes, before attribute_weight."),
        Loss("mask_balance", "(sum of m - C/2)^2", "Over the C feature maps of a mask, before mask_eps."),
    )
    discriminator_terms = (
        *AMR.discriminator_terms,
        Loss("disc_supervised", "l(D(x_s), 0)", "Supervised mixes."),
        Loss("disc_attributes", "cross-entropy of C(x) and y", "Attributes of real images; C: head of D."),
    )
    consistency_terms = (
        *AMR.consistency_terms,
        Loss("consistency_supervised", "rec(f(x_s), h_s)", "A supervised mix keeps its code, before beta."),
    )
    generator_passes = AMR.generator_passes + 1

    def _build_players(self, arch: Architecture, sizes: Sizes, seeds: Seeds) -> None:
        super()._build_players(arch, sizes, seeds)
        if len(self.discriminator.trunk) < 2:
            raise ConfigError(
                "The head for attributes reads what the discriminator's last layer reads. Received: a discriminator of "
                "one piece. Pass a keras.Sequential of several layers."
            )
        self.discriminator.add_attribute_head(self.attributes, seeds)
        self.class_mixer = _class_mixer(self.attributes, self.code_shape[-1], seeds)

    @property
    def networks(self) -> dict[str, keras.Model]:
        return super().networks | {"class_mixer": self.class_mixer}

    @property
    def generator_variables(self) -> list:
        """Trainable variables of encoder, decoder and class mixer."""
        return super().generator_variables + self.class_mixer.trainable_variables

    def mask_parameters(self, requested: tf.Tensor) -> tf.Tensor:
        """Returns the Bernoulli parameter of each feature map: attributes [B, A] -> float32 [B, C] in [0, 1]."""
        return tf.sigmoid(self._mask_logits(requested))

    def _mask_logits(self, requested: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.class_mixer(requested), tf.float32)

    def forward(self, x: tf.Tensor, y: Any = None) -> ForwardPass:
        """Adds a `SupervisedMix` to `extras` if labels or attributes are given.

        The first parent of each supervised mix is the example itself. The second parents are the second parents of the
        unsupervised mixes, reordered so that labelled examples are mixed with labelled examples.

        Raises:
            ValueError: `y` contains only labels, but the attributes of this model are not one-hot labels.
        """
        forward = super().forward(x, y)
        if y is None:
            return forward
        attributes, weight = self._attributes_and_weight(y)
        seed = self.seeds()
        partners = labelled_partners(forward.indices[:, 1], weight > 0)
        requested = requested_attributes(attributes, partners, seed)
        mask = draw_mask(self._mask_logits(requested), self.config.mask_gradient, seed)
        own = tf.range(tf.shape(partners)[0])
        shares = tf.stack([mask, 1 - mask], axis=1)
        shape = [-1, 2, *(1,) * (len(self.code_shape) - 1), self.code_shape[-1]]
        h_mix = mix(forward.h, tf.stack([own, partners], axis=1), tf.reshape(shares, shape))
        decoded = self.decode(h_mix, training=True)
        made = SupervisedMix(attributes, weight, requested, mask, h_mix, decoded)
        return dataclasses.replace(forward, extras={"supervised": made})

    def _attributes_and_weight(self, y: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns attributes [B, A] and weights [B] from the `y` of a batch."""
        if isinstance(y, dict):
            return y["attributes"], y["weight"]
        if self.attributes != self.classes:
            raise ValueError(
                f"Labels do not say which of {self.attributes} attributes an example has: y takes a dict of label, "
                "attributes and weight"
            )
        attributes = tf.one_hot(self.labels(y), self.attributes)
        return attributes, tf.ones_like(attributes[:, 0])

    def generator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        terms, made = super().generator_losses(forward), forward.extras["supervised"]
        (score,), (logits,) = self.discriminator.scores_and_attributes([made.mix], training=True)
        supervised = {
            "gan_supervised": self.gan_loss(score, 1.0),
            "attributes": losses.attribute_bce(made.requested, logits),
            "mask_balance": losses.mask_balance(made.mask),
        }
        if self.config.beta:
            recoded = self.encode(made.mix, training=True)
            supervised["consistency_supervised"] = self.consistency_loss(made.h_mix, recoded)
        return terms | {name: made.weight * loss for name, loss in supervised.items()}

    def loss_weights(self) -> dict[str, float]:
        return super().loss_weights() | {
            "attributes": self.config.attribute_weight,
            "mask_balance": self.config.mask_eps,
        }

    def discriminator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        made = forward.extras["supervised"]
        images = [forward.x, forward.recon, forward.mix, made.mix]
        scores, (logits, *_) = self.discriminator.scores_and_attributes(images, training=True)
        real, recon, mixed, supervised = map(self.gan_loss, scores, (1.0, 0.0, 0.0, 0.0))
        return {
            "disc_real": real,
            "disc_recon": recon,
            "disc_mix": mixed,
            "disc_supervised": made.weight * supervised,
            "disc_attributes": made.weight * losses.attribute_bce(made.attributes, logits),
        }

    def labels(self, y: Any) -> tf.Tensor | None:
        return super().labels(y["label"] if isinstance(y, dict) else y)

    def check_batch(self, x: Any, y: Any, weights: Any, training: bool) -> None:
        """Checks a batch as the base class does, and raises ValueError for training without labels."""
        super().check_batch(x, y["label"] if isinstance(y, dict) else y, weights, training)
        if training and y is None:
            raise ValueError(
                f"{type(self).__name__} learns from labels. Received: y=None. Pass y, or train an AMR."
            )


def _class_mixer(attributes: int, feature_maps: int, seeds: Seeds) -> keras.Model:
    """Returns a network that maps binary attributes [B, A] to logits [B, C] of Bernoulli parameters (section 2.2).

    The reference implementation also applies a relu after the last layer, and a code comment there calls the relu a
    bug. With this relu, no Bernoulli parameter could be below 1/2.
    """
    stack = [
        keras.layers.Dense(feature_maps, activation=activation, kernel_initializer=he_normal(seeds.next()))
        for activation in ("relu", "relu", None)
    ]
    return keras.Sequential([keras.Input((attributes,)), *stack], name="class_mixer")
