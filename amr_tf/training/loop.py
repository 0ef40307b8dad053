"""Training loop that can start at any step of an epoch. Keras's `fit` can start only at the beginning of an epoch.

An epoch consists of training steps, a checkpoint, an evaluation, and callbacks that record the results. If the process
dies, only the work since the last checkpoint and an unfinished evaluation are repeated.
"""

import functools
import math
import time
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from amr_tf import data
from amr_tf.data import pipeline
from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runs.folder import RunError
from amr_tf.runtime.errors import DivergedError, one_line
from amr_tf.runtime.interruption import Interruption

EVALUATION_BATCH = 256
# Target duration of a call of the compiled function; signals are handled between two calls.
CALL_SECONDS = 0.5

Logs = dict[str, float]


class Position(NamedTuple):
    """Index of the current epoch of a run, counted from 0, and the number of finished steps in this epoch."""

    epoch: int
    done: int

    @classmethod
    def of(cls, step: int, epoch_length: int, epochs_recorded: int) -> "Position":
        """Returns the position after `step` steps. An epoch ends only after the evaluation is recorded."""
        epoch, done = divmod(max(step - 1, 0), epoch_length)
        done += step > 0
        return cls(epoch + 1, 0) if done == epoch_length and epochs_recorded > epoch else cls(epoch, done)


class Loop:
    """Trains a model to the end of the last epoch.

    All workers run the same number of steps per call, and save and stop at the same steps.

    Args:
        model: the restored model. `model.epoch_length` must be set.
        callbacks: Keras callbacks. `on_epoch_end` receives the training means of the epoch, and the means of the
            validation and test splits with the prefixes `val_` and `test_`. A callback may add values for the following
            callbacks.
    """

    def __init__(
        self,
        model,
        splits: data.Splits,
        checkpoints: Checkpoints,
        callbacks: list,
        interruption: Interruption,
    ):
        self.model, self.config, self.splits = model, model.config, splits
        self.checkpoints, self.interruption = checkpoints, interruption
        self.coordinator = checkpoints.coordinator
        self.callbacks = keras.callbacks.CallbackList(callbacks, model=model)
        self.step = int(model.step.numpy())
        self.last_save = time.monotonic()
        self.seconds_per_step = CALL_SECONDS  # assumed until the first measurement
        self.evaluated = {"val_": self._ordered(splits.validation), "test_": self._ordered(splits.test)}

    def run(self, position: Position) -> None:
        """Trains from `position` to the end, or to the end of an epoch in which a callback sets `model.stop_training`.

        Raises:
            DivergedError: a loss or a weight is not finite.
            Interrupted: a signal or `stop_at` stopped the run. The finished steps are saved.
            RunError: a file of the run folder cannot be written.
        """
        self.model.stop_training = False  # a callback can set it, as in `fit`
        self._call("on_train_begin")
        batches, done = self._batches(), position.done
        for epoch in range(position.epoch, self.config.epochs):
            if not done:
                self.model.reset_metrics()
            self.callbacks.on_epoch_begin(epoch)
            logs = self._steps(batches, done)
            self._save()
            self._stop_if_wanted()
            logs |= self._evaluate()
            self._refuse_diverged(logs)
            logs["learning_rate"] = float(self.model.probe_optimizer.learning_rate.numpy())
            self._call("on_epoch_end", epoch, logs)
            if self.coordinator.broadcast(self.model.stop_training):
                break
            if epoch + 1 < self.config.epochs:
                self._stop_if_wanted()
            done = 0
        self.callbacks.on_train_end()

    def _call(self, event: str, *arguments) -> None:
        """Calls a method of all callbacks. Errors of writing to the run folder are raised as a RunError of one line."""
        try:
            getattr(self.callbacks, event)(*arguments)
        except (OSError, tf.errors.OpError) as error:
            if "OOM when allocating" in str(error):  # raised while the model renders example images
                raise
            raise RunError(
                f"The run folder cannot be written. Received: {one_line(error)}. Free some space or fix the "
                "permissions, and resume with the same command."
            ) from error

    def _batches(self):
        """Returns an iterator of training batches, from the model's current step. Replicas get parts of each batch."""
        config, train = self.config, self.splits.train
        supervised = self.model.needs_attributes
        if config.device_data:
            device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"  # runs the training steps
            self.model.held_examples = pipeline.make_reader(train, supervised, device)
            return iter(pipeline.row_batches(train, config.batch_size, config.seed, self.step))
        of = functools.partial(pipeline.batches, train, config.batch_size, config.seed, self.step, supervised)
        return iter(pipeline.sharded(self.model.distribute_strategy, of))

    def _ordered(self, arrays: data.Arrays) -> tuple[Any, int]:
        """Returns endlessly repeated batches of all examples, and the number of batches until the first repetition.

        Each batch is split among the replicas.
        """
        strategy = self.model.distribute_strategy
        replicas = strategy.num_replicas_in_sync
        batch_size = math.ceil(EVALUATION_BATCH / replicas) * replicas
        # Without `repeat`, workers would communicate before each batch to find out if it is the last batch.
        batches = pipeline.sharded(
            strategy, lambda shard: pipeline.eval_batches(arrays, batch_size, shard).repeat()
        )
        return batches, math.ceil(len(arrays) / batch_size)

    def _steps(self, batches, done: int) -> Logs:
        """Runs the remaining steps of an epoch after the first `done` steps. Returns the means of the epoch."""
        train = self.model.make_train_function()
        length = self.model.epoch_length
        logs = _floats(self.model.get_metrics_result())
        while done < length:
            self._call("on_train_batch_begin", done)
            steps, begin = min(self._steps_per_call(), length - done), time.monotonic()
            logs = _floats(train(batches, steps))
            if self.interruption.stepping:  # false in the first call, which compiles
                self.seconds_per_step = (time.monotonic() - begin) / steps
            self.interruption.stepping = True
            self._refuse_diverged(logs)
            self.step, done = self.step + steps, done + steps
            self._call("on_train_batch_end", done - 1, logs)
            if done < length:
                # `wanted` is called only once: a signal between two calls would stop the run without saving.
                stop = self.interruption.wanted(self.step, self.coordinator.all_gather)
                is_old = time.monotonic() - self.last_save >= 60 * self.config.checkpoint_minutes
                if stop or self.coordinator.broadcast(is_old):
                    self._save()
                if stop:
                    self._stop()
        return logs

    def _steps_per_call(self) -> int:
        """Returns the number of steps in the next call, which never passes `stop_at`.

        If `steps_per_execution` is not set, the number is 1 with `--profile_steps`, or else depends on measured times.
        The chief broadcasts its number, because workers with different numbers would wait for each other forever.
        """
        steps = self.config.steps_per_execution
        if not steps:
            steps = 1 if self.config.profile_steps else max(1, int(CALL_SECONDS / self.seconds_per_step))
        stop_at = self.interruption.stop_at or 0
        return self.coordinator.broadcast(min(steps, stop_at - self.step) if self.step < stop_at else steps)

    def _evaluate(self) -> Logs:
        """Returns the means over the validation and test splits. Signals are handled between two batches."""
        test = self.model.make_test_function()
        logs: Logs = {}
        for prefix, (batches, number) in self.evaluated.items():
            self.model.reset_metrics()
            iterator = iter(batches)
            for _ in range(number):
                means = test(iterator)
                self._stop_if_wanted()
            logs |= {f"{prefix}{name}": value for name, value in _floats(means).items()}
        return logs

    def _save(self) -> None:
        self.checkpoints.save()
        self.last_save = time.monotonic()

    def _stop_if_wanted(self) -> None:
        """Stops the run if a stop was requested. The current step must already be saved."""
        if self.interruption.wanted(self.step, self.coordinator.all_gather):
            self._stop()

    def _stop(self) -> None:
        total = self.config.epochs * self.model.epoch_length
        raise self.interruption.interrupted(f"at step {self.step:,} of {total:,}, which is saved")

    def _refuse_diverged(self, logs: Logs) -> None:
        if broken := [name for name, value in logs.items() if not math.isfinite(value)]:
            # A call of several steps ends at the step that diverged.
            step = int(self.model.step.numpy())
            raise DivergedError(
                f"Training diverged at step {step:,}: {', '.join(broken)} no longer finite. Earlier checkpoints are "
                "kept: try a lower --learning_rate in another --run_dir."
            )


def _floats(logs: dict[str, tf.Tensor]) -> Logs:
    """Converts the means to floats with a single copy from the device."""
    return dict(zip(logs, tf.stack(list(logs.values())).numpy().tolist(), strict=True))
