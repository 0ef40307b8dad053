"""Collective operations between the workers of a run, and handling of lost workers."""

import contextlib
import hashlib
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import TypeVar

import tensorflow as tf

from amr_tf.distributed import cluster
from amr_tf.runtime import files
from amr_tf.runtime.errors import LostWorkerError, one_line
from amr_tf.runtime.interruption import Interruption

T = TypeVar("T")
# Errors that a collective operation raises when another worker has left.
LOSSES = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class Coordinator:
    """Collective operations between the workers of a run. With one worker every operation is local.

    All workers must call the same methods in the same order, between training steps, because each collective operation
    waits for all workers. The chief is the first worker. Only the chief writes to the run folder.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None, task: cluster.Task = cluster.ALONE):
        self.strategy, self.task = strategy, task

    def all_gather(self, value: int) -> list[int]:
        """Returns the values of all workers, ordered by worker index. Values must be in [0, 2^63)."""
        if self.strategy is None or self.task.workers == 1:
            return [int(value)]
        mine = tf.one_hot(self.task.index, self.task.workers, tf.constant(value, tf.int64), dtype=tf.int64)
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, mine, axis=None).numpy().tolist()

    def broadcast(self, value: int) -> int:
        """Returns the chief's value."""
        return self.all_gather(value)[0]

    def barrier(self) -> None:
        """Waits for all workers."""
        self.all_gather(0)

    def all_equal(self, text: str) -> bool:
        """Returns true on all workers if they all pass the same text."""
        return len(set(self.all_gather(int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])))) == 1

    def on_chief(self, function: Callable[[], T]) -> T | None:
        """Calls a function on the chief only. Other workers do not wait for the chief, and get the result None."""
        return function() if self.task.is_chief else None

    def chief_first(self, function: Callable[[], T]) -> T:
        """Calls a function on the chief, then on the other workers, which can use files that the chief has prepared."""
        result = self.on_chief(function)
        self.barrier()
        return result if self.task.is_chief else function()  # type: ignore[return-value]

    @contextlib.contextmanager
    def new_folder(self, path: pathlib.Path) -> Iterator[pathlib.Path]:
        """Creates a temporary folder for the files that the caller writes.

        On exit, the folder of the chief is renamed to `path`, and the folders of the other workers are deleted.
        """
        if self.task.is_chief:
            with files.atomic_folder(path) as folder:
                yield folder
        else:
            with tempfile.TemporaryDirectory(prefix="amr_tf_") as name:
                yield pathlib.Path(name)

    def is_loss(self, error: BaseException) -> bool:
        """Returns true if the error means that another worker is lost."""
        return self.task.workers > 1 and isinstance(error, LOSSES)

    @contextlib.contextmanager
    def handle_lost_workers(
        self, saved_step: Callable[[], int], interruption: Interruption
    ) -> Iterator[None]:
        """Replaces TensorFlow's errors about a lost worker by an error of one line.

        The error names the step from which the run resumes.

        Args:
            saved_step: function that returns the step of the newest checkpoint, or 0 if there is no checkpoint.
            interruption: the handler of signals to this worker.

        Raises:
            LostWorkerError: another worker was lost.
            Interrupted: another worker was lost after this worker had received a signal to stop.
        """
        try:
            yield
        except LOSSES as error:
            if not self.is_loss(error):
                raise
            step = saved_step()
            if interruption.signal:
                saved = f"with step {step:,} saved" if step else "with nothing saved"
                raise interruption.interrupted(f"after other workers had left, {saved}") from None
            where = f"step {step:,}" if step else "its beginning"
            raise LostWorkerError(
                f"Lost a worker of the run. Received by {self.task}: {one_line(error)}. Start all workers again with "
                f"the same command: the run resumes from {where}."
            ) from error
