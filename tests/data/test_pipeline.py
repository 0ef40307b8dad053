"""Batches: a pure function of (seed, step), every example at most once in a pass."""

import itertools
import os
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amr_tf.data import Arrays, pipeline, pixels
from amr_tf.data.catalog import DSPRITES, LINES, SPIRAL, SVHN
from amr_tf.runtime.errors import DataError


def numbered(n):
    """n examples whose labels and pixels encode their numbers."""
    numbers = np.arange(n)
    images = np.zeros((n, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = numbers % 256, numbers // 256
    return Arrays(images, numbers.astype(np.int64), LINES)


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def labels(n, batch_size, count, **keywords):
    dataset = pipeline.batches(numbered(n), batch_size, **({"seed": 0} | keywords))
    return np.stack([y for _, y in take(dataset, count)])


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 2**31 - 1), st.integers(0, 10**6))
def test_batches_pass_has_no_example_twice(n, batch_size, seed, passed):
    """For any size, seed and pass: n // B batches, all distinct, all within the data."""
    batch_size = min(n, batch_size)
    per_pass = n // batch_size
    drawn = labels(n, batch_size, per_pass, seed=seed, start_step=passed * per_pass).ravel()
    assert len(set(drawn)) == per_pass * batch_size
    assert set(drawn) <= set(range(n))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 40))
def test_batches_from_step_s_equal_skipping_s_batches(start):
    """In the middle of a pass too."""
    whole = labels(50, 8, 50)
    np.testing.assert_array_equal(labels(50, 8, 10, start_step=start), whole[start : start + 10])


def test_batches_order_depends_on_seed_and_pass():
    first, second = labels(64, 64, 2)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, labels(64, 64, 1, seed=1)[0])
    np.testing.assert_array_equal(first, labels(64, 64, 1)[0])


def test_batches_orders_of_passes_are_uncorrelated():
    """By default index_shuffle repeats its orders every 256 passes, and at this size correlates passes by 0.7."""
    n = 50_000
    passes = [labels(n, n, 1, start_step=number)[0] for number in (0, 1, 2, 256)]
    assert np.abs(np.corrcoef(passes) - np.eye(4)).max() < 0.03
    # The mean of a batch scatters as that of a random draw, not less.
    means = passes[0][: n // 50 * 50].reshape(-1, 50).mean(axis=1)
    assert 0.9 < means.std() / (n / np.sqrt(12 * 50)) < 1.1


def test_batches_leftovers_change_between_passes():
    passes = [labels(10, 4, 2, start_step=2 * number) for number in range(30)]
    assert set().union(*(set(range(10)) - set(drawn.ravel()) for drawn in passes)) == set(range(10))


def test_batches_pair_float_images_with_their_labels():
    """x = uint8 / 127.5 - 1 of the example y."""
    arrays = numbered(700)
    dataset = pipeline.batches(arrays, 64, seed=3)
    assert [tuple(spec.shape) for spec in dataset.element_spec] == [(64, 2, 2, 1), (64,)]
    x, y = take(dataset, 1)[0]
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(x, pixels.to_float(arrays.images[y]), atol=1e-7)


def test_eval_batches_give_all_in_order_padded_with_weight_0():
    arrays = numbered(10)
    dataset = pipeline.eval_batches(arrays, 4)
    assert dataset.cardinality() == 3
    x, y, weights = (np.concatenate(part) for part in zip(*take(dataset, 5), strict=True))
    assert len(x) == len(y) == len(weights) == 12
    np.testing.assert_array_equal(weights, [1] * 10 + [0] * 2)
    np.testing.assert_array_equal(y[weights == 1], np.arange(10))
    np.testing.assert_allclose(x[weights == 1], pixels.to_float(arrays.images), atol=1e-7)


def test_shards_together_are_the_batches():
    """Three replicas, two of them in one process."""
    arrays = numbered(50)
    makers = (
        lambda shard: pipeline.batches(arrays, 6, 3, 5, shard=shard),
        lambda shard: pipeline.eval_batches(arrays, 6, shard),
    )
    for make in makers:
        whole = take(make(pipeline.WHOLE), 9)
        two = take(make(pipeline.Shard(first=0, here=2, all=3)), 18)
        one = take(make(pipeline.Shard(first=2, here=1, all=3)), 9)
        for number, batch in enumerate(whole):
            parts = (*two[2 * number : 2 * number + 2], one[number])
            for expected, *found in zip(batch, *parts, strict=True):
                np.testing.assert_array_equal(np.concatenate(found), expected)


def test_batches_of_points_are_unchanged():
    points = np.random.default_rng(0).uniform(-1, 1, (20, 1, 1, 2)).astype(np.float32)
    arrays = Arrays(points, np.arange(20), SPIRAL)
    np.testing.assert_array_equal(take(pipeline.eval_batches(arrays, 20), 1)[0][0], points)
    x, y = take(pipeline.batches(arrays, 5, seed=0), 1)[0]
    np.testing.assert_array_equal(x, points[y])


def test_batches_of_bits_are_those_of_bytes():
    """In training and evaluation, the padded last batch included: same order, values and types."""
    images = np.random.default_rng(0).integers(2, size=(21, 8, 8, 2), dtype=np.uint8)
    bits = pixels.PackedImages(np.packbits(images.reshape(21, -1), axis=1), images.shape[1:])
    packed, plain = (Arrays(part, np.arange(21), DSPRITES) for part in (bits, 255 * images))
    for make in (lambda *given: pipeline.batches(*given, seed=3), pipeline.eval_batches):
        one_by_one = [make(arrays, 8) for arrays in (packed, plain)]
        assert one_by_one[0].element_spec == one_by_one[1].element_spec
        for one, other in zip(*(take(dataset, 3) for dataset in one_by_one), strict=True):
            for column, same in zip(one, other, strict=True):
                np.testing.assert_array_equal(column, same)


def resident_bytes():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads memory from Linux's /proc")
def test_batches_copy_no_packed_images():
    """Graph rewrites of tf.data copy captured tensors: another 377 MB of dSprites."""
    images = pixels.PackedImages(np.ones((200_000, 512), np.uint8), (64, 64, 1))
    arrays = Arrays(images, np.zeros(200_000, np.int64), DSPRITES)
    before = resident_bytes()
    batches = iter(pipeline.batches(arrays, 8, seed=0))
    next(batches)
    assert resident_bytes() - before < 1.5 * arrays.images.bits.nbytes


def test_batches_capture_images_outside_the_graph():
    """A graph is limited to 2 GB."""
    arrays = Arrays(np.zeros((100, 32, 32, 3), np.uint8), np.zeros(100, np.int64), SVHN)
    for dataset in (pipeline.batches(arrays, 10, seed=0), pipeline.eval_batches(arrays, 10)):
        mapped = dataset._input_dataset._input_dataset
        assert mapped._map_func.function.graph.as_graph_def().ByteSize() < 50_000


def test_batches_larger_than_the_data_are_refused():
    with pytest.raises(DataError, match=r"batch needs 9 examples, lines has 8.*--batch_size"):
        pipeline.batches(numbered(8), 9, seed=0)
