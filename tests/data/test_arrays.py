"""Arrays of the user's own in a file of numpy.savez: read, divided for ever, reported, refused in one line."""

import hashlib
import io
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from amr_tf import data
from amr_tf.data.sources import folder_layout
from amr_tf.runtime.errors import DataError

COUNT = 120


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(256, size=(COUNT, 12, 10), dtype=np.uint8)


@pytest.fixture
def labels():
    return np.arange(COUNT) % 3


@pytest.fixture
def load(config, tmp_path):
    """`load(arrays, **settings)` writes a file of these arrays and gives its splits."""

    def load(arrays, **settings):
        np.savez_compressed(tmp_path / "own.npz", **arrays)
        given = config(f"npz:{tmp_path / 'own.npz'}", **{"image_size": 32, "batch_size": 4} | settings)
        data.check(given)
        return data.load(given)

    return load


@pytest.fixture
def refusal(load):
    """`refusal(arrays, **settings)` gives the one line with which a file of these arrays is refused."""

    def refusal(arrays, **settings):
        with pytest.raises(DataError) as error:
            load(arrays, **settings)
        assert "\n" not in str(error.value)
        return str(error.value)

    return refusal


def labels_by_image(splits):
    return {
        image.tobytes(): label
        for part in splits
        for image, label in zip(part.images, part.labels, strict=True)
    }


def test_load_images_and_labels_are_divided_and_reported(load, images, labels, tmp_path, capsys):
    splits = load({"images": images, "labels": labels + 7, "notes": np.zeros(3)})
    assert sum(map(len, splits)) == COUNT
    assert all(part.images.shape[1:] == part.spec.image_shape == (32, 32, 1) for part in splits)
    assert splits.train.spec.class_names == ("7", "8", "9")
    assert np.bincount(np.concatenate([part.labels for part in splits])).tolist() == [40] * 3
    assert capsys.readouterr().out.splitlines() == [
        f"reading images, labels of {tmp_path / 'own.npz'}",
        "classes: 3 (7, 8, 9); arrays left alone: notes",
        "120 images, from 10 x 12 to 32 x 32 grey",
    ]


def test_load_fits_images_as_a_folder_of_pictures(load, config, images, tmp_path):
    """The same picture as a file and as an array gives the same pixels."""
    (tmp_path / "pics").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "pics" / f"{number}.png")
    pictures = data.load(config(f"folder:{tmp_path / 'pics'}", image_size=32, batch_size=4))
    assert labels_by_image(load({"images": images})).keys() == labels_by_image(pictures).keys()


def test_load_keras_names_keep_their_test_split(load, images, labels):
    """The names of mnist.npz. Validation is drawn from x_train; labels may be a column, as of Keras's CIFAR-10."""
    splits = load(
        {
            "x_train": images[:90, ..., None],
            "y_train": labels[:90, None],
            "x_test": images[90:, ..., None],
            "y_test": labels[90:, None],
        }
    )
    assert [len(splits.train) + len(splits.validation), len(splits.test)] == [90, 30]
    assert len(splits.validation) > 0
    given = load({"x_train": images[:90], "x_val": images[90:100], "x_test": images[100:]})
    assert [*map(len, given)] == [90, 10, 20]
    assert given.train.spec.classes == 1


def test_load_array_of_splits_is_followed(load, images, labels):
    """Text labels number the classes in the order of the alphabet."""
    splits = np.repeat(["test", "train", "validation"], [30, 60, 30])
    names = np.array(["cat", "ape", "dog"])[labels]
    found = load({"images": images, "labels": names, "split": splits})
    assert [*map(len, found)] == [60, 30, 30]
    assert found.train.spec.class_names == ("ape", "cat", "dog")


def test_load_colours_and_one_image_size_of_several(load, images):
    wide = np.repeat(images[..., None], 3, axis=3)
    splits = load({"x_train": wide[:90], "x_test": wide[90:, :8]})
    assert splits.test.images.shape == (30, 32, 32, 3)


def test_split_of_equal_images_is_one(load, images, labels):
    """A copy in the test split would be known from training."""
    splits = load({"images": np.concatenate([images] * 3), "labels": np.concatenate([labels] * 3)})
    found = [{image.tobytes() for image in part.images} for part in splits]
    assert sum(map(len, found)) == COUNT == len(set.union(*found))
    assert [*map(len, splits)] == [3 * len(part) for part in found]


def test_splits_depend_on_neither_order_nor_other_images(load, images, labels):
    def found(rows):
        splits = load({"images": images[rows], "labels": labels[rows]})
        return splits, [set(labels_by_image([part]).items()) for part in splits]

    (some, few), (all_of_them, many), (mixed, again) = map(
        found, [slice(80), slice(COUNT), np.arange(COUNT)[::-1]]
    )
    assert all(part < whole for part, whole in zip(few, many, strict=True))
    assert again == many
    assert mixed.train.spec.sha256 == all_of_them.train.spec.sha256 != some.train.spec.sha256


def test_split_is_that_of_the_sha256_of_the_pixels(load, images):
    """Frozen: no later version may move an image from test to training."""
    wanted = [folder_layout.split_of(hashlib.sha256(image.tobytes()).digest()) for image in images]
    assert np.bincount(wanted).tolist() == [len(part) for part in load({"images": images})] == [96, 14, 10]


def test_smoke_reads_the_first_of_each_split(load, config, images, tmp_path):
    np.savez(
        tmp_path / "many.npz", images=np.random.default_rng(1).integers(256, size=(900, 4, 4), dtype=np.uint8)
    )
    splits = data.load(config(f"npz:{tmp_path / 'many.npz'}", image_size=32, smoke=True))
    assert len(splits.train) == data.SMOKE_EXAMPLES


def test_report_warns_of_dark_and_of_blank_images(load, images, capsys):
    images[5] = images[6] = 0
    load({"images": images // 16})
    dark, blank = capsys.readouterr().out.splitlines()[-2:]
    assert dark == "warning: the images are dark: their brightest value is 15 of 255"
    assert blank.startswith("warning: 2 of one colour throughout")


UNUSABLE = {
    "no images": (lambda x, y: {"arr_0": x}, "must contain images, labels and split, or x_train.* Received: arr_0"),
    "nothing": (lambda x, y: {}, "Received: no arrays"),
    "two sets": (lambda x, y: {"images": x, "x_train": x}, "Received: images, x_train"),
    "no training": (lambda x, y: {"x_test": x, "y_test": y}, "Received: x_test, y_test"),
    "floats": (lambda x, y: {"images": x / 255}, r"must be uint8 .* Received: images float64 \[120, 12, 10\]"),
    "not a number": (lambda x, y: {"images": x * np.nan}, "must be uint8"),
    "whole numbers": (lambda x, y: {"images": x.astype(int)}, r"Received: images int64 \[120, 12, 10\]"),
    "flat": (lambda x, y: {"images": x.reshape(COUNT, -1)}, r"Received: images uint8 \[120, 120\]"),
    "channels first": (lambda x, y: {"images": x.reshape(40, 3, 12, 10)}, r"Received: images uint8 \[40, 3, 12, 10\]"),
    "transparency": (lambda x, y: {"images": x.reshape(30, 12, 10, 4)}, r"\[30, 12, 10, 4\]"),
    "no example": (lambda x, y: {"images": x[:0]}, r"\[0, 12, 10\]"),
    "no pixel": (lambda x, y: {"images": x[:, :0]}, r"\[120, 0, 10\]"),
    "objects": (lambda x, y: {"images": np.array([x, None], object)}, r"Received: images object \[2\]"),
    "object labels": (lambda x, y: {"images": x, "labels": np.array([None] * COUNT)}, "labels of .* Received: object"),
    "float labels": (lambda x, y: {"images": x, "labels": y / 2}, "must be whole numbers or text"),
    "too few labels": (lambda x, y: {"images": x, "labels": y[1:]}, r"each of the 120 images. Received: int64 \[119\]"),
    "one-hot labels": (lambda x, y: {"images": x, "labels": np.eye(3, dtype=int)[y]}, r"Received: int64 \[120, 3\]"),
    "half the labels": (lambda x, y: {"x_train": x, "y_train": y, "x_test": x}, "labels of some splits only"),
    "two kinds": (
        lambda x, y: {"x_train": x, "y_train": y, "x_test": x, "y_test": y.astype(str)}, "numbers in one array and text"
    ),
    "two colours": (lambda x, y: {"x_train": x, "x_test": x.reshape(40, 12, 10, 3)}, "grey, or all RGB"),
    "unknown split": (lambda x, y: {"images": x, "split": np.array(["val"] * COUNT)}, "Received: 'val'"),
    "numbered splits": (lambda x, y: {"images": x, "split": y}, "must be train, validation or test"),
    "empty split": (lambda x, y: {"images": x, "split": np.array(["test"] * COUNT)}, "0 for training, 0 for val"),
    "few": (lambda x, y: {"images": x[:4]}, "too few images"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNUSABLE)
def test_check_unsuitable_arrays_are_one_line(refusal, images, labels, what):
    arrays, message = UNUSABLE[what]
    with pytest.raises(DataError, match=message):
        raise DataError(refusal(arrays(images, labels)))


def test_check_too_few_for_a_batch_are_one_line(refusal, images):
    assert refusal({"images": images}, batch_size=121).startswith("A batch needs 121 images, ")
    # All of them would do, eight tenths do not.
    assert "lower --batch_size" in refusal({"images": images}, batch_size=COUNT)


def refuse_file(config, path):
    with pytest.raises(DataError) as error:  # noqa: PT012 (either may refuse it)
        given = config(f"npz:{path}", image_size=32, batch_size=4)
        data.check(given)
        data.load(given)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.timeout(20)
def test_check_other_files_are_one_line(config, images, tmp_path):
    """A pipe would block a reader; a link is followed."""
    assert "cannot be read: [Errno 2]" in refuse_file(config, tmp_path / "none.npz")
    assert "cannot be read: " in refuse_file(config, tmp_path)
    os.mkfifo(tmp_path / "pipe.npz")
    assert "not a regular file" in refuse_file(config, tmp_path / "pipe.npz")
    (tmp_path / "text.npz").write_text("<html>404</html>")
    np.save(tmp_path / "array.npy", images)
    for name in ("text.npz", "array.npy"):
        assert refuse_file(config, tmp_path / name).startswith(
            "No file of numpy.savez, or a damaged one. Received: "
        )


def test_load_damaged_pixels_are_found_by_their_checksum(config, images, tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, images=images)
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    assert "Bad CRC-32" in refuse_file(config, path)
    path.write_bytes(content[:5000])
    assert "damaged" in refuse_file(config, path)


def test_check_header_of_another_size_is_refused(config, tmp_path):
    """Before memory for a terabyte is claimed."""
    header = io.BytesIO()
    facts = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 1000, 1000)}
    np.lib.format.write_array_header_1_0(header, facts)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(100))
    assert "images.npy is not as long as its header says" in refuse_file(config, tmp_path / "bomb.npz")


def test_check_arrays_larger_than_memory_are_refused(refusal, images, monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 1000, "SC_PHYS_PAGES": 137}.__getitem__)
    message = refusal({"images": images})  # 14,400 pixels, and 122,880 once enlarged
    assert "do not fit into memory. Received: 0.0 GB, of 0.0 GB" in message


def test_names_in_messages_have_no_control_characters(refusal, images):
    assert "Received: a?]0;b" in refusal({"a\x1b]0;b": images})
