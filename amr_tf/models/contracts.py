"""Keras's interface of models: `compile`, `fit`, `evaluate`, `predict`, callbacks, `save` and `load_model`.

Sub-classes add the players, a training step and an evaluation step.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from amr_tf import optimizers
from amr_tf.models import inputs
from amr_tf.models.stepping import EpochCounts, Stepping

KERAS_BATCH = 32  # Keras's default batch size


@dataclasses.dataclass(frozen=True)
class Compiled:
    """Arguments of `compile` as stored in a `.keras` file."""

    optimizer: Any  # serialised
    run_eagerly: bool
    steps_per_execution: int
    jit_compile: bool


class KerasContracts(Stepping):
    """A Keras model with several players.

    A player is a group of variables with a separate loss and a separate optimizer. The players are the generator
    (encoder and decoder), the probe and, in adversarial methods, the discriminator.
    """

    @property
    def players(self) -> dict[str, list]:
        """Trainable variables of each player, by the name of the player."""
        raise NotImplementedError

    def make_optimizer(self, player: str) -> keras.optimizers.Optimizer:
        """Returns a new optimizer for a player, with the method's published settings."""
        raise NotImplementedError

    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int | None = None,
        jit_compile: bool | str = "auto",
    ) -> None:
        """Creates and builds an optimizer for each player: generator, probe and, if there is one, discriminator.

        Args:
            optimizer: None, an optimizer of Keras, the name of an optimizer, or a dict of such values by player. None
                or a player that is missing in the dict means the method's published Adam, with the settings of the
                constructor (`learning_rate`, `adam_beta1`, `weight_decay`, `schedule`, ...). If one optimizer is given
                for all players, each player gets a copy.
            run_eagerly: if true, run steps as Python, to debug them.
            steps_per_execution: number of training steps in each call of the compiled function. The default is the
                setting of the constructor, or 1.
            jit_compile: if true, compile the step with XLA. "auto" means the setting of the constructor.

        Raises:
            ValueError: an argument is invalid or not supported, such as `loss`.

        Example:
            >>> from amr_tf.models.amr import AMR
            >>> model = AMR((32, 32, 1), 10, depth=4)
            >>> model.compile({"generator": keras.optimizers.Adam(1e-3), "discriminator": "sgd"})
            >>> type(model.discriminator_optimizer).__name__
            'SGD'
        """
        unused = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        for name, value in unused.items():
            if value is not None:
                raise ValueError(
                    f"{name}= is not supported: a method has its own losses. Received: {name}={value!r}. Leave it "
                    "out; the constructor takes the weights of losses, such as lambda_."
                )
        steps = self.config.steps_per_execution or 1 if steps_per_execution is None else steps_per_execution
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"steps_per_execution is a whole number of at least 1. Received: {steps!r}.")
        jit = self.config.jit_compile if jit_compile == "auto" else bool(jit_compile)
        replicas = self.distribute_strategy.num_replicas_in_sync
        if jit and replicas > 1:
            raise ValueError(
                "XLA cannot compile a step that reaches over several devices. Received: jit_compile=True with "
                f"{replicas} replicas. Leave it out."
            )
        given = optimizers.per_player(optimizer, list(self.players))
        with self.distribute_strategy.scope():
            for player, variables in self.players.items():
                one = given[player]
                made = self.make_optimizer(player) if one is None else optimizers.copied(one)
                if self.config.mixed_precision == "float16":
                    made = optimizers.scaled(made)
                made.build(variables)  # creates the state, so that a checkpoint can be restored
                setattr(self, f"{player}_optimizer", made)
        super().compile(
            optimizer=self.generator_optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=steps,
            jit_compile=jit,
        )
        self._xla = jit
        self._shares_rate = not isinstance(optimizer, dict)
        self._arguments = Compiled(optimizers.serialized(optimizer), run_eagerly, steps, jit)

    def get_compile_config(self) -> dict[str, Any]:
        return dataclasses.asdict(self._arguments) if self.compiled else {}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**config | {"optimizer": optimizers.deserialized(config["optimizer"])})

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        **others: Any,
    ) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does, with these differences.

        The logs contain the losses of the method. They also contain `loss` and `val_loss`, the reconstruction losses of
        training and validation. Callbacks such as `EarlyStopping()` monitor `val_loss`. Without labels, the probe is
        not trained. `update_g_every` and `schedule` work as in a training run (`amr_tf.train`).

        Args:
            x: images [N, H, W, C], integers in 0 .. 255 or floats in [-1, 1]; or batches of (images, labels), such as a
                `tf.data.Dataset`.
            y: labels [N] in 0 .. num_classes - 1, or None.
            batch_size: number of images per step if `x` is an array. The default is the setting `batch_size` of the
                constructor, which is 64 by default.
            epochs, verbose, callbacks, others: arguments of `keras.Model.fit`.

        Raises:
            ValueError: the images have a wrong shape or are far out of range, the labels are out of range, or
                `sample_weight` or `class_weight` is given.

        Example:
            >>> import numpy as np
            >>> from amr_tf.models.amr import AMR
            >>> model = AMR((8, 8, 1), 10, depth=2, latent_width=2, latent=2)
            >>> model.compile(run_eagerly=True)
            >>> images, labels = np.zeros((8, 8, 8, 1), np.uint8), np.arange(8)
            >>> history = model.fit(images, labels, batch_size=4, epochs=2, verbose=0)
            >>> len(history.history["loss"])
            2
        """
        for name in ("sample_weight", "class_weight"):
            if others.pop(name, None) is not None:
                raise ValueError(
                    f"{name}= is not supported: all examples of a batch count the same. Leave it out."
                )
        if batch_size is None and hasattr(x, "shape"):
            batch_size = self.config.batch_size
        x, y = self._training_data(x, y, batch_size)
        if others.get("validation_data") is not None:
            val_x, val_y, _ = keras.utils.unpack_x_y_sample_weight(others["validation_data"])
            self._check_arrays(val_x, val_y)
            size = others.get("validation_batch_size") or batch_size
            others["validation_batch_size"] = self._shared_batch_size(val_x, size)
        if isinstance(x, tf.data.Dataset) or hasattr(x, "__next__"):
            others.setdefault("shuffle", False)  # Keras would warn that it cannot shuffle them
        callbacks = self._with_counts(callbacks, EpochCounts(epochs, others.get("initial_epoch", 0)))
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **others)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        *arguments: Any,
        return_dict: bool = False,
        **others: Any,
    ) -> Any:
        """Returns means over a data set, as `keras.Model.evaluate` does. The first is `loss`, the reconstruction loss.

        Reconstruction and probe are evaluated, but not mixes. `sample_weight` contains the weights of the examples.

        Raises:
            ValueError: images or labels are invalid, as in `fit`.
        """
        self._check_arrays(x, y)
        size = self._shared_batch_size(x, batch_size)
        logs = super().evaluate(x, y, size, *arguments, return_dict=True, **others)
        return logs if return_dict else list(logs.values())

    def predict(self, x: Any, batch_size: int | None = None, *arguments: Any, **others: Any) -> Any:
        """Computes reconstructions, float32 [N, H, W, C], batch by batch, as `keras.Model.predict` does."""
        self._check_arrays(x, None)
        return super().predict(x, self._shared_batch_size(x, batch_size), *arguments, **others)

    def predict_step(self, data: Any) -> tf.Tensor:
        return self.call(inputs.unpacked(data)[0])

    def _training_data(self, x: Any, y: Any, batch_size: int | None) -> tuple[Any, Any]:
        """Checks images and labels. Drops the last batch if there are fewer examples in this batch than replicas."""
        self._check_arrays(x, y, training=True)
        size = batch_size or KERAS_BATCH
        if isinstance(x, np.ndarray) and self._leaves_too_few(x, size):
            return inputs.without_last(x, len(x) % size), inputs.without_last(y, len(x) % size)
        return x, y

    def _with_counts(self, callbacks: Any, counts: EpochCounts) -> Any:
        """Appends `counts` to the callbacks of `fit`. The last callback sees the changes of all other callbacks."""
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            return [*tf.nest.flatten([] if callbacks is None else callbacks), counts]
        counts.set_model(self)
        counts.set_params(callbacks.params)
        callbacks.append(counts)
        return callbacks

    def _check_arrays(self, x: Any, y: Any, training: bool = False) -> None:
        if isinstance(x, np.ndarray):
            inputs.check_range(x)
            self.check_batch(x, y, None, training)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Does nothing, because the constructor builds the model.

        With a distribution strategy, Keras 3.15 would read a batch here, and would fail if the replicas' parts of the
        batch differ in length.
        """

    def _leaves_too_few(self, x: Any, batch_size: int) -> bool:
        """Returns true if a replica would get no example of an array's last batch.

        For an empty batch, oneDNN's convolution returns a wrong shape (TensorFlow 2.21).
        """
        return 0 < len(x) % batch_size < self.distribute_strategy.num_replicas_in_sync

    def _shared_batch_size(self, x: Any, batch_size: int | None) -> int | None:
        """Returns the largest batch size up to `batch_size` with which no replica gets an empty part of a batch."""
        if not isinstance(x, np.ndarray):
            return batch_size
        smaller = range(batch_size or KERAS_BATCH, 0, -1)
        return next((size for size in smaller if not self._leaves_too_few(x, size)), batch_size)

    def _state(self) -> list:
        """Returns variables that no layer saves: the step, and seeds of layers such as Dropout in custom networks."""
        return [self.step, *(v for v in self.variables if v.name == "seed_generator_state")]

    def save_own_variables(self, store: Any) -> None:
        for number, variable in enumerate(self._state()):
            store[str(number)] = variable

    def load_own_variables(self, store: Any) -> None:
        for number, variable in enumerate(self._state()):
            variable.assign(store[str(number)])

    def _share_learning_rate(self) -> None:
        """Copies the learning rate of `optimizer` to the optimizers of all players.

        Keras's callbacks change the learning rate of `optimizer` only, which is the generator's optimizer.
        """
        made = [getattr(self, f"{player}_optimizer") for player in self.players]
        if self._shares_rate and all(isinstance(one._learning_rate, keras.Variable) for one in made):
            rate = float(self.optimizer.learning_rate.numpy())
            for one in made:
                if float(one.learning_rate.numpy()) != rate:
                    one.learning_rate = rate
