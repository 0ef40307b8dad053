"""Arrays in memory -> batches for training and for evaluation.

Images stay bytes, or bits, in one tensor; a step gathers its own rows and turns only these into floats. There is no
shuffle buffer: batch s is a pure function of (seed, s), so that a run resumes at any step.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from amr_tf.data import Arrays, pixels
from amr_tf.runtime.errors import DataError


class Shard(NamedTuple):
    """The parts of every batch that a process reads: `here` of `all` equal ones, from number `first` on."""

    first: int = 0
    here: int = 1
    all: int = 1

    def part(self, count: tf.Tensor, batch_size: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the batch of part number `count`, and its positions in the batch, int64 [B / all]."""
        size = batch_size // self.all
        number = self.first + count % self.here
        return count // self.here, number * size + tf.range(size, dtype=tf.int64)


WHOLE = Shard()


def batches_per_pass(arrays: Arrays, batch_size: int) -> int:
    """Number of whole batches in one pass over the examples.

    Raises:
        DataError: a batch needs more examples than there are.
    """
    if len(arrays) < batch_size:
        raise DataError(
            f"A batch needs {batch_size} examples, {arrays.spec.name} has {len(arrays)} to train on: lower "
            "--batch_size or raise --train_examples"
        )
    return len(arrays) // batch_size


def batches(
    arrays: Arrays,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    with_attributes: bool = False,
    shard: Shard = WHOLE,
) -> tf.data.Dataset:
    """Endless training batches, in a new order on every pass over the examples.

    A pass has n // batch_size batches and no example twice; the examples left over differ from pass to pass.

    Args:
        arrays: n examples.
        batch_size: examples per batch, B.
        seed: seed of the order, in [0, 2^31).
        start_step: number of the first batch.
        with_attributes: y is a dict of label int64 [B], attributes float32 [B, A], 0 or 1, and weight float32 [B]. The
            weight is 0 for examples without labels and equal for the others; its mean over all examples is 1.
        shard: the parts of each batch to read, one after the other; `shard.all` divides B.

    Returns:
        Dataset of (x float32 [B, H, W, C] in [-1, 1], y int64 [B]), with B / `shard.all` for B.

    Raises:
        DataError: a batch needs more examples than there are.
    """
    read, rows = make_reader(arrays, with_attributes), _row_numbers(arrays, batch_size, seed, shard)
    counts = tf.data.Dataset.counter(start_step * shard.here)
    return _mapped(counts, lambda count: read(rows(count)))


def row_batches(arrays: Arrays, batch_size: int, seed: int, start_step: int = 0) -> tf.data.Dataset:
    """Returns the row numbers int64 [B] of the examples in `batches`, for a function of `make_reader`."""
    return _mapped(tf.data.Dataset.counter(start_step), _row_numbers(arrays, batch_size, seed, WHOLE))


def _row_numbers(
    arrays: Arrays, batch_size: int, seed: int, shard: Shard
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from the count of a part to its rows int64 [B / all]."""
    n, per_pass = len(arrays), batches_per_pass(arrays, batch_size)

    def of(count: tf.Tensor) -> tf.Tensor:
        step, part = shard.part(count, batch_size)
        positions = step % per_pass * batch_size + part
        return _shuffled(positions, n, tf.stack([tf.constant(seed, tf.int64), step // per_pass]))

    return of


def eval_batches(arrays: Arrays, batch_size: int, shard: Shard = WHOLE) -> tf.data.Dataset:
    """Batches of every example once, in order; the last batch is padded with examples of weight 0.

    The padding gives all batches one shape, so that one compiled function serves them all, and gives every replica some
    examples: of an empty part, oneDNN's convolution returns a wrong shape. The arguments are those of `batches`.

    Returns:
        Dataset of (x float32 [B, H, W, C] in [-1, 1], y int64 [B], weight float32 [B], 1 or 0), with B / `shard.all`
        for B and a known number of batches.
    """
    read = make_reader(arrays)

    def batch(count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        number, part = shard.part(count, batch_size)
        rows = number * batch_size + part
        weights = tf.cast(rows < len(arrays), tf.float32)
        return *read(tf.minimum(rows, len(arrays) - 1)), weights

    parts = tf.data.Dataset.range(math.ceil(len(arrays) / batch_size) * shard.here)
    return _mapped(parts, batch)


def sharded(
    strategy: tf.distribute.Strategy, dataset_of: Callable[[Shard], tf.data.Dataset]
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Gives every replica its part of each batch; a worker reads the parts of its replicas."""

    def of_this_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        here = context.num_replicas_in_sync // context.num_input_pipelines
        return dataset_of(Shard(context.input_pipeline_id * here, here, context.num_replicas_in_sync))

    return strategy.distribute_datasets_from_function(of_this_worker)


def _shuffled(positions: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
    """Maps positions int64 [B] by the random permutation of 0 .. n - 1 for a seed int64 [2].

    The defaults of `tf.random.experimental.index_shuffle` (TensorFlow 2.21) are unsuitable: after 4 rounds, orders of
    50,000 examples correlate by up to 0.76 between passes, and of a small seed 8 bits count: pass 256 repeats pass 0.
    """
    mixed = tf.random.stateless_uniform([3], seed, minval=None, maxval=None, dtype=tf.int64)
    last = tf.constant(n - 1, tf.int64)
    return tf.raw_ops.RandomIndexShuffle(index=positions, seed=mixed, max_index=last, rounds=16)


def make_reader(
    arrays: Arrays, with_attributes: bool = False, device: str = "CPU:0"
) -> Callable[[tf.Tensor], tuple[tf.Tensor, Any]]:
    """Returns a function from rows int64 [B] to x float32 [B, H, W, C] in [-1, 1] and y as in `batches`.

    The arrays are captured as eager tensors, which do not count towards the 2 GB limit of a graph. tf.data reads from
    the CPU only; a training step reads from its own device.
    """
    packed = arrays.images if isinstance(arrays.images, pixels.PackedImages) else None
    with tf.device(device):
        images = tf.constant(arrays.images if packed is None else packed.bits)
        labels = tf.constant(arrays.labels)
        if with_attributes:
            labelled = np.ones(len(arrays), bool) if arrays.labelled is None else arrays.labelled
            attributes = tf.constant(arrays.targets())
            weights = tf.constant((labelled / labelled.mean()).astype(np.float32))

    def read(rows: tf.Tensor) -> tuple[tf.Tensor, Any]:
        chosen = tf.gather(images, rows)
        x = pixels.to_float(chosen) if packed is None else _unpacked(chosen, packed.image_shape)
        label = tf.gather(labels, rows)
        if not with_attributes:
            return x, label
        known = tf.cast(tf.gather(attributes, rows), tf.float32)
        return x, {"label": label, "attributes": known, "weight": tf.gather(weights, rows)}

    return read


def _unpacked(bits: tf.Tensor, image_shape: tuple[int, int, int]) -> tf.Tensor:
    """Looks up the pixels of each byte: uint8 [B, n], eight pixels a byte -> float32 [B, H, W, C], -1 or 1."""
    of_byte = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) * np.float32(2) - 1
    return tf.reshape(tf.gather(of_byte, tf.cast(bits, tf.int32)), (-1, *image_shape))


def _mapped(counts: tf.data.Dataset, batch_of: Callable[[tf.Tensor], Any]) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # Graph rewrites would copy all examples, 377 MB of dSprites, and have nothing to fuse here.
    options.experimental_optimization.apply_default_optimizations = False
    return counts.map(batch_of, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE).with_options(options)
