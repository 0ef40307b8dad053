"""What Keras promises of a model: `compile`, `fit`, `evaluate`, `predict`, callbacks, `save` and `load_model`.

A method adds its players, and a step for training and one for evaluation.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from amr_tf import optimizers
from amr_tf.config import Config
from amr_tf.models import inputs
from amr_tf.models.compiled import compile_step, compile_train_loop, take

_REFUSED = "{0}= has no meaning for this model. Received: {0}={1!r}. {2}."
_OWN_LOSSES = (
    "A method has its own losses: leave it out, and set their weights in the constructor, such as lambda_"
)


@dataclasses.dataclass(frozen=True)
class Compiled:
    """The arguments of `compile`, as a `.keras` file keeps them."""

    optimizer: Any  # serialised
    run_eagerly: bool
    steps_per_execution: int
    jit_compile: bool


class KerasContracts(keras.Model):
    """A Keras model of several players, each with an optimizer of its own.

    Attributes:
        epoch_length: steps of an epoch, after which the count that `update_g_every` looks at starts again; None: it
            never does, and there is no schedule. `fit` sets it.
        epoch_origin: number of the step from which epochs are counted, modulo `epoch_length`. `fit` sets it.
        held_examples: reads rows of training examples that are in the memory of the step's device: a batch is row
            indices then.
    """

    config: Config
    image_shape: tuple[int, ...]
    classes: int
    step: keras.Variable
    trackers: dict[str, keras.metrics.Metric]
    accuracy: keras.metrics.Metric
    train_function: Callable | None
    test_function: Callable | None

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.epoch_length: int | None = None
        self.epoch_origin = 0
        self._last_step: int | None = None  # of the schedule, where `fit` knows it
        self._due: int | None = None  # steps of the next call, where `fit` knows it
        self.held_examples: Callable | None = None
        self._take_steps: Callable | None = None

    @property
    def players(self) -> dict[str, list]:
        """The variables of each player, by its name."""
        raise NotImplementedError

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """Makes an optimizer with the method's published settings."""
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
        """Makes and builds an optimizer for each player: generator, probe, and discriminator where there is one.

        Args:
            optimizer: None for the method's published Adam with the settings of the constructor (`learning_rate`,
                `adam_beta1`, `weight_decay`, `schedule`, ...); a name or an optimizer of Keras, of which every player
                gets a copy; or a dict of these by player, where None or a missing player means the published Adam.
            run_eagerly: run steps as Python, to debug them.
            steps_per_execution: steps of a call of the compiled function (1).
            jit_compile: compile the step with XLA; "auto" takes the setting of the constructor.

        Raises:
            ValueError: an argument that this model does not take, such as `loss`.

        Example:
            >>> from amr_tf.models.amr import AMR
            >>> model = AMR((32, 32, 1), 10, depth=4)
            >>> model.compile({"generator": keras.optimizers.Adam(1e-3), "discriminator": "sgd"})
            >>> model.discriminator_optimizer.name
            'SGD'
        """
        for name, value in (("loss", loss), ("loss_weights", loss_weights)):
            if value is not None:
                raise ValueError(_REFUSED.format(name, value, _OWN_LOSSES))
        for name, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value is not None:
                raise ValueError(_REFUSED.format(name, value, "Leave it out: losses and probe are logged"))
        steps = self.config.steps_per_execution or 1 if steps_per_execution is None else steps_per_execution
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"steps_per_execution is a whole number of at least 1. Received: {steps!r}.")
        jit = self.config.jit_compile if jit_compile == "auto" else bool(jit_compile)
        if jit and self.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError(
                "XLA cannot compile a step that reaches over several devices. Received: jit_compile=True with "
                f"{self.distribute_strategy.num_replicas_in_sync} replicas. Leave it out."
            )
        given = optimizers.per_player(optimizer, list(self.players))
        for player, variables in self.players.items():
            # Built at once, so that a checkpoint can be restored.
            made = optimizers.copied(given[player]) if given[player] is not None else self.make_optimizer()
            if self.config.mixed_precision == "float16":
                made = optimizers.scaled(made)
            made.build(variables)
            setattr(self, f"{player}_optimizer", made)
        super().compile(
            optimizer=self.generator_optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=steps,
            jit_compile=jit,
        )
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

        The logs have `loss` and `val_loss`, the reconstruction losses of training and validation, which all methods
        share and which callbacks such as `EarlyStopping()` watch, beside the losses of the method. Without labels there
        is no probe. Epochs count for `update_g_every` and `schedule` as those of a run do.

        Args:
            x: images [N, H, W, C], whole numbers in 0 .. 255 or floats in [-1, 1], or batches of (images, labels), such
                as a `tf.data.Dataset`.
            y: labels [N] in 0 .. num_classes - 1, or None.
            batch_size: images of a step, for arrays; the `batch_size` of the constructor, 64 by default.
            epochs, verbose, callbacks, others: as `keras.Model.fit` takes them.

        Raises:
            ValueError: images of another shape or far outside of [-1, 1], labels that are out of range, or
                `sample_weight` or `class_weight`.

        Example:
            >>> import numpy as np
            >>> from amr_tf.models.amr import AMR
            >>> model = AMR((32, 32, 1), 10, depth=4)
            >>> model.compile()
            >>> images, labels = np.zeros((8, 32, 32, 1), np.uint8), np.arange(8)
            >>> history = model.fit(images, labels, batch_size=4, epochs=2, verbose=0)
            >>> len(history.history["loss"])
            2
        """
        for name in ("sample_weight", "class_weight"):
            if others.pop(name, None) is not None:
                raise ValueError(
                    f"{name}= is not supported. All examples of a batch count the same. Leave it out."
                )
        x, y = self._whole_shares(x), self._whole_shares(y)
        self._check_arrays(x, y, training=True)
        if others.get("validation_data") is not None:
            self._check_arrays(*keras.utils.unpack_x_y_sample_weight(others["validation_data"])[:2])
        if batch_size is None and hasattr(x, "shape"):
            batch_size = self.config.batch_size
        if isinstance(x, tf.data.Dataset) or hasattr(x, "__next__"):
            others.setdefault("shuffle", False)  # Keras would warn that it cannot
        following = _Epochs(epochs, others.get("initial_epoch", 0))
        if isinstance(callbacks, keras.callbacks.CallbackList):
            following.set_model(self)
            following.set_params(callbacks.params)
            callbacks.append(following)
        else:
            # Last, so that it sees what other callbacks have changed.
            callbacks = [
                *(callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []),
                following,
            ]
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **others)

    def evaluate(
        self, x: Any = None, y: Any = None, *arguments: Any, return_dict: bool = False, **others: Any
    ) -> Any:
        """Returns the means over a data set as `keras.Model.evaluate` does: first `loss`, the reconstruction loss.

        Reconstruction and probe are measured; nothing is mixed. Weights of examples are allowed here.
        """
        self._check_arrays(x, y)
        logs = super().evaluate(x, y, *arguments, return_dict=True, **others)
        return logs if return_dict else list(logs.values())

    def predict(self, x: Any, *arguments: Any, **others: Any) -> Any:
        """Returns reconstructions float32 [N, H, W, C] in batches, as `keras.Model.predict` does."""
        self._check_arrays(x, None)
        return super().predict(x, *arguments, **others)

    def predict_step(self, data: Any) -> tf.Tensor:
        return self.call(inputs.unpacked(data)[0])

    def check_batch(self, x: Any, y: Any, weights: Any, training: bool) -> None:
        """Checks images, labels and weights, or their specs, before a step is compiled for them.

        Raises:
            ValueError: another shape than the model's, labels of another shape or out of range, or weights in training.
        """
        if hasattr(x, "shape"):  # not the share of a replica
            inputs.check_shape(x, self.image_shape)
        if hasattr(y, "shape"):
            inputs.check_labels(y, self.classes)
        if training and weights is not None:
            raise ValueError(
                "Weights of training examples are not supported. Received: (x, y, weights). Leave them out."
            )

    def _check_arrays(self, x: Any, y: Any, training: bool = False) -> None:
        if isinstance(x, np.ndarray):
            inputs.check_range(x)
            self.check_batch(x, y, None, training)

    def _whole_shares(self, values: Any) -> Any:
        """Cuts arrays to a length that leaves no replica without examples in an epoch's last batch."""
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas == 1 or isinstance(values, tf.data.Dataset):
            return values
        return tf.nest.map_structure(
            lambda one: one[: len(one) // replicas * replicas] if hasattr(one, "shape") else one, values
        )

    def reset_step(self) -> None:
        """Drops the compiled training step: the next one is traced anew.

        Call it after changing in place what a step read when it was traced, such as an attribute of the mixer.

        Example:
            >>> from amr_tf.models.amr import AMR
            >>> model = AMR((32, 32, 1), 10, depth=4)
            >>> model.mixer.k = 3
            >>> model.reset_step()
        """
        self.train_function = self._take_steps = None

    def make_train_function(self, force: bool = False) -> Callable:
        """Compiles `replicated_train_step` into (iterator, steps) -> the epoch's means so far.

        A call ends early after a step that leaves a mean that is not finite. `fit` calls `train_function` instead,
        which takes `steps_per_execution` steps and returns the logs of Keras.
        """
        if self.train_function is None or self._take_steps is None or force:
            held, train = self.held_examples, self.replicated_train_step
            step = self._compiled(train if held is None else lambda rows: train(held(rows)))
            self._take_steps = compile_train_loop(
                step, self.is_finite, self.get_metrics_result, self.run_eagerly
            )
            self.train_function = self._for_keras(self._take_steps, training=True)
        return self._take_steps

    def make_test_function(self, force: bool = False) -> Callable:
        """Compiles `replicated_test_step` into iterator -> the means so far."""
        if self.test_function is None or force:
            step = self._compiled(self.replicated_test_step)
            self._take_test_step = lambda iterator: step(next(iterator))
            self.test_function = self._for_keras(
                lambda iterator, _: self._take_test_step(iterator), training=False
            )
        return self._take_test_step

    def _for_keras(self, run: Callable, training: bool) -> Callable:
        """Returns the function that `fit` or `evaluate` calls with an iterator: `run`, with checks and Keras's logs."""

        def function(iterator: Any) -> dict[str, tf.Tensor]:
            if not hasattr(iterator, "element_spec"):  # the one batch of `train_on_batch` or `test_on_batch`
                batch = inputs.unpacked(next(iterator))
                self.check_batch(*batch, training)
                return self._logs(run(iter([batch]), 1), batch)
            batch = inputs.unpacked(iterator.element_spec)
            self.check_batch(*batch, training)
            means = take(run, iterator, self.steps_per_execution, self._due if training else None)
            return {"loss": means["recon"]} | self._logs(means, batch)

        return function

    def _logs(self, means: dict[str, tf.Tensor], batch: tuple) -> dict[str, tf.Tensor]:
        """The means without those of the probe where the batch has no labels."""
        return {
            name: mean
            for name, mean in means.items()
            if batch[1] is not None or not name.startswith("probe_")
        }

    def _compiled(self, step: Callable) -> Callable:
        return compile_step(step, self.run_eagerly, self.jit_compile)

    def _begin_fit(self, epoch_length: int | None, epochs: int) -> None:
        """Sets what steps count with. A step that was compiled with other numbers is compiled anew."""
        before = self._counts()
        step = int(self.step.numpy())
        self.epoch_length = epoch_length
        self.epoch_origin = step % epoch_length if epoch_length else 0
        self._last_step = step + epochs * epoch_length if epoch_length else None
        if self._counts() != before:
            self.make_train_function(force=True)

    def _counts(self) -> tuple:
        """The numbers that are part of a compiled step."""
        epoch = (self.epoch_length, self.epoch_origin) if self.config.update_g_every > 1 else ()
        return (*epoch, *([] if self.config.schedule == "constant" else [self._last_step]))

    def total_steps(self) -> int:
        """Steps of the whole run. Raises a ValueError while `epoch_length` is not set."""
        if self.epoch_length is None:
            raise ValueError(f"{self.config.flag('schedule')} needs the run's length: set model.epoch_length")
        return self._last_step or self.config.epochs * self.epoch_length

    def _share_learning_rate(self) -> None:
        """Gives all players the learning rate of `optimizer`, which callbacks of Keras change."""
        made = [getattr(self, f"{player}_optimizer") for player in self.players]
        if self._shares_rate and all(isinstance(one._learning_rate, keras.Variable) for one in made):
            rate = float(self.optimizer.learning_rate.numpy())
            for one in made:
                if float(one.learning_rate.numpy()) != rate:
                    one.learning_rate = rate


class _Epochs(keras.callbacks.Callback):
    """Tells the model the length of epochs and calls, which Keras knows once it has the data."""

    def __init__(self, epochs: int, initial_epoch: int):
        super().__init__()
        self.epochs, self.initial_epoch = epochs, initial_epoch

    def on_train_begin(self, logs: Any = None) -> None:
        # `BackupAndRestore` says where it resumes.
        begin = getattr(self.model, "_initial_epoch", None) or self.initial_epoch
        self.model._begin_fit(self.params.get("steps"), self.epochs - begin)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model._share_learning_rate()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        length = self.model.epoch_length
        self.model._due = length and min(self.model.steps_per_execution, length - batch)

    def on_train_end(self, logs: Any = None) -> None:
        self.model._due = None
