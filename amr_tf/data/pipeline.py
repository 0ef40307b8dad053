"""Arrays in memory -> batches for training and for evaluation.

The images stay bytes, or bits, in one tensor, on the CPU unless asked for elsewhere; a step gathers its own rows and
only then turns them into floats. Nothing is shuffled in a buffer, so batch s is a pure function of (seed, s) and a run
resumes anywhere.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from amr_tf.data import Arrays
from amr_tf.data.pixels import PackedImages
from amr_tf.runtime.errors import DataError


class Share(NamedTuple):
    """Which parts of every batch a process reads: `here` of `all` equal ones, from number `first` on."""

    first: int = 0
    here: int = 1
    all: int = 1

    def part(self, count: tf.Tensor, batch_size: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Of the part that is read as number `count`: the number of its batch, and positions there int64 [B / all]."""
        size = batch_size // self.all
        number = self.first + count % self.here
        return count // self.here, number * size + tf.range(size, dtype=tf.int64)


WHOLE = Share()


def batches_per_pass(arrays: Arrays, batch_size: int) -> int:
    """How many whole batches one pass over the examples gives.

    Raises:
        DataError: fewer examples than a batch holds.
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
    supervised: bool = False,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Endless training batches, in a new order on every pass over the examples.

    A pass holds n // batch_size batches and no example twice; the examples it leaves over differ each time.

    Args:
        arrays: n examples.
        batch_size: examples per batch, B.
        seed: seed of the order, in [0, 2^31).
        start_step: number of the first batch: with s, the first s batches are left out.
        supervised: y is a dict of label int64 [B], attributes float32 [B, A], 0 or 1, and weight float32 [B]: 0 for
            examples that are not labelled, and such that its mean over all n examples is 1.
        share: the parts of each batch that are wanted, one after the other; `share.all` divides B.

    Returns:
        Dataset of (x float32 [B, H, W, C] in [-1, 1], y int64 [B]), with B / `share.all` for B.

    Raises:
        DataError: fewer examples than a batch holds.
    """
    examples, rows = reader(arrays, supervised), _row_numbers(arrays, batch_size, seed, share)
    return _counted(lambda count: examples(rows(count)), start_step, share)


def rows(arrays: Arrays, batch_size: int, seed: int, start_step: int = 0) -> tf.data.Dataset:
    """The rows int64 [B] of the examples that `batches` gives, for a `reader` to turn into them where they are needed.

    Args, Raises: as `batches`.
    """
    return _counted(_row_numbers(arrays, batch_size, seed, WHOLE), start_step, WHOLE)


def _row_numbers(
    arrays: Arrays, batch_size: int, seed: int, share: Share
) -> Callable[[tf.Tensor], tf.Tensor]:
    """What gives the rows int64 [B / all] of the part that is read as number `count`."""
    n, per_pass = len(arrays), batches_per_pass(arrays, batch_size)

    def of(count: tf.Tensor) -> tf.Tensor:
        step, part = share.part(count, batch_size)
        positions = step % per_pass * batch_size + part
        return _shuffled(positions, n, tf.stack([tf.constant(seed, tf.int64), step // per_pass]))

    return of


def _counted(of: Callable[[tf.Tensor], Any], start_step: int, share: Share) -> tf.data.Dataset:
    counts = tf.data.Dataset.counter(start_step * share.here)
    return _finish(counts.map(of, num_parallel_calls=tf.data.AUTOTUNE))


def ordered(arrays: Arrays, batch_size: int, share: Share = WHOLE) -> tf.data.Dataset:
    """Every example once, in order. The last batch is filled up with examples of weight 0.

    So all batches have one shape, for one compiled function, and no replica gets an empty share, on which oneDNN's
    convolution returns a wrong shape.

    Args:
        arrays: n examples.
        batch_size: examples per batch, B.
        share: as in `batches`.

    Returns:
        Dataset of (x float32 [B, H, W, C] in [-1, 1], y int64 [B], weight float32 [B], 1 or 0), with B / `share.all`
        for B and a known number of batches.
    """
    examples = reader(arrays)

    def batch(count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        number, part = share.part(count, batch_size)
        rows = number * batch_size + part
        weights = tf.cast(rows < len(arrays), tf.float32)
        return *examples(tf.minimum(rows, len(arrays) - 1)), weights

    parts = tf.data.Dataset.range(math.ceil(len(arrays) / batch_size) * share.here)
    return _finish(parts.map(batch, num_parallel_calls=tf.data.AUTOTUNE))


def shared(
    strategy: tf.distribute.Strategy, dataset_of: Callable[[Share], tf.data.Dataset]
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """A dataset of which every replica gets its own share of each batch; a worker reads the shares of its replicas.

    Args:
        strategy: of these replicas.
        dataset_of: makes the dataset of a share.
    """

    def of_this_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        here = context.num_replicas_in_sync // context.num_input_pipelines
        return dataset_of(Share(context.input_pipeline_id * here, here, context.num_replicas_in_sync))

    return strategy.distribute_datasets_from_function(of_this_worker)


def _shuffled(positions: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
    """Where a random permutation of 0 .. n - 1, fixed by the seed int64 [2], sends these positions int64 [B].

    This is `tf.random.experimental.index_shuffle` done with care. Its 4 rounds give orders of 50,000 examples that
    correlate by up to 0.76 between passes, and of a seed that is a small number it uses 8 bits: pass 256 would repeat
    pass 0.
    """
    mixed = tf.random.stateless_uniform([3], seed, minval=None, maxval=None, dtype=tf.int64)
    last = tf.constant(n - 1, tf.int64)
    return tf.raw_ops.RandomIndexShuffle(index=positions, seed=mixed, max_index=last, rounds=16)


def reader(
    arrays: Arrays, supervised: bool = False, device: str = "CPU:0"
) -> Callable[[tf.Tensor], tuple[tf.Tensor, Any]]:
    """What gives the examples of rows int64 [B], x float32 [B, H, W, C] in [-1, 1] and y as `batches` has it.

    It holds them as eager tensors, which a function of TensorFlow takes by reference: they are in no graph, whose limit
    is 2 GB. tf.data reads from the CPU only; a training step reads from its own device.
    """
    packed = arrays.images if isinstance(arrays.images, PackedImages) else None
    with tf.device(device):
        images = tf.constant(arrays.images if packed is None else packed.bits)
        labels = tf.constant(arrays.labels)
        if supervised:
            attributes, weights = tf.constant(arrays.targets()), tf.constant(_label_weights(arrays))

    def read(rows: tf.Tensor) -> tuple[tf.Tensor, Any]:
        chosen = tf.gather(images, rows)
        x = _as_float(chosen) if packed is None else _unpacked(chosen, packed.image_shape)
        label = tf.gather(labels, rows)
        if not supervised:
            return x, label
        known = tf.cast(tf.gather(attributes, rows), tf.float32)
        return x, {"label": label, "attributes": known, "weight": tf.gather(weights, rows)}

    return read


def _label_weights(arrays: Arrays) -> np.ndarray:
    """float32 [N]: 0 for examples that are not labelled, n / labelled for the others, so that a mean stays a mean."""
    if arrays.labelled is None:
        return np.ones(len(arrays), np.float32)
    return (arrays.labelled / arrays.labelled.mean()).astype(np.float32)


def _as_float(images: tf.Tensor) -> tf.Tensor:
    """Bytes -> float32 in [-1, 1]; points are floats already."""
    return images if images.dtype.is_floating else tf.cast(images, tf.float32) / 127.5 - 1.0


def _unpacked(bits: tf.Tensor, image_shape: tuple[int, int, int]) -> tf.Tensor:
    """uint8 [B, n], eight pixels a byte -> float32 [B, H, W, C], -1 or 1: each byte looks its pixels up."""
    of_byte = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) * np.float32(2) - 1
    return tf.reshape(tf.gather(of_byte, tf.cast(bits, tf.int32)), (-1, *image_shape))


def _finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # Rewriting the graph would copy all examples, 377 MB of dSprites, and there is nothing here to fuse or to add.
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)
