"""TFDS's own builders on tiny archives."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from amr_tf import data
from amr_tf.data.catalog import Places, spec_named
from amr_tf.data.sources import prepared
from amr_tf.runtime.errors import DataError

pytestmark = pytest.mark.usefixtures("no_connections")


def read(dataset, settings):
    return prepared.official(spec_named(dataset), Places(Path(settings.data_dir), settings.raw_dir))


def numbers(examples):
    return examples.images[:, 0, 0, 0].tolist()


def test_svhn_is_read_in_raw_order_without_the_extra_file(config, put_in_cache, svhn_files, tmp_path, capfd):
    """From archives in the cache of svhn_cropped, under a name that keeps it apart from the full set."""
    put_in_cache("svhn_cropped", svhn_files)
    train, test = read("svhn", config("svhn"))
    assert numbers(train) == list(range(30))
    assert numbers(test) == list(range(12))
    assert train.labels.tolist() == [n % 10 for n in range(30)]
    assert train.images.shape == (30, 32, 32, 3)
    assert (train.images.dtype, train.labels.dtype) == (np.uint8, np.int64)
    assert (tmp_path / "data" / "svhn_cropped_train_test").is_dir()
    assert not (tmp_path / "data" / "svhn_cropped").exists()
    assert capfd.readouterr().out == f"Preparing svhn in {tmp_path / 'data'} (once)\n"
    assert [path.name for path in (tmp_path / "data" / "downloads").iterdir()] == ["svhn_cropped"]


def test_svhn_prepared_in_full_is_used(config, put_in_cache, svhn_files, tmp_path, capfd):
    """A cluster's shared data_dir has TFDS's svhn_cropped, with `extra`."""
    put_in_cache("svhn_cropped", svhn_files | {"extra_32x32.mat": svhn_files["test_32x32.mat"]})
    tfds.builder("svhn_cropped", data_dir=tmp_path / "data").download_and_prepare()
    capfd.readouterr()
    assert numbers(read("svhn", config("svhn"))[0]) == list(range(30))
    assert capfd.readouterr().out == ""
    assert not (tmp_path / "data" / "svhn_cropped_train_test").exists()


def test_cifar_is_read_in_raw_order_and_divided(config, put_in_cache, cifar_files):
    put_in_cache("cifar10", cifar_files)
    splits = data.load(config("cifar10"))
    assert [len(part) for part in splits] == [16, 4, 4]
    assert all(part.images.shape[1:] == part.spec.image_shape for part in splits)
    assert numbers(splits.test) == [0, 1, 2, 3]
    together = numbers(splits.train) + numbers(splits.validation)
    assert together == np.random.RandomState(0).permutation(20).tolist()


@pytest.mark.usefixtures("forty_examples")
def test_kmnist_is_read_in_raw_order(config, put_in_cache, idx_files):
    """It has no `id`: raw order follows from the hash of the number, salted with the split's name."""
    put_in_cache("kmnist", idx_files())
    for part in read("kmnist", config("kmnist")):
        assert part.images.shape == (40, 28, 28, 1)
        assert numbers(part) == list(range(40))
        assert part.labels.tolist() == [n % 10 for n in range(40)]


@pytest.mark.usefixtures("forty_examples")
def test_mnist_and_fashion_mnist_in_one_data_dir_differ(config, raw_folder):
    """They share file names, by which TFDS would reuse unpacked files."""
    splits = (
        read(name, config(name, raw_dir=str(raw_folder(name, offset))))
        for name, offset in (("mnist", 0), ("fashion_mnist", 50))
    )
    for digits, clothes in zip(*splits, strict=True):
        assert numbers(digits) == list(range(40))
        assert numbers(clothes) == list(range(50, 90))


@pytest.mark.usefixtures("forty_examples")
def test_raw_dir_is_not_needed_once_prepared(config, raw_folder, tmp_path):
    folder = raw_folder("mnist")
    splits = data.load(config("mnist", raw_dir=str(folder)))
    assert [len(part) for part in splits] == [33, 7, 40]
    assert all(part.images.shape[1:] == (32, 32, 1) for part in splits)
    again = data.load(config("mnist", raw_dir=str(tmp_path / "gone"), image_fit="pad"))
    np.testing.assert_array_equal(again.test.labels, splits.test.labels)
    assert again.test.images[7, 2, 2, 0] == 7


def test_remains_of_a_killed_preparation_are_ignored(config, put_in_cache, cifar_files, tmp_path):
    put_in_cache("cifar10", cifar_files)
    root = tmp_path / "data"
    for folder in ("cifar10/incomplete.ABC123_3.0.2", "downloads/unpacked-dead", "downloads/cifar10/x.tmp.1"):
        (root / folder).mkdir(parents=True)
        (root / folder / "dataset_info.json").write_text("{")
    assert numbers(read("cifar10", config("cifar10"))[0]) == list(range(20))


def test_concurrent_preparation_uses_the_faster_result(config, put_in_cache, cifar_files, monkeypatch):
    """The slower run cannot rename its result into place."""
    put_in_cache("cifar10", cifar_files)
    build = prepared._build

    def overtaken(*arguments):
        build(*arguments)
        raise OSError("Directory not empty")

    monkeypatch.setattr(prepared, "_build", overtaken)
    assert numbers(read("cifar10", config("cifar10"))[0]) == list(range(20))


def test_data_dir_that_cannot_be_written_is_named(config, raw_folder, tmp_path):
    blocked = tmp_path / "file" / "data"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=rf"^data_dir {blocked} cannot be written \(Not a directory\)[^\n]*$"):
        read("mnist", config("mnist", data_dir=str(blocked), raw_dir=str(raw_folder("mnist"))))


@pytest.mark.parametrize("name", ["data_dir", "raw_dir"])
def test_check_unreadable_places_are_one_line(config, closed_folder, name):
    """Too long a name, or no permission."""
    closed = closed_folder("closed")
    for place in (closed.with_name("a" * 300), closed / "in"):
        settings = config("mnist", **{"data_dir": str(closed.with_name("data")), name: str(place)})
        with pytest.raises(DataError, match=rf"^{name} [^\n]*{place}[^\n]*$"):
            data.check(settings)


def test_archive_that_its_builder_cannot_read_is_one_line(config, put_in_cache):
    put_in_cache("cifar10", {"cifar-10-binary.tar.gz": gzip.compress(b"no tar")})
    with pytest.raises(DataError, match=r"^cifar10 could not be prepared in [^\n]*$"):
        read("cifar10", config("cifar10"))


@pytest.mark.parametrize("damage", ["records", "info"])
def test_damaged_prepared_set_is_named(config, put_in_cache, cifar_files, tmp_path, damage):
    """The message names the folder to remove."""
    put_in_cache("cifar10", cifar_files)
    read("cifar10", config("cifar10"))
    folder = tmp_path / "data" / "cifar10" / "3.0.2"
    path = next(folder.glob("*train*")) if damage == "records" else folder / "dataset_info.json"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=rf"^The prepared data set in {folder} cannot .*Remove that folder"):
        read("cifar10", config("cifar10"))


@pytest.mark.slow
def test_genuine_mnist_is_read_in_the_order_of_its_files(config, shared_mnist):
    """All 70,000 images and labels."""
    splits = read("mnist", config("mnist", raw_dir=str(shared_mnist)))
    for prefix, (images, labels, _) in zip(("train", "t10k"), splits, strict=True):
        raw = gzip.decompress((shared_mnist / f"{prefix}-images-idx3-ubyte.gz").read_bytes())
        np.testing.assert_array_equal(images.ravel(), np.frombuffer(raw, np.uint8, offset=16))
        raw = gzip.decompress((shared_mnist / f"{prefix}-labels-idx1-ubyte.gz").read_bytes())
        np.testing.assert_array_equal(labels, np.frombuffer(raw, np.uint8, offset=8))
