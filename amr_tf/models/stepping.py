"""Compiled training and evaluation steps on all replicas. A call runs one or several steps."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from amr_tf.config import Config
from amr_tf.models import inputs
from amr_tf.models.compiled import compile_step, compile_train_loop, take


class Stepping(keras.Model):
    """A Keras model with compiled steps. Sub-classes add `train_step` and `test_step`.

    Attributes:
        step: number of finished training steps.
        trackers: means of losses and gradient norms by name.
        accuracy: accuracy of the probe.
        epoch_length: number of steps in an epoch, set by `fit`. The step count for `update_g_every` restarts in each
            epoch. If `epoch_length` is None, the count never restarts and learning-rate schedules are unavailable.
        epoch_origin: number of the step at which an epoch starts, modulo `epoch_length`. Set by `fit`.
        held_examples: function that maps row numbers to training examples in device memory (`--device_data`), or None.
            With this function, training batches contain row numbers instead of examples.
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
        self._last_step: int | None = None  # last step of the schedule, if `fit` knows this step
        self._due: int | None = None  # number of steps in the next call, if `fit` knows this number
        self._xla = False
        self.held_examples: Callable | None = None
        self._take_steps: Callable | None = None

    def reset_step(self) -> None:
        """Discards the compiled training step, so that the next training step is traced again.

        Call this method after changing an attribute that the step reads only during tracing, such as `mixer.k`.

        Example:
            >>> from amr_tf.models.amr import AMR
            >>> model = AMR((32, 32, 1), 10, depth=4)
            >>> model.mixer.k = 3
            >>> model.reset_step()
        """
        self.train_function = self._take_steps = None

    def make_train_function(self, force: bool = False) -> Callable:
        """Returns a compiled function (iterator, steps) that runs steps and returns the epoch's means so far.

        The function returns early after a step in which a mean becomes NaN or infinite. `fit` calls `train_function`
        instead, which runs `steps_per_execution` steps and returns the logs of Keras.
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
        """Returns a compiled function that evaluates the next batch of an iterator and returns the means so far."""
        if self.test_function is None or force:
            step = self._compiled(self.replicated_test_step)
            self._take_test_step = lambda iterator: step(next(iterator))
            self.test_function = self._for_keras(
                lambda iterator, _: self._take_test_step(iterator), training=False
            )
        return self._take_test_step

    def _for_keras(self, run: Callable, training: bool) -> Callable:
        """Wraps `run` for `fit` or `evaluate`: the wrapper also checks the batches and returns the logs of Keras."""

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
        """Returns the means. If the batch has no labels, the means of the probe are left out."""
        return {
            name: mean
            for name, mean in means.items()
            if batch[1] is not None or not name.startswith("probe_")
        }

    def _compiled(self, step: Callable) -> Callable:
        return compile_step(step, self.run_eagerly, self._xla)

    def check_batch(self, x: Any, y: Any, weights: Any, training: bool) -> None:
        """Checks images, labels and weights, or their specs, before a step is compiled for them.

        Raises:
            ValueError: images or labels have a wrong shape, labels are out of range, or a training batch has weights.
        """
        if hasattr(x, "shape"):  # false for a value with separate parts for the replicas
            inputs.check_shape(x, self.image_shape)
        if hasattr(y, "shape"):
            inputs.check_labels(y, self.classes)
        if training and weights is not None:
            raise ValueError(
                "Weights of training examples are not supported. Received: (x, y, weights). Leave them out."
            )

    def replicated_train_step(self, data: Any) -> None:
        """Runs one training step on every replica."""
        self.distribute_strategy.run(self.train_step, args=(data,))

    def replicated_test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Evaluates one batch on all replicas. Returns the means so far over all replicas.

        The means of the replicas must not be averaged: the replicas may get parts of the last batch with different
        total weights.
        """
        self.distribute_strategy.run(self.test_step, args=(data,))
        kept = (self.trackers["recon"], self.trackers["probe_loss"], self.accuracy)
        return {metric.name: metric.result() for metric in kept}

    def is_finite(self) -> tf.Tensor:
        """Returns a scalar bool: true if all means of this epoch are finite."""

        def broken() -> tf.Tensor:
            totals = [tf.convert_to_tensor(tracker.total.value) for tracker in self.trackers.values()]
            return tf.cast(tf.reduce_any(~tf.math.is_finite(tf.stack(totals))), tf.int32)

        # Each replica computes one number for all trackers, and these numbers are summed over the replicas.
        strategy = self.distribute_strategy
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(broken), axis=None) == 0

    def _begin_fit(self, epoch_length: int | None, epochs: int) -> None:
        """Sets epoch length, epoch origin and last step. If they changed, the training step is compiled again."""
        before = self._counts()
        step = int(self.step.numpy())
        self.epoch_length = epoch_length
        self.epoch_origin = step % epoch_length if epoch_length else 0
        self._last_step = step + epochs * epoch_length if epoch_length else None
        if self._counts() != before:
            self.make_train_function(force=True)

    def _counts(self) -> tuple:
        """Returns the epoch and schedule values that are constants in a compiled step."""
        epoch = (self.epoch_length, self.epoch_origin) if self.config.update_g_every > 1 else ()
        return (*epoch, *([] if self.config.schedule == "constant" else [self._last_step]))

    def total_steps(self) -> int:
        """Returns the number of training steps of the run. Raises ValueError if `epoch_length` is not set."""
        if self.epoch_length is None:
            raise ValueError(f"{self.config.flag('schedule')} needs the run's length: set model.epoch_length")
        return self._last_step or self.config.epochs * self.epoch_length


class EpochCounts(keras.callbacks.Callback):
    """Sets the model's epoch length and number of steps per call as soon as Keras knows these numbers."""

    def __init__(self, epochs: int, initial_epoch: int):
        super().__init__()
        self.epochs, self.initial_epoch = epochs, initial_epoch

    def on_train_begin(self, logs: Any = None) -> None:
        # The callback `BackupAndRestore` sets `_initial_epoch` to the epoch from which training resumes.
        begin = getattr(self.model, "_initial_epoch", None) or self.initial_epoch
        self.model._begin_fit(self.params.get("steps"), self.epochs - begin)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model._share_learning_rate()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        length = self.model.epoch_length
        self.model._due = length and min(self.model.steps_per_execution, length - batch)

    def on_train_end(self, logs: Any = None) -> None:
        self.model._due = None
