"""CelebA and UT Zappos50K from tiny archives in the official format, cut to size."""

import io
import re
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

from amr_tf import data
from amr_tf.data.catalog import CELEBA
from amr_tf.data.sources import cut, zappos
from amr_tf.runtime.errors import DataError
from tests.data.conftest import zipped

ZIP = "ut-zap50k-images-square.zip"
# Attributes 20, 31 and 39 of the file: bits 0, 1 and 4 of a face's number.
NAMES = ("Male", "Smiling", "Young")


def one_line(message):
    """A pattern of messages on one line."""
    return rf"^[^\n]*{re.escape(message)}[^\n]*\Z"


def shades(part):
    """The grey in the middle of each picture."""
    return part.images[:, part.spec.width // 2, part.spec.width // 2, 0].astype(int)


def test_celeba_has_official_splits_and_requested_attributes(config, put_in_cache, celeba_files):
    """The label is the binary number of the attributes, the first of them its highest bit."""
    put_in_cache("celeb_a", celeba_files)
    splits = data.load(config("celeba", attributes=",".join(NAMES)))
    for part, faces in zip(splits, (range(24), range(24, 32), range(32, 40)), strict=True):
        assert part.images.shape == (len(faces), 64, 64, 3)
        assert (part.images.dtype, part.attributes.dtype) == (np.uint8, np.uint8)
        assert (part.spec.attributes, part.spec.classes) == (NAMES, 8)
        numbers = np.rint(shades(part) / 6).astype(int)
        assert sorted(numbers) == list(faces)
        bits = np.stack([numbers >> place & 1 for place in (0, 1, 4)], axis=1)
        np.testing.assert_array_equal(part.attributes, bits)
        np.testing.assert_array_equal(part.labels, bits @ [4, 2, 1])
        # The white rows at both ends of a face are cut off; the white corner of what is left is not.
        grey = part.images[:, 20:, 20:].astype(int)
        assert (np.abs(grey - grey[:, :1, :1, :1]) < 4).all()
        assert (part.images[:, :8, :8] > 250).all()


def test_celeba_at_another_size_is_not_prepared_again(config, put_in_cache, celeba_files, capfd):
    put_in_cache("celeb_a", celeba_files)
    data.load(config("celeba", image_size=32, arch="amr"))
    assert "Preparing celeba" in capfd.readouterr().out
    assert data.load(config("celeba", image_size=128)).test.images.shape == (8, 128, 128, 3)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("width", [32, 64, 128])
def test_square_agrees_with_pillow(width):
    """Within 1 of 255, except in the two outermost rows, where Pillow includes what is cut off."""
    picture = np.random.default_rng(0).integers(256, size=(218, 178, 3), dtype=np.uint8)
    expected = ImageOps.fit(Image.fromarray(picture), (width, width), Image.Resampling.BILINEAR)
    found = cut.square(picture, width).numpy().astype(int)
    assert np.abs(found - np.asarray(expected))[2:-2].max() <= 1


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("Mael", "celeba has no attribute 'Mael'. Did you mean Male"),
        ("Male,smiling", "no attribute 'smiling'. Did you mean Smiling"),
        ("lipstick", "no attribute 'lipstick'. Did you mean Wearing_Lipstick"),
        ("Heavy Makeup", "no attribute 'Heavy Makeup'. Did you mean Heavy_Makeup"),
        ("Qqqq", "no attribute 'Qqqq'. Received: --attributes=Qqqq"),
        ("", "no attribute ''. Received: --attributes="),
        ("Male,Male", "1 to 8 different names. Received: --attributes=Male,Male"),
        (",".join(CELEBA.selectable_attributes[:9]), "1 to 8 different names"),
    ],
)
def test_unknown_attributes_are_refused_with_suggestions(config, attributes, message):
    with pytest.raises(DataError, match=one_line(message)):
        data.check(config("celeba", attributes=attributes))


def test_celeba_attributes_are_those_of_the_builder():
    features = tfds.builder("celeb_a").info.features["attributes"]
    assert sorted(features) == sorted(CELEBA.selectable_attributes)


def test_celeba_without_its_files_names_each_of_them(config, tmp_path):
    (tmp_path / "raw").mkdir()
    sha256 = "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74"
    names = "list_eval_partition.txt, img_align_celeba.zip, "
    with pytest.raises(DataError, match=rf"(?s)^raw_dir .* lacks {names}.*1443490838 bytes  sha256 {sha256}"):
        data.check(config("celeba", raw_dir=str(tmp_path / "raw")))


@pytest.fixture
def zappos_folder(tmp_path, zappos_zips):
    """Writes one of the zip files into a folder for --raw_dir, perhaps changed."""

    def make(name=ZIP, change=lambda content: content):
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(change(zappos_zips[name]))
        return str(folder)

    return make


@pytest.mark.parametrize("name", [ZIP, "ut-zap50k-images.zip"])
@pytest.mark.parametrize("size", [64, 128])
def test_zappos_is_read_from_either_file(config, zappos_folder, name, size, tmp_path):
    """Whole shoes on white, divided by a hash of their file names; later without the zip."""
    settings = config("zappos", image_size=size, raw_dir=zappos_folder(name))
    data.check(settings)
    splits = data.load(settings)
    numbers = np.concatenate([np.rint(shades(part) / 5).astype(int) for part in splits])
    assert sorted(numbers) == list(range(42))
    np.testing.assert_array_equal(np.concatenate([part.labels for part in splits]), numbers % 21)
    assert splits.train.spec.classes == 21
    together = np.concatenate([part.images for part in splits])
    assert together.shape[1:] == (size, size, 3)
    assert (together[:, : size // 10] > 250).all()
    assert (together[:, -size // 10 :] > 250).all()
    (tmp_path / "raw" / name).unlink()
    again = data.load(config("zappos", image_size=size))
    np.testing.assert_array_equal(again.train.images, splits.train.images)


def test_zappos_is_found_in_the_manual_folder(config, zappos_zips, tmp_path):
    manual = tmp_path / "data" / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "ut-zap50k-images.zip").write_bytes(zappos_zips["ut-zap50k-images.zip"])
    assert sum(map(len, data.load(config("zappos")))) == 42


def test_zappos_without_its_file_names_file_and_folder(config, tmp_path):
    manual = tmp_path / "data" / "downloads" / "manual"
    names = rf"{ZIP} \(or ut-zap50k-images.zip\) of {zappos.URL}"
    advice = f"put it into {manual}, .*--raw_dir. Looked in: {manual}"
    with pytest.raises(DataError, match=rf"^zappos needs {names}: {advice}$"):
        data.check(config("zappos"))
    assert not (tmp_path / "data").exists()


def with_member(name, content=b""):
    def change(zipped):
        file = io.BytesIO(zipped)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(name, content)
        return file.getvalue()

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[: len(content) // 2], "is not a complete zip file"),
        (lambda content: b"<html>404</html>", "is not a complete zip file"),
        (lambda content: zipped({}), "contains no pictures of Zappos"),
        (with_member("top/Shoes/Skates/Brand/1.jpg"), "contains what Zappos does not: top/Shoes/Skates/Brand/1.jpg"),
        (with_member("../../Shoes/Heels/1.jpg"), "contains what Zappos does not: "),
        (with_member("top/Shoes/Heels/Brand/1.jpg", bytes(2_000_000)), "contains what Zappos does not: "),
    ],
)  # fmt: skip
def test_another_file_under_zappos_name_is_refused(config, zappos_folder, change, message, tmp_path):
    folder = zappos_folder(change=change)
    with pytest.raises(DataError, match=one_line(message)):
        data.check(config("zappos", raw_dir=folder))
    assert not (tmp_path / "data").exists()


def test_zappos_zip_with_flipped_bits_is_not_prepared(config, zappos_folder, tmp_path):
    """The list of contents is intact; the CRC of a picture is not."""

    def flip(content):
        changed = bytearray(content)
        changed[content.index(b"\xff\xd8") + 400] ^= 1
        return bytes(changed)

    settings = config("zappos", raw_dir=zappos_folder(change=flip))
    data.check(settings)
    with pytest.raises(DataError, match=r"^zappos could not be prepared in [^\n]*Bad CRC-32[^\n]*$"):
        data.load(settings)
    assert not (tmp_path / "data" / "ut_zappos50k" / "1.0.0").exists()
