"""What the workers of a run decide together: when to save, when to leave, from which step to go on."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator

import tensorflow as tf

from amr_tf.distributed import cluster
from amr_tf.runtime.errors import LostWorkerError, one_line
from amr_tf.runtime.interruption import Interruption

# What a worker gets that waits for one which is gone.
LOSSES = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class Agreement:
    """The voice of this process among the workers. One that is alone agrees with itself.

    All workers call the same methods in the same order, between steps: each call waits for all of them.

    Args:
        strategy: the run's.
        task: which of the workers this is.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None, task: cluster.Task = cluster.ALONE):
        self.strategy, self.task = strategy, task
        self.is_chief = task.is_chief

    def told(self, value: int) -> list[int]:
        """The values, in [0, 2^63), of all workers by their index."""
        if self.strategy is None or self.task.workers == 1:
            return [int(value)]
        mine = tf.one_hot(self.task.index, self.task.workers, tf.constant(value, tf.int64), dtype=tf.int64)
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, mine, axis=None).numpy().tolist()

    def any(self, value: bool) -> bool:
        """Whether it holds for at least one worker."""
        return any(self.told(value))

    def chiefs(self, value: int) -> int:
        """The chief's value."""
        return self.told(value)[0]

    def wait(self) -> None:
        """Until all workers are here."""
        self.told(0)

    def is_same(self, text: str) -> bool:
        """Whether all workers have the same text; all of them get the same answer."""
        digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])
        return not self.any(self.chiefs(digest) != digest)

    def is_loss(self, error: BaseException) -> bool:
        """Whether this error says that another worker is gone."""
        return self.task.workers > 1 and isinstance(error, LOSSES)

    @contextlib.contextmanager
    def missing(self, saved_step: Callable[[], int], interruption: Interruption) -> Iterator[None]:
        """Reports a lost worker on one line, with the step from which the run resumes.

        Args:
            saved_step: gives the step of the newest checkpoint, 0 where there is none.
            interruption: whether a signal asked this worker to leave.

        Raises:
            LostWorkerError: in place of what TensorFlow raises then.
            Interrupted: by a signal, on which others left before they could agree with this one.
        """
        try:
            yield
        except LOSSES as error:
            if not self.is_loss(error):
                raise
            step = saved_step()
            where = f"step {step:,}" if step else "its beginning"
            if interruption.signal:
                raise interruption.interrupted(f"when other workers had left; saved is {where}") from None
            raise LostWorkerError(
                f"Lost a worker of the run, says {self.task}: start all workers again with the same command, it goes "
                f"on from {where}. Received: {one_line(error)}"
            ) from error
