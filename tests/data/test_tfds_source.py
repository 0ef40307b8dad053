"""TFDS's real builders, on tiny archives."""

import gzip
import socket

import numpy as np
import pytest

from amr_tf import data
from amr_tf.data import tfds_source
from amr_tf.data.catalog import DATASETS
from amr_tf.runtime.errors import DataError


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A connection would be an error of the test: everything it needs is there."""

    def refuse(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def read(dataset, settings):
    return tfds_source.read(DATASETS[dataset], settings.data_dir, settings.raw_dir)


def numbers(examples):
    return examples[0][:, 0, 0, 0].tolist()


def test_svhn_comes_in_raw_order_without_the_extra_file(config, put_in_cache, svhn_files, tmp_path, capfd):
    """From archives in the cache of svhn_cropped, under a name that no shared data_dir takes for the full set."""
    put_in_cache("svhn_cropped", svhn_files)
    train, test = read("svhn", config("svhn"))
    assert numbers(train) == list(range(30))
    assert numbers(test) == list(range(12))
    assert train[1].tolist() == [n % 10 for n in range(30)]
    assert train[0].shape == (30, 32, 32, 3)
    assert (train[0].dtype, train[1].dtype) == (np.uint8, np.int64)
    assert (tmp_path / "data" / "svhn_cropped_train_test").is_dir()
    assert not (tmp_path / "data" / "svhn_cropped").exists()
    assert capfd.readouterr().out == f"Preparing svhn in {tmp_path / 'data'} (once)\n"
    assert [path.name for path in (tmp_path / "data" / "downloads").iterdir()] == ["svhn_cropped"]


def test_a_full_svhn_cropped_is_used_where_there_is_one(config, put_in_cache, svhn_files, tmp_path, capfd):
    """A cluster's shared data_dir holds TFDS's own svhn_cropped, with `extra`."""
    import tensorflow_datasets as tfds

    put_in_cache("svhn_cropped", svhn_files | {"extra_32x32.mat": svhn_files["test_32x32.mat"]})
    tfds.builder("svhn_cropped", data_dir=tmp_path / "data").download_and_prepare()
    capfd.readouterr()
    assert numbers(read("svhn", config("svhn"))[0]) == list(range(30))
    assert capfd.readouterr().out == ""
    assert not (tmp_path / "data" / "svhn_cropped_train_test").exists()


def test_cifar_comes_in_raw_order_and_is_divided_in_five(config, put_in_cache, cifar_files):
    put_in_cache("cifar10", cifar_files)
    splits = data.load(config("cifar10"))
    assert [len(part) for part in splits] == [16, 4, 4]
    assert all(part.images.shape[1:] == part.spec.image_shape for part in splits)
    assert numbers((splits.test.images, None)) == [0, 1, 2, 3]
    together = numbers((splits.train.images, None)) + numbers((splits.validation.images, None))
    assert together == np.random.RandomState(0).permutation(20).tolist()


@pytest.mark.usefixtures("forty_examples")
def test_kmnist_comes_in_raw_order_in_both_splits(config, put_in_cache, idx_files):
    """It has no `id`: raw order is undone from the hash of the number, salted with the split's name."""
    put_in_cache("kmnist", idx_files())
    for images, labels in read("kmnist", config("kmnist")):
        assert images.shape == (40, 28, 28, 1)
        assert numbers((images, None)) == list(range(40))
        assert labels.tolist() == [n % 10 for n in range(40)]


@pytest.mark.usefixtures("forty_examples")
def test_mnist_and_fashion_mnist_in_one_data_dir_differ(config, raw_folder):
    """TFDS's folder of unpacked files goes by file name, which the two share: fashion_mnist would hold digits."""
    first = read("mnist", config("mnist", raw_dir=str(raw_folder("mnist"))))
    second = read(
        "fashion_mnist", config("fashion_mnist", raw_dir=str(raw_folder("fashion_mnist", offset=50)))
    )
    for digits, clothes in zip(first, second, strict=True):
        assert numbers(digits) == list(range(40))
        assert numbers(clothes) == list(range(50, 90))


@pytest.mark.usefixtures("forty_examples")
def test_raw_dir_is_not_needed_again_once_prepared(config, raw_folder, tmp_path):
    folder = raw_folder("mnist")
    splits = data.load(config("mnist", raw_dir=str(folder)))
    assert [len(part) for part in splits] == [33, 7, 40]
    assert all(part.images.shape[1:] == (32, 32, 1) for part in splits)
    again = data.load(config("mnist", raw_dir=str(tmp_path / "gone"), image_fit="pad"))
    np.testing.assert_array_equal(again.test.labels, splits.test.labels)
    assert again.test.images[7, 2, 2, 0] == 7


def test_what_a_killed_preparation_left_does_not_disturb(config, put_in_cache, cifar_files, tmp_path):
    """Unfinished folders and downloads lie there for ever; a later run neither trusts nor trips over them."""
    put_in_cache("cifar10", cifar_files)
    root = tmp_path / "data"
    for folder in ("cifar10/incomplete.ABC123_3.0.2", "downloads/unpacked-dead", "downloads/cifar10/x.tmp.1"):
        (root / folder).mkdir(parents=True)
        (root / folder / "dataset_info.json").write_text("{")
    assert numbers(read("cifar10", config("cifar10"))[0]) == list(range(20))


def test_two_runs_that_prepare_at_once_both_get_their_data(config, put_in_cache, cifar_files, monkeypatch):
    """The slower one cannot rename its result into place, and uses the other's."""
    put_in_cache("cifar10", cifar_files)
    build = tfds_source._build

    def overtaken(*arguments):
        build(*arguments)
        raise OSError("Directory not empty")

    monkeypatch.setattr(tfds_source, "_build", overtaken)
    assert numbers(read("cifar10", config("cifar10"))[0]) == list(range(20))


def test_a_data_dir_that_cannot_be_written_is_named(config, raw_folder, tmp_path):
    blocked = tmp_path / "file" / "data"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=rf"^data_dir {blocked} cannot be written \(Not a directory\)[^\n]*$"):
        read("mnist", config("mnist", data_dir=str(blocked), raw_dir=str(raw_folder("mnist"))))


@pytest.mark.parametrize("name", ["data_dir", "raw_dir"])
def test_places_that_cannot_be_looked_into_are_one_line(config, closed_folder, name):
    """By their length or by their owner."""
    closed = closed_folder("closed")
    for place in (closed.with_name("a" * 300), closed / "in"):
        settings = config("mnist", **{"data_dir": str(closed.with_name("data")), name: str(place)})
        with pytest.raises(DataError, match=rf"^{name} [^\n]*{place}[^\n]*$"):
            data.check(settings)


def test_an_archive_that_its_builder_cannot_read_is_one_line(config, put_in_cache):
    put_in_cache("cifar10", {"cifar-10-binary.tar.gz": gzip.compress(b"no tar")})
    with pytest.raises(DataError, match=r"^cifar10 could not be prepared in [^\n]*$"):
        read("cifar10", config("cifar10"))


@pytest.mark.parametrize("damage", ["records", "info"])
def test_a_damaged_prepared_set_is_named(config, put_in_cache, cifar_files, tmp_path, damage):
    """Truncated in a copy, say: which folder to remove, in one line."""
    put_in_cache("cifar10", cifar_files)
    read("cifar10", config("cifar10"))
    folder = tmp_path / "data" / "cifar10" / "3.0.2"
    path = next(folder.glob("*train*")) if damage == "records" else folder / "dataset_info.json"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(
        DataError, match=rf"^The prepared data set in {folder} cannot be read [^\n]*Remove that folder"
    ):
        read("cifar10", config("cifar10"))


@pytest.mark.slow
def test_the_genuine_mnist_comes_in_the_order_of_its_files(config, shared_mnist):
    """All 70,000 images and labels, imported from files that were packed anew."""
    splits = dict(
        zip(("train", "t10k"), read("mnist", config("mnist", raw_dir=str(shared_mnist))), strict=True)
    )
    for prefix, (images, labels) in splits.items():
        raw = gzip.decompress((shared_mnist / f"{prefix}-images-idx3-ubyte.gz").read_bytes())
        np.testing.assert_array_equal(images.ravel(), np.frombuffer(raw, np.uint8, offset=16))
        raw = gzip.decompress((shared_mnist / f"{prefix}-labels-idx1-ubyte.gz").read_bytes())
        np.testing.assert_array_equal(labels, np.frombuffer(raw, np.uint8, offset=8))
