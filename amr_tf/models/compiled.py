"""Compilation of a step on one batch, and of a loop that takes any number of them."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf


def compile_step(step: Callable, eager: bool, jit_compile: bool) -> Callable:
    """Compiles `step`, a function of one batch that is run outside the replicas, with XLA if `jit_compile`."""
    step = tf.autograph.experimental.do_not_convert(step)
    if eager:
        return step
    # TensorFlow's arithmetic optimizer orders the factors of a product by node name, and node names contain a
    # per-process trace counter. Retracing the same step, as a resumed run does, could change the last bits.
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    return tf.function(step, reduce_retracing=True, jit_compile=jit_compile)


def compile_train_loop(step: Callable, should_continue: Callable, logs: Callable, eager: bool) -> Callable:
    """Compiles a function of an iterator and a number of steps that takes so many batches and returns `logs()`.

    It stops after a step if `should_continue()` is false. Keras's own loop of several steps fails with more
    than one replica. XLA compiles the step only, because it cannot compile an iterator.

    Args:
        step: batch -> anything, as `compile_step` returns it.
        should_continue: () -> bool tensor.
        logs: () -> the result of a call.
        eager: run everything as Python.
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
        # A graph can only take batches from an iterator of TensorFlow's; Keras's `train_on_batch` has one of Python's.
        if isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            return compiled(iterator, tf.constant(steps))
        for _ in range(steps):
            step(next(iterator))
        return logs()

    return run


def take(run: Callable, iterator: Iterator, most: int, due: int | None) -> Any:
    """Takes up to `most` batches of an iterator that may end earlier; returns the result of the last call of `run`.

    Args:
        run: (iterator, steps) -> anything, as `compile_train_loop` returns it.
        due: number of batches to take in one call, instead of up to `most`; None if it is not known in advance.

    Raises:
        StopIteration, tf.errors.OutOfRangeError: no batch was left.
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
