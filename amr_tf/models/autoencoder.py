"""Autoencoder with an online linear probe, and the training step of methods without a discriminator."""

from typing import Any, ClassVar

import keras
import tensorflow as tf

from amr_tf import registry
from amr_tf.mixing import Mixer
from amr_tf.models.contracts import KerasContracts
from amr_tf.models.inputs import to_images, to_labels, unpacked
from amr_tf.models.settings import checked_sizes, dtype_policy, is_runtime, settings_of_method
from amr_tf.models.terms import ForwardPass, Loss, MeanOrNaN
from amr_tf.networks.base import Architecture, Sizes
from amr_tf.networks.layers import Seeds, revived, serializable
from amr_tf.networks.own import Networks
from amr_tf.optimizers import make_adam


@serializable
class Autoencoder(KerasContracts):
    """Autoencoder with an online linear probe (`--model=ae`). The probe's gradient does not reach the encoder.

    The networks are the Keras models `encoder`, `decoder` and `probe`. Layer weights are named kernel, bias, gamma and
    beta, as in Keras, and u in layers with spectral norm.

    Each training method (AMR, ACAI, ...) is a sub-class. The sub-class declares the losses and the attributes below.

    Args:
        image_shape: (H, W, C).
        num_classes: number of classes. Omit this argument if the images have no labels.
        num_attributes: number of binary attributes. If it is None, one-hot labels are used as attributes.
        networks: user-supplied encoder, decoder and discriminator. They replace the networks that `arch`, `latent` and
            `depth` define.
        name: name of the Keras model.
        settings: fields of `Config`, such as `mixer="mixup"`, `k=3`, `depth=16` and `lambda_=10`. Each field is also a
            command-line flag. The default of a setting is the published value for this method and `dataset`. Settings
            of data, epochs and devices are used only by training runs (`amr_tf.train`).

    Raises:
        ConfigError: a setting is unknown, invalid or inconsistent with another setting, or the shapes of the networks
            are inconsistent.

    Example:
        >>> import numpy as np
        >>> model = Autoencoder((32, 32, 1), num_classes=10, depth=4, latent=8)
        >>> model.encode(np.zeros((2, 32, 32, 1), np.uint8)).shape
        TensorShape([2, 4, 4, 8])

    Attributes:
        description: noun phrase that describes the method in model cards and help texts.
        paper: citation with a link.
        has_discriminator: true if the method trains a discriminator.
        own_discriminator: true if user-supplied `networks` must include the discriminator.
        mixes: true if training mixes codes.
        needs_attributes: true if training examples have attributes besides labels.
        score_meaning: meaning of the discriminator's score.
        torch_epsilon: true if Adam adds epsilon as PyTorch does, false if as TensorFlow 1 does.
        encoded_parts: number of encoder outputs for each element of a code.
        generator_terms: losses that encoder and decoder minimise.
    """

    description: ClassVar[str] = "an autoencoder"
    paper: ClassVar[str] = "Hinton and Salakhutdinov, 2006, https://doi.org/10.1126/science.1127647"
    has_discriminator: ClassVar[bool] = False
    own_discriminator: ClassVar[bool] = False
    mixes: ClassVar[bool] = False
    needs_attributes: ClassVar[bool] = False
    score_meaning: ClassVar[str] = ""
    torch_epsilon: ClassVar[bool] = True
    encoded_parts: ClassVar[int] = 1
    generator_terms: tuple[Loss, ...] = (
        Loss("recon", "rec(x, x^)", "Reconstruction, x^ = g(f(x)), before lambda (Eq. 2, 3)."),
    )

    def __init__(
        self,
        image_shape: tuple[int, ...],
        num_classes: int = 1,
        *,
        num_attributes: int | None = None,
        networks: Networks | None = None,
        name: str | None = None,
        **settings: Any,
    ):
        config = settings_of_method(type(self), settings)
        image_shape = checked_sizes(config, image_shape, num_classes, num_attributes, networks)
        with dtype_policy(config.mixed_precision):
            super().__init__(name=name or config.model)
            self.config, self.image_shape = config, image_shape
            self.classes, self.attributes = num_classes, num_attributes or num_classes
            self._num_attributes, self._own_networks = num_attributes, networks
            self._build_networks(networks or registry.load(registry.ARCHS, config.arch))
            self.mixer = self.default_mixer()
            self.recon_loss = registry.load(registry.RECON_LOSSES, config.recon_loss)
            self.step = self.add_weight(name="step", dtype="int64", trainable=False, initializer="zeros")
            # With float16, the gradients of an epoch's first steps may overflow, so that no norm is recorded yet.
            # `Mean` then returns 0. `MeanOrNaN` would return NaN, which counts as divergence.
            self.trackers = {
                name: (keras.metrics.Mean if name.endswith("_norm") else MeanOrNaN)(name=name)
                for name in self._tracked_names()
            }
            self.accuracy = keras.metrics.SparseCategoricalAccuracy(name="probe_accuracy")
            self.built = True

    def _build_networks(self, arch: Architecture) -> None:
        config, seeds, own = self.config, Seeds(self.config.seed), self._own_networks
        if own:
            self.code_shape = own.fit_to(self.image_shape, self.encoded_parts, self.own_discriminator)
        else:
            self.code_shape = arch.code_shape(self.image_shape, config.latent, config.latent_width)
        sizes = Sizes(self.image_shape, self.code_shape, config.depth)
        *place, maps = self.code_shape
        self.encoder = arch.encoder(sizes._replace(code_shape=(*place, self.encoded_parts * maps)), seeds)
        self.decoder = arch.decoder(sizes, seeds)
        dense = arch.probe(int(tf.TensorShape(self.code_shape).num_elements()), self.classes, seeds)
        stack = [keras.Input(self.code_shape), keras.layers.Flatten(), dense]
        self.probe = keras.Sequential(stack, name="probe")
        self._build_players(arch, sizes, seeds)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, with defaults filled in. A custom mixer is not included."""
        own = self._own_networks
        return {
            "image_shape": list(self.image_shape),
            "num_classes": self.classes,
            "num_attributes": self._num_attributes,
            "networks": own and keras.saving.serialize_keras_object(own),
            "name": self.name,
            **{field: value for field, value in vars(self.config).items() if not is_runtime(field)},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Autoencoder":
        return cls(**config | {"networks": revived(config["networks"])})

    def _build_players(self, arch: Architecture, sizes: Sizes, seeds: Seeds) -> None:
        """Builds additional networks, such as a discriminator. The base class builds no other network."""

    @property
    def active_generator_terms(self) -> tuple[Loss, ...]:
        """The losses of encoder and decoder that the current settings enable."""
        return self.generator_terms

    def _tracked_names(self) -> tuple[str, ...]:
        """Returns the names of losses and gradient norms that are averaged over an epoch."""
        terms = [term.name for term in self.active_generator_terms]
        return (*terms, "gen_loss", "gen_gradient_norm", "probe_loss", "probe_gradient_norm")

    @property
    def mixer(self) -> Mixer:
        """Object whose `sample` method chooses the parents and weights of mixes, as in `mixing.Mixer`.

        TensorFlow calls `sample` only when it traces a compiled step. Later changes to a mixer take effect only if the
        changed values are `tf.Variable`s, if the model runs with `run_eagerly = True`, or if `reset_step()` is called
        after the change. Assigning another mixer resets the step, but assigning the same object again does not. A
        `.keras` file does not contain the mixer.
        """
        return self._mixer

    @mixer.setter
    def mixer(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self.reset_step()  # a compiled step uses the mixer with which it was traced

    def default_mixer(self) -> Mixer:
        """Returns a new mixer with the settings `--mixer` and `--k`."""
        mixer = registry.load(registry.MIXERS, self.config.mixer)
        settings = {name: getattr(self.config, name) for name in getattr(mixer, "settings", ())}
        return mixer(self.config.k, **settings)

    def make_optimizer(self, player: str) -> keras.optimizers.Optimizer:
        """Returns a new Adam optimizer for one player. The learning rate is the same for all players."""
        return make_adam(self.config, self.torch_epsilon, self.step, self.total_steps)

    @property
    def players(self) -> dict[str, list]:
        return {"generator": self.generator_variables, "probe": self.probe.trainable_variables}

    @property
    def networks(self) -> dict[str, keras.Model]:
        """All networks of the model, by name."""
        return {"encoder": self.encoder, "decoder": self.decoder, "probe": self.probe}

    @property
    def generator_variables(self) -> list:
        """Trainable variables of encoder and decoder, which the generator's loss updates."""
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    @property
    def metrics(self) -> list:
        return [*self.trackers.values(), self.accuracy]

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.decode(self.encode(x, training), training)

    def encode(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Encodes images [B, H, W, C], integers in 0 .. 255 or floats in [-1, 1] -> codes float32 [B, ...]."""
        return tf.cast(self.encoder(to_images(x, self.image_shape), training=training), tf.float32)

    def decode(self, h: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Decodes codes [B, ...] -> images float32 [B, H, W, C]."""
        return tf.cast(self.decoder(h, training=training), tf.float32)

    def classify(self, h: tf.Tensor) -> tf.Tensor:
        """Computes the logits of the probe: codes [B, ...] -> float32 [B, classes]."""
        return tf.cast(self.probe(h), tf.float32)

    def decoding_network(self) -> keras.Model:
        """Returns a Keras model for exports that computes `decode`, without layer classes of this package."""
        return self.decoder

    def classifying_network(self) -> keras.Model:
        """Returns the network of `classify` for an export: codes -> logits, made of Keras's own layers."""
        return self.probe

    def reconstruct(self, x: tf.Tensor) -> tf.Tensor:
        """Encodes and decodes images [B, H, W, C] -> reconstructions float32 [B, H, W, C]."""
        return self.decode(self.encode(x))

    def interpolate(self, x1: tf.Tensor, x2: tf.Tensor, steps: int) -> tf.Tensor:
        """Decodes codes on a path from the code of x1 to the code of x2. The path is defined by the mixer.

        Args:
            x1, x2: images [B, H, W, C].
            steps: number of points on the path, including both ends; at least 2.

        Returns:
            Images [B, steps, H, W, C].
        """
        a, b = self.encode(x1), self.encode(x2)
        weights = self.mixer.path(a, b, steps)
        path = a[:, None] * weights[:, 0] + b[:, None] * weights[:, 1]
        images = self.decode(tf.reshape(path, [-1, *self.code_shape]))
        return tf.reshape(images, [-1, steps, *self.image_shape])

    def forward(self, x: tf.Tensor, y: Any = None) -> ForwardPass:
        """Encodes and decodes the images of a training step.

        Args:
            x: images [B, H, W, C] in [-1, 1].
            y: labels, or a dict with labels and attributes. Only methods that need attributes use `y`.
        """
        h = self.encode(x, training=True)
        return ForwardPass(x, h, self.decode(h, training=True))

    def seeds(self) -> tf.Tensor:
        """Returns the random seed of this step, int64 [2], computed from the run's seed, the step and the replica."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([tf.constant(self.config.seed, tf.int64), self.step.value])
        return tf.random.fold_in(seed, replica)

    def generator_losses(self, forward: ForwardPass) -> dict[str, tf.Tensor]:
        """Returns the losses of encoder and decoder by name, [B] each, before multiplication with `loss_weights`."""
        return {"recon": self.recon_loss(forward.x, forward.recon)}

    def loss_weights(self) -> dict[str, float]:
        """Returns the factors of the generator's losses in `gen_loss` by name. The factor of a missing name is 1."""
        return {"recon": self.config.lambda_}

    def generator_step(self, x: tf.Tensor, y: Any) -> ForwardPass:
        """Updates encoder and decoder once. Returns the forward pass that was computed before the update."""
        with tf.GradientTape() as tape:
            forward = self.forward(x, y)
            terms = self.generator_losses(forward)
            weights = self.loss_weights()
            gen_loss = tf.add_n([weights.get(name, 1.0) * loss for name, loss in terms.items()])
            total = self.global_mean(gen_loss)
        self.minimise("gen_gradient_norm", total, tape, self.generator_optimizer, self.generator_variables)
        self.track(terms | {"gen_loss": gen_loss})
        return forward

    def unpack(self, data: Any) -> tuple[tf.Tensor, Any, tf.Tensor | None]:
        """Splits a batch into float32 images, labels and example weights. Missing labels or weights are None."""
        x, y, weights = unpacked(data)
        return to_images(x, self.image_shape), y, weights

    def labels(self, y: Any) -> tf.Tensor | None:
        """Returns the labels for the probe, int64 [B], from the `y` of a batch, or None if `y` is None."""
        return None if y is None else to_labels(y)

    def probe_step(self, h: tf.Tensor, y: Any) -> None:
        """Updates the probe once on codes [B, ...] and labels. Without labels, the probe is not updated.

        The gradient tape does not record the encoder, so no gradient reaches the encoder.
        """
        y = self.labels(y)
        if y is None:
            return
        with tf.GradientTape() as tape:
            logits = tf.cast(self.probe(h), tf.float32)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            total = self.global_mean(loss)
        variables = self.probe.trainable_variables
        self.minimise("probe_gradient_norm", total, tape, self.probe_optimizer, variables)
        self.track({"probe_loss": loss})
        self.accuracy.update_state(y, logits)

    def global_mean(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the mean of a loss [B], divided by the number of replicas.

        `minimise` sums the gradients of all replicas, and the sum is then the gradient of the global mean.
        """
        return tf.reduce_mean(loss) / tf.distribute.get_strategy().num_replicas_in_sync

    def minimise(
        self, name: str, total: tf.Tensor, tape: tf.GradientTape, optimizer: Any, variables: list
    ) -> None:
        """Computes gradients, sums them over the replicas and updates the variables.

        The global norm of the summed gradients is tracked as `name`. With float16, if a scaled gradient overflows, no
        variable is updated and no norm is tracked.
        """
        with tape:
            scaled = optimizer.scale_loss(total)
        gradients = tape.gradient(scaled, variables)
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = tf.linalg.global_norm(gradients)
        weight = None
        if self.config.mixed_precision == "float16":
            scale = optimizer.dynamic_scale
            overflow = ~tf.math.is_finite(norm) & (scale > 1)
            norm, weight = tf.where(overflow, 0.0, norm / scale), tf.cast(~overflow, tf.float32)
        self.track({name: norm}, weight)
        optimizer.apply(gradients, variables)

    def track(self, values_by_name: dict[str, tf.Tensor], weights: tf.Tensor | None = None) -> None:
        """Adds values, [B] or scalar, to the means of the epoch, with optional weights in the shape of the values."""
        for name, values in values_by_name.items():
            self.trackers[name].update_state(values, weights)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        x, y, _ = self.unpack(data)
        forward = self.generator_step(x, y)
        self.probe_step(forward.probed, y)
        self.step.assign_add(1)
        return self.get_metrics_result()

    def test_step(self, data: Any) -> None:
        """Updates the means of reconstruction and probe on a batch, without training."""
        x, y, weights = self.unpack(data)
        # On a CPU, an operation uses half of the cores (see `startup`), so the two halves of the batch run
        # concurrently. Neither half may be empty.
        half = (x.shape[0] or 0) // 2
        codes = [self.encode(part) for part in ((x[:half], x[half:]) if half else (x,))]
        h, recon = tf.concat(codes, axis=0), tf.concat([self.decode(code) for code in codes], axis=0)
        self.track({"recon": self.recon_loss(x, recon)}, weights)
        y = self.labels(y)
        if y is None:
            return
        logits = self.classify(h)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        self.track({"probe_loss": loss}, weights)
        self.accuracy.update_state(y, logits, weights)
