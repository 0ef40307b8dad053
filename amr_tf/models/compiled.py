"""From a step on one batch to a function of an iterator: compiled, with several steps a call where asked for."""

from collections.abc import Callable, Iterator

import tensorflow as tf

Logs = dict[str, tf.Tensor]


def over_batches(step: Callable, steps: int = 1, eager: bool = False, jit_compile: bool = False) -> Callable:
    """A function that takes `steps` batches from an iterator, runs `step` on each and returns the last one's logs.

    Keras's own loop of several steps fails with more than one replica, and this one does not; with XLA it is the step
    that is compiled, since an iterator cannot be.

    Args:
        step: batch -> logs, run outside the replicas.
        steps: batches a call takes.
        eager: run `step` as Python.
        jit_compile: compile `step` with XLA.
    """
    step = tf.autograph.experimental.do_not_convert(step)
    if not eager:
        step = tf.function(step, reduce_retracing=True, jit_compile=jit_compile)

    def one(iterator: Iterator) -> Logs:
        return step(next(iterator))

    def several(iterator: Iterator) -> Logs:
        logs = step(next(iterator))
        for _ in tf.range(steps - 1):
            logs = step(next(iterator))
        return logs

    if steps == 1:
        return one
    return several if eager else tf.function(several, reduce_retracing=True)
