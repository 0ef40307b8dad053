"""Specs of the data sets, and the division of official files into training, validation and test split."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amr_tf import data, registry
from amr_tf.data import catalog
from amr_tf.data.catalog import DatasetSpec, spec_named
from amr_tf.data.sources import Examples
from amr_tf.data.sources.prepared import hold_out
from amr_tf.runtime.errors import DataError


@pytest.mark.parametrize("name", registry.DATASETS)
def test_spec_is_complete_and_its_functions_exist(name):
    spec = spec_named(name)
    assert (spec.name, spec.complete) == (name, True)
    assert all(callable(catalog.resolved(f)) for f in (spec.reader, spec.checker, spec.ground_truth) if f)
    assert spec.generated != bool(spec.builders)
    assert spec.image_shape == (spec.width, spec.width, spec.channels)


def test_import_of_data_package_loads_no_tensorflow():
    """Flags are checked before the seconds that TensorFlow takes to load."""
    code = "import sys, amr_tf.data; sys.exit(bool({'tensorflow', 'tensorflow_datasets', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_load_calls_the_reader_and_checker_of_a_spec(config, monkeypatch):
    images, labels = np.zeros((9, 32, 32, 1), np.uint8), np.arange(9)

    def read(spec, places):
        assert places.limit is None
        return spec, [Examples(images[rows], labels[rows]) for rows in (slice(5), slice(5, 7), slice(7, 9))]

    def check(spec, places):
        raise DataError(f"nothing of {spec.name}")

    monkeypatch.setattr(catalog, "LINES", DatasetSpec("lines", 32, 1, reader=read, checker=check))
    assert [part.labels.tolist() for part in data.load(config("lines"))] == [[0, 1, 2, 3, 4], [5, 6], [7, 8]]
    with pytest.raises(DataError, match="nothing of lines"):
        data.check(config("lines"))


def numbered(n):
    numbers = np.arange(n)
    return Examples(numbers[:, None, None, None], numbers)


@pytest.mark.parametrize(
    ("name", "official", "train"),
    [("mnist", 60_000, 50_000), ("kmnist", 60_000, 50_000), ("fashion_mnist", 60_000, 50_000),
     ("svhn", 73_257, 65_931), ("cifar10", 50_000, 40_000)],
)  # fmt: skip
def test_hold_out_of_official_sizes_is_that_of_the_tables(name, official, train):
    """50k + 10k, 90 % + 10 %, 40k + 10k."""
    kept, _ = hold_out(numbered(official), spec_named(name).validation)
    assert len(kept.labels) == train
    np.testing.assert_array_equal(kept.images[:, 0, 0, 0], kept.labels)


def test_hold_out_shuffles_raw_positions_by_random_state_zero():
    """As the reference implementation of AMR; NumPy's legacy generator fixes the result for ever."""
    kept, held_out = hold_out(numbered(12), 1 / 6)
    together = np.concatenate([kept.labels, held_out.labels])
    np.testing.assert_array_equal(together, np.random.RandomState(0).permutation(12))
    assert held_out.labels.tolist() == [0, 5]


@given(st.integers(2, 500), st.floats(0.0, 0.5))
def test_hold_out_of_any_size_is_a_division_without_empty_part(n, share):
    train, held_out = (part.labels for part in hold_out(numbered(n), share))
    assert len(train) >= 1
    assert len(held_out) >= 1
    assert sorted([*train, *held_out]) == list(range(n))


def test_train_examples_are_drawn_by_seed_and_spare_other_splits(config):
    """The low-data table: another seed is another draw, and all runs are evaluated on the same examples."""
    whole = data.load(config("spiral"))
    few, again, other = (data.load(config("spiral", train_examples=100, seed=seed)) for seed in (1, 1, 2))
    assert len(few.train) == 100
    np.testing.assert_array_equal(few.train.images, again.train.images)
    assert not np.array_equal(few.train.images, other.train.images)
    rows = {row.tobytes() for row in few.train.images}
    assert len(rows) == 100
    assert rows <= {row.tobytes() for row in whole.train.images}
    for part in ("validation", "test"):
        np.testing.assert_array_equal(getattr(few, part).images, getattr(whole, part).images)


def labelled(config, **fields):
    return data.load(config("spiral", mixer="supervised", **fields)).train.labelled


def test_labelled_examples_are_drawn_by_seed(config):
    few, again, other = (labelled(config, labelled_examples=100, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(few, again)
    assert few.sum() == other.sum() == 100
    assert np.any(few != other)


@pytest.mark.parametrize(
    ("fields", "received"),
    [
        ({"train_examples": 10_001}, r"10000 .*--train_examples=10001.*use 0"),
        ({"labelled_examples": 10_001, "mixer": "supervised"}, r"10000 .*--labelled_examples=10001.*use 0"),
        ({"labelled_examples": 201, "train_examples": 200, "mixer": "supervised"}, r" 200 .*examples=201"),
    ],
)
def test_more_examples_than_there_are_is_refused(config, fields, received):
    with pytest.raises(DataError, match=f"^spiral .*{received}"):
        data.load(config("spiral", **fields))


def test_targets_of_labels_alone_are_one_hot(config):
    train = data.load(config("spiral")).train
    assert train.attributes is None
    np.testing.assert_array_equal(train.targets().argmax(axis=1), train.labels)
    assert np.all(train.targets().sum(axis=1) == 1)
