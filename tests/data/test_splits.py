"""How the official files become training, validation and test split."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amr_tf import config as config_module
from amr_tf import data
from amr_tf.data.catalog import DATASETS
from amr_tf.runtime.errors import DataError


def test_the_catalog_agrees_with_the_flag():
    """--dataset offers what the catalog holds, and the widths that the networks are checked against are true."""
    assert {name: spec.width for name, spec in DATASETS.items()} == config_module.DATASET_WIDTHS
    assert all(name == spec.name for name, spec in DATASETS.items())
    assert DATASETS["svhn"].image_shape == (32, 32, 3)
    assert DATASETS["spiral"].image_shape == (1, 1, 2)


def test_importing_the_data_package_loads_no_tensorflow():
    """Flags are checked before the seconds that TensorFlow takes to load."""
    code = "import sys, amr_tf.data; sys.exit('tensorflow' in sys.modules or 'tensorflow_datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def numbered(n):
    numbers = np.arange(n)
    return numbers[:, None, None, None], numbers


@pytest.mark.parametrize(
    ("name", "official", "train"),
    [("mnist", 60_000, 50_000), ("kmnist", 60_000, 50_000), ("fashion_mnist", 60_000, 50_000),
     ("svhn", 73_257, 65_931), ("cifar10", 50_000, 40_000)],
)  # fmt: skip
def test_validation_sizes_are_those_of_the_tables(name, official, train):
    """50k + 10k, 90 % + 10 %, 40k + 10k; together they are the official split, and they do not overlap."""
    (images, labels), (_, held_out) = data.hold_out(numbered(official), DATASETS[name].validation)
    assert len(labels) == train
    np.testing.assert_array_equal(images[:, 0, 0, 0], labels)
    np.testing.assert_array_equal(np.sort(np.concatenate([labels, held_out])), np.arange(official))


def test_the_hold_out_is_random_state_zero_over_raw_positions():
    """The shuffle of the public AMR code, whose result is fixed for ever by NumPy's legacy generator."""
    (_, train), (_, held_out) = data.hold_out(numbered(12), 1 / 6)
    np.testing.assert_array_equal(np.concatenate([train, held_out]), np.random.RandomState(0).permutation(12))
    assert held_out.tolist() == [0, 5]


@given(st.integers(2, 500), st.floats(0.0, 0.5))
def test_any_size_leaves_something_in_both_parts(n, share):
    """A tiny set, as in tests, still has a validation split."""
    (_, train), (_, held_out) = data.hold_out(numbered(n), share)
    assert len(train) >= 1
    assert len(held_out) >= 1
    assert set(train) | set(held_out) == set(range(n))


def test_train_examples_draws_by_seed_and_keeps_the_other_splits(config):
    """The low-data table: another seed is another draw, and everyone is judged on the same examples."""
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


def test_more_training_examples_than_there_are_is_refused(config):
    with pytest.raises(DataError, match=r"10000 training examples, --train_examples=10001.*use 0"):
        data.load(config("spiral", train_examples=10_001))
