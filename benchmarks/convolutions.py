"""The convolutions of a traced training step: how many there are, their FLOPs, and the time that they take alone."""

import collections
import math
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from amr_tf.runtime import startup

# Seconds that a measurement of one convolution is to last at least, by running it several times.
LONG_ENOUGH = 0.05
MATRIX = 2048


class Convolution(NamedTuple):
    """One kind of convolution, whichever of its three tensors is the output.

    Attributes:
        kind: Conv2D (makes y), Conv2DBackpropInput (makes the gradient of x) or Conv2DBackpropFilter (of the kernel).
        x: shape [B, H, W, in].
        kernel: shape [height, width, in, out].
        y: shape [B, H', W', out].
        strides, padding, dilations: as TensorFlow's operations take them.
    """

    kind: str
    x: tuple[int, ...]
    kernel: tuple[int, ...]
    y: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    dilations: tuple[int, ...]

    @classmethod
    def of(cls, op: tf.Operation) -> "Convolution":
        x, kernel, y = (tensor.shape for tensor in TENSORS[op.type](op))
        return cls(
            op.type, tuple(x), tuple(kernel), tuple(y), tuple(op.get_attr("strides")),
            op.get_attr("padding").decode(), tuple(op.get_attr("dilations")),
        )  # fmt: skip

    @property
    def flops(self) -> int:
        """A product and a sum for each element of y and of the kernel that it sees, zeros of the border included."""
        return 2 * math.prod(self.y) * math.prod(self.kernel[:3])

    def run(self, x: tf.Tensor, kernel: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        how = {"strides": self.strides, "padding": self.padding, "dilations": self.dilations}
        if self.kind == "Conv2D":
            return tf.raw_ops.Conv2D(input=x, filter=kernel, **how)
        if self.kind == "Conv2DBackpropInput":
            return tf.raw_ops.Conv2DBackpropInput(input_sizes=self.x, filter=kernel, out_backprop=y, **how)
        return tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=self.kernel, out_backprop=y, **how)


# Positions of x, the kernel and y in an operation.
TENSORS = {
    "Conv2D": lambda op: (op.inputs[0], op.inputs[1], op.outputs[0]),
    "Conv2DBackpropInput": lambda op: (op.outputs[0], op.inputs[1], op.inputs[2]),
    "Conv2DBackpropFilter": lambda op: (op.inputs[0], op.outputs[0], op.inputs[2]),
}


def traced_step(model, x: tf.Tensor, y: tf.Tensor) -> tf.Graph:
    """The graph of the model's training step on batches of these shapes, before TensorFlow optimises it."""
    step = tf.function(tf.autograph.experimental.do_not_convert(model.replicated_train_step))
    specs = tuple(tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in (x, y))
    return step.get_concrete_function(specs).graph


def per_step(graph: tf.Graph, generator_share: float) -> collections.Counter:
    """Counts how often an average step computes each convolution.

    What no output needs, such as the gradient of the images, is left out, as TensorFlow leaves it out.

    Args:
        graph: of a training step. Its one condition is whether the generator is due.
        generator_share: of the steps that update the generator, in [0, 1].
    """
    found: collections.Counter = collections.Counter()
    for op in _needed(graph):
        if op.type in TENSORS:
            found[Convolution.of(op)] += 1
        for name, share in _called(op, generator_share):
            # TensorFlow has no public way from a call to the graph of what is called.
            inner = per_step(graph._get_function(name).graph, generator_share)
            found.update({convolution: share * times for convolution, times in inner.items() if share})
    return found


def _needed(graph: tf.Graph) -> set[tf.Operation]:
    """The operations that an output or a side effect depends on."""
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    needed = set()
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    return needed


def _called(op: tf.Operation, generator_share: float) -> Iterator[tuple[str, float]]:
    """The functions that an operation calls, each with its share of the steps."""
    if op.type in ("If", "StatelessIf"):
        yield op.get_attr("then_branch").name, generator_share
        yield op.get_attr("else_branch").name, 1 - generator_share
    elif op.type in ("PartitionedCall", "StatefulPartitionedCall"):
        yield op.get_attr("f").name, 1.0


def flops(counts: collections.Counter) -> float:
    """FLOPs of the convolutions of an average step."""
    return sum(times * convolution.flops for convolution, times in counts.items())


def side_by_side() -> int:
    """Counts the concurrent operations that keep all cores busy; one has the threads that `startup` gives it."""
    return max(1, startup.cores() // int(os.environ[startup.THREADS]))


class Alone:
    """Convolutions with nothing around them, each compiled, on random numbers of the same shapes.

    As many copies of one run side by side as keep the machine busy; a time is that of one copy's share.
    """

    def __init__(self, counts: collections.Counter):
        self.counts = counts
        self.timed = {convolution: Repeated(convolution) for convolution in counts}

    def seconds(self) -> float:
        """Time that an average step would take if it were these convolutions, one after the other."""
        return sum(times * self.timed[convolution].seconds() for convolution, times in self.counts.items())


class Repeated:
    """One convolution that is run as often as it takes to measure it."""

    def __init__(self, convolution: Convolution):
        rng = np.random.default_rng(0)
        shapes = convolution.x, convolution.kernel, convolution.y
        self.copies = side_by_side()
        # Each has separate numbers, or TensorFlow would run one for all.
        copies = [
            [tf.constant(rng.normal(size=shape), tf.float32) for shape in shapes] for _ in range(self.copies)
        ]

        def run(times):
            seen = tf.constant(0.0)
            for _ in tf.range(times):
                # Waits for the ones before; a number of each result is used, or TensorFlow would leave it out.
                with tf.control_dependencies([seen]):
                    seen = tf.add_n([tf.reshape(convolution.run(*tensors), [-1])[0] for tensors in copies])
            return seen

        # Traced at once: TensorFlow warns of functions made in a loop that are traced when first called.
        self.run = tf.function(run).get_concrete_function(tf.TensorSpec((), tf.int32))
        self.times = 1
        self.seconds()
        self.times = min(1000, math.ceil(LONG_ENOUGH / (self.copies * self.seconds())))

    def seconds(self) -> float:
        begin = time.perf_counter()
        self.run(tf.constant(self.times)).numpy()
        return (time.perf_counter() - begin) / (self.times * self.copies)


class MatrixProduct:
    """Measures the rate of the machine: products of two large float32 matrices, concurrent as above."""

    flops = 2 * MATRIX**3

    def __init__(self):
        rng = np.random.default_rng(0)
        copies = [tf.constant(rng.normal(size=(MATRIX, MATRIX)), tf.float32) for _ in range(side_by_side())]
        self.copies = len(copies)
        self.products = tf.function(lambda: tf.add_n([tf.linalg.matmul(a, a)[0, 0] for a in copies]))
        self.seconds()

    def seconds(self) -> float:
        begin = time.perf_counter()
        self.products().numpy()
        return (time.perf_counter() - begin) / self.copies
