"""Compilation of a step on one batch, and of a loop over several batches."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf


def compile_step(step: Callable, eager: bool, jit_compile: bool) -> Callable:
    """Compiles `step`, a function of one batch that is called in cross-replica context.

    If `eager`, `step` is not compiled. If `jit_compile`, XLA is used.
    """
    step = tf.autograph.experimental.do_not_convert(step)
    if eager:
        return step
    # TensorFlow's arithmetic optimizer orders the factors of a product by node name, and node names contain a
    # per-process trace counter. Retracing the same step, as a resumed run does, could change the last bits.
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    return tf.function(step, reduce_retracing=True, jit_compile=jit_compile)


def compile_train_loop(step: Callable, should_continue: Callable, logs: Callable, eager: bool) -> Callable:
    """Compiles a function (iterator, steps) that runs `step` on that number of batches and returns `logs()`.

    The loop ends early if `should_continue()` is false after a step. Keras's loop over several steps is not used,
    because it fails with more than one replica. XLA compiles only the step, because XLA cannot compile an iterator.

    Args:
        step: function of one batch, as `compile_step` returns it. The result is ignored.
        should_continue: function without arguments that returns a bool tensor.
        logs: function without arguments that computes the result of a call.
        eager: if true, run the loop as Python.
    """

    def several(iterator: Iterator, steps: tf.Tensor) -> dict[str, tf.Tensor]:
        done, going = tf.constant(0), tf.constant(True)
        while going and done < steps:
            step(next(iterator))
            done += 1
            going = should_continue()
        return logs()

    compiled = several if eager else tf.function(several, reduce_retracing=True)

    def run(iterator: Iterator, steps: int = 1) -> dict[str, tf.Tensor]:
        # A graph can read batches only from TensorFlow's iterators. Keras's `train_on_batch` passes a Python iterator.
        if isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            return compiled(iterator, tf.constant(steps))
        for _ in range(steps):
            step(next(iterator))
        return logs()

    return run


def take(run: Callable, iterator: Iterator, most: int, due: int | None) -> Any:
    """Calls `run` on up to `most` batches of an iterator, which may contain fewer. Returns the last result of `run`.

    Args:
        run: function (iterator, steps), as `compile_train_loop` returns it.
        due: number of batches for a single call of `run`, instead of up to `most` calls with one batch each. None if
            the number of remaining batches is not known.

    Raises:
        StopIteration, tf.errors.OutOfRangeError: the iterator contains no more batches.
    """
    if due is not None:
        return run(iterator, due)
    result = run(iterator, 1)
    for _ in range(most - 1):
        try:
            result = run(iterator, 1)
        except (StopIteration, tf.errors.OutOfRangeError):
            break
    return result
