"""Compilation of a step on one batch into a function of an iterator that takes any number of steps."""

from collections.abc import Callable, Iterator

import tensorflow as tf

Logs = dict[str, tf.Tensor]


def compile_test_step(step: Callable, eager: bool = False, jit_compile: bool = False) -> Callable:
    """Compiles `step` into a function that takes a batch from an iterator and returns `step` of it.

    Args:
        step: batch -> anything, run outside the replicas.
        eager: run `step` as Python.
        jit_compile: compile `step` with XLA.
    """
    step = _compiled(step, eager, jit_compile)
    return lambda iterator: step(next(iterator))


def compile_train_loop(
    step: Callable, should_continue: Callable, logs: Callable, eager: bool = False, jit_compile: bool = False
) -> Callable:
    """Compiles a function of an iterator and a number of steps, which takes that many batches and returns `logs()`.

    It stops early after a step that leaves `should_continue()` false. Keras's own loop of several steps fails with more
    than one replica. XLA compiles the step only, because it cannot compile an iterator.

    Args:
        step: batch -> anything, run outside the replicas.
        should_continue: () -> bool tensor.
        logs: () -> what a call returns.
        eager: run everything as Python.
        jit_compile: compile `step` with XLA.
    """
    step = _compiled(step, eager, jit_compile)

    def several(iterator: Iterator, steps: tf.Tensor) -> Logs:
        done, going = tf.constant(0), tf.constant(True)
        while going and done < steps:
            step(next(iterator))
            done += 1
            going = should_continue()
        return logs()

    compiled = several if eager else tf.function(several, reduce_retracing=True)

    def run(iterator: Iterator, steps: int = 1) -> Logs:
        # A graph can only take batches from an iterator of TensorFlow's; Keras's `train_on_batch` has one of Python's.
        if isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            return compiled(iterator, tf.constant(steps))
        for _ in range(steps):
            step(next(iterator))
        return logs()

    return run


def _compiled(step: Callable, eager: bool, jit_compile: bool) -> Callable:
    step = tf.autograph.experimental.do_not_convert(step)
    if eager:
        return step
    # TensorFlow's arithmetic optimizer orders the factors of a product by node name, and node names contain a
    # per-process trace counter. Retracing the same step, as a resumed run does, could change the last bits.
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    return tf.function(step, reduce_retracing=True, jit_compile=jit_compile)
