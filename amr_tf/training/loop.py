"""The training loop: steps, evaluations and saves, from any step of any epoch on.

Keras's `fit` starts at the beginning of an epoch; a run that is taken up again starts where it stopped. So the loop
is here, around the model's own compiled steps and Keras's callbacks.

An epoch is: its steps; a checkpoint; the evaluation; the callbacks that write it down. Whatever ends the process,
nothing that was computed before the last checkpoint is computed again except an evaluation that was under way.
"""

import contextlib
import math
import time
from typing import NamedTuple

import keras
import tensorflow as tf

from amr_tf import data
from amr_tf.data import pipeline
from amr_tf.distributed.coordination import Agreement
from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runs.folder import RunError
from amr_tf.runtime.errors import DivergedError, one_line
from amr_tf.runtime.interruption import Interruption

EVALUATION_BATCH = 256
# A call of the compiled function takes about that long, and a signal is heard between two calls.
CALL_SECONDS = 0.5

Logs = dict[str, float]


class Position(NamedTuple):
    """Where a run stands: in which epoch, counted from 0, and how many of its steps are done."""

    epoch: int
    done: int

    @classmethod
    def of(cls, step: int, epoch_length: int, epochs_written_down: int) -> "Position":
        """After `step` steps. An epoch whose steps are all done is over once it is evaluated and written down."""
        epoch, done = divmod(max(step - 1, 0), epoch_length)
        done += step > 0
        return cls(epoch + 1, 0) if done == epoch_length and epochs_written_down > epoch else cls(epoch, done)


class Loop:
    """Trains a model to the end of its last epoch.

    Args:
        model: restored, its `epoch_length` set.
        splits: the data.
        checkpoints: where to save.
        callbacks: `on_epoch_end` gets the means over the epoch, with the prefixes `val_` and `test_` those of the
            other splits; each callback may add to them for the ones after it.
        interruption: when to save and leave.
        agreement: of this process with the other workers: how many steps a call takes, when to save, when to leave.
    """

    def __init__(
        self,
        model,
        splits: data.Splits,
        checkpoints: Checkpoints,
        callbacks: list[keras.callbacks.Callback],
        interruption: Interruption,
        agreement: Agreement,
    ):
        self.model, self.config, self.splits = model, model.config, splits
        self.checkpoints, self.interruption, self.agreement = checkpoints, interruption, agreement
        self.callbacks = keras.callbacks.CallbackList(callbacks, model=model)
        self.step = int(model.step.numpy())
        self.last_save = time.monotonic()
        self.seconds_per_step = CALL_SECONDS  # until it is measured
        self.evaluated = {"val_": self._ordered(splits.validation), "test_": self._ordered(splits.test)}

    def run(self, position: Position) -> None:
        """Trains from `position` to the end.

        Raises:
            DivergedError: a loss or a weight is not finite.
            Interrupted: by a signal; the state is saved.
            RunError: a file of the run folder cannot be written.
        """
        with _writing():
            self.callbacks.on_train_begin()
        batches, done = self._batches(), position.done
        for epoch in range(position.epoch, self.config.epochs):
            if not done:
                self.model.reset_metrics()
            self.callbacks.on_epoch_begin(epoch)
            logs = self._steps(batches, done)
            self._save()
            self._leave_if_wanted()
            logs |= self._evaluate()
            self._refuse_diverged(logs)
            logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())
            with _writing():
                self.callbacks.on_epoch_end(epoch, logs)
            if epoch + 1 < self.config.epochs:
                self._leave_if_wanted()
            done = 0
        self.callbacks.on_train_end()

    def _batches(self):
        """Training batches from the step on at which the model stands, each shared among the replicas."""

        config, train = self.config, self.splits.train
        supervised = self.model.needs_attributes
        if config.device_data:
            self.model.held_examples = pipeline.reader(train, supervised, held_on())
            return iter(pipeline.rows(train, config.batch_size, config.seed, self.step))

        def of(share: pipeline.Share) -> tf.data.Dataset:
            return pipeline.batches(train, config.batch_size, config.seed, self.step, supervised, share)

        return iter(pipeline.shared(self.model.distribute_strategy, of))

    def _ordered(self, arrays: data.Arrays) -> "_Evaluated":
        """All examples, in batches shared among the replicas."""
        strategy = self.model.distribute_strategy
        batch_size = (
            math.ceil(EVALUATION_BATCH / strategy.num_replicas_in_sync) * strategy.num_replicas_in_sync
        )
        number = math.ceil(len(arrays) / batch_size)
        # Without an end: workers would ask each other at every batch whether there is one more.
        batches = pipeline.shared(
            strategy, lambda share: pipeline.ordered(arrays, batch_size, share).repeat()
        )
        return _Evaluated(batches, number)

    def _steps(self, batches, done: int) -> Logs:
        """The steps of an epoch after the first `done`; returns the epoch's means."""
        train = self.model.make_train_function()
        length = self.model.epoch_length
        logs = _floats(self.model.get_metrics_result())
        while done < length:
            with _writing():
                self.callbacks.on_train_batch_begin(done)
            steps, begin = min(self._at_once(), length - done), time.monotonic()
            logs = _floats(train(batches, steps))
            if self.interruption.stepping:  # the first call compiles
                self.seconds_per_step = (time.monotonic() - begin) / steps
            self.interruption.stepping = True
            self._refuse_diverged(logs)
            self.step, done = self.step + steps, done + steps
            with _writing():
                self.callbacks.on_train_batch_end(done - 1, logs)
            if done < length:
                # Asked once: a signal between two answers would leave without saving.
                leave = self.interruption.wanted(self.step, self.agreement.told)
                if leave or self.agreement.chiefs(self._is_old()):
                    self._save()
                if leave:
                    self._leave()
        return logs

    def _at_once(self) -> int:
        """Steps of the next call; a profile is one of single steps, and `stop_at` is stopped at.

        They depend on the clock, and workers that do not take as many would wait for each other for ever.
        """
        steps = self.config.steps_per_execution
        if not steps:
            steps = 1 if self.config.profile_steps else max(1, int(CALL_SECONDS / self.seconds_per_step))
        stop_at = self.interruption.stop_at or 0
        return self.agreement.chiefs(min(steps, stop_at - self.step) if self.step < stop_at else steps)

    def _evaluate(self) -> Logs:
        """The means over the validation and the test split. A signal is heard between two batches."""
        test = self.model.make_test_function()
        logs: Logs = {}
        for prefix, (batches, number) in self.evaluated.items():
            self.model.reset_metrics()
            iterator = iter(batches)
            for _ in range(number):
                means = test(iterator)
                self._leave_if_wanted()
            logs |= {f"{prefix}{name}": value for name, value in _floats(means).items()}
        return logs

    def _save(self) -> None:
        self.checkpoints.save()
        self.last_save = time.monotonic()

    def _is_old(self) -> bool:
        return time.monotonic() - self.last_save >= 60 * self.config.checkpoint_minutes

    def _leave_if_wanted(self) -> None:
        """For moments at which the step is saved."""
        if self.interruption.wanted(self.step, self.agreement.told):
            self._leave()

    def _leave(self) -> None:
        total = self.config.epochs * self.model.epoch_length
        raise self.interruption.interrupted(f"at step {self.step:,} of {total:,}, which is saved")

    def _refuse_diverged(self, logs: Logs) -> None:
        broken = [name for name, value in logs.items() if not math.isfinite(value)]
        if broken:
            # A call of several steps ended at the one that broke it.
            step = int(self.model.step.numpy())
            raise DivergedError(
                f"Training diverged at step {step:,}: {', '.join(broken)} no longer finite. What was saved before is "
                "kept; try a lower --learning_rate in another --run_dir"
            )


def held_on() -> str:
    """The device that `--device_data` keeps the training examples on: the one that takes the steps."""
    return "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"


class _Evaluated(NamedTuple):
    """A split in batches, and how many of them hold it."""

    batches: tf.data.Dataset | tf.distribute.DistributedDataset
    number: int


@contextlib.contextmanager
def _writing():
    """Says in one line why the run folder cannot be written."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        if "OOM when allocating" in str(error):  # the pictures run the model
            raise
        raise RunError(
            f"The run folder cannot be written: {one_line(error)}. Make room or set the permissions right; the same "
            "command goes on"
        ) from error


def _floats(logs: dict[str, tf.Tensor]) -> Logs:
    """All of them in one copy from the device."""
    return dict(zip(logs, tf.stack(list(logs.values())).numpy().tolist(), strict=True))
