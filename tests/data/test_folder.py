"""Folders of the user's own pictures: listed, divided for ever, reported, refused in one line."""

import os
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from amr_tf import data
from amr_tf.data.sources import folder_layout
from amr_tf.runtime.errors import DataError

RED = (220, 20, 20)


def many(top, count=60, mode="RGB"):
    """Writes `count` pictures, number i in a shade of 4 i with a white corner."""
    top.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        shade = number * 4 if mode == "L" else (number * 4,) * 3
        image = Image.new(mode, (40, 40), shade)
        image.paste(255 if mode == "L" else (255,) * 3, (30, 30, 40, 40))
        image.save(top / f"{number:03}.png")


@pytest.fixture
def pictures(tmp_path):
    """Two classes of 60 pictures each, with the same names, and files that are not pictures."""
    many(tmp_path / "pics" / "cats")
    many(tmp_path / "pics" / "dogs")
    (tmp_path / "pics" / "cats" / "notes.txt").write_text("no picture")
    (tmp_path / "pics" / ".hidden").mkdir()
    (tmp_path / "pics" / "cats" / "._001.png").write_bytes(b"what macOS leaves")
    (tmp_path / "pics" / "README").write_text("nor is this")
    return tmp_path / "pics"


def test_load_sub_folders_are_labels_and_reported(config, pictures, capsys):
    splits = data.load(config(f"folder:{pictures}", image_size=32, batch_size=4))
    assert sum(map(len, splits)) == 120
    assert all(part.images.shape[1:] == part.spec.image_shape == (32, 32, 3) for part in splits)
    assert splits.train.spec.classes == 2
    for part in splits:
        # Pictures of one name in two classes are in one split, side by side.
        assert np.bincount(part.labels).tolist() == [len(part) // 2] * 2
        np.testing.assert_array_equal(part.images[::2], part.images[1::2])
    assert capsys.readouterr().out.splitlines() == [
        f"reading 120 pictures in {pictures}",
        "classes: 2 (cats, dogs)",
        "left out: 2 hidden (.hidden), 1 without a suffix (README), 1 .txt (cats/notes.txt)",
        "as 32 x 32 RGB: 120 made smaller",
    ]


def test_report_shows_no_control_characters(config, pictures, capsys):
    os.rename(pictures / "dogs", pictures / "\x1b]0;do\x07gs")
    data.load(config(f"folder:{pictures}", image_size=32, batch_size=4))
    assert "classes: 2 (?]0;do?gs, cats)\n" in capsys.readouterr().out


def test_load_grey_pictures_without_sub_folders_is_one_class(config, tmp_path, capsys):
    many(tmp_path / "grey", mode="L")
    splits = data.load(config(f"folder:{tmp_path / 'grey'}", image_size=32, batch_size=4))
    assert splits.train.spec.image_shape == (32, 32, 1)
    assert splits.train.spec.classes == 1
    assert "classes: 1 (grey)" in capsys.readouterr().out
    shades = np.concatenate([part.images[:, 0, 0, 0] for part in splits])
    assert sorted(shades.tolist()) == [4 * number for number in range(60)]


def test_report_warns_of_pictures_of_one_colour(config, pictures, capsys):
    """Residual networks with instance norm diverge on them."""
    Image.new("RGB", (40, 40), "white").save(pictures / "cats" / "white.png")
    Image.new("L", (40, 40), 7).save(pictures / "dogs" / "grey.png")
    data.load(config(f"folder:{pictures}", image_size=32, batch_size=4))
    (warning,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert warning.startswith("warning: 2 of one colour throughout, on which --arch=resnet may diverge: ")
    assert warning.endswith(("white.png, ...", "grey.png, ..."))


def names_by_split(top):
    found = folder_layout.find(f"folder:{top}")
    return [{(picture.label, picture.path.name) for picture in split} for split in found.splits]


def test_split_is_unchanged_by_added_pictures_and_classes(pictures):
    before = names_by_split(pictures)
    many(pictures / "zebras" / "at all" / "depths", count=30)
    for number in range(200, 260):
        Image.new("RGB", (9, 9), RED).save(pictures / "cats" / f"{number}.png")
    after = names_by_split(pictures)
    assert all(old < new for old, new in zip(before, after, strict=True))
    assert sum(label == 2 for split in after for label, _ in split) == 30


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_key_of_name_ignores_its_unicode_form(name):
    """macOS stores accents separately."""
    forms = {folder_layout.key_of(unicodedata.normalize(form, name)) for form in ("NFD", "NFC")}
    assert len(forms) == 1


def test_split_of_holds_out_two_tenths_by_frozen_hashes():
    """By SHA-256, as `sha256sum` gives it: below 0x199a (of 2^16) test, below 0x3334 validation.

    No later version may move examples from test to training.
    """
    numbers = [folder_layout.split_of(folder_layout.key_of(f"{number:05}.jpg")) for number in range(10_000)]
    shares = np.bincount(numbers) / 10_000
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.01)
    by_hand = {21: "18fd", 24: "0165", 28: "201b", 29: "2dad", 9: "33c8", 0: "528d"}
    assert [numbers[number] for number in by_hand] == [2, 2, 1, 1, 0, 0]
    assert all(
        folder_layout.key_of(f"{number:05}.jpg").hex().startswith(key) for number, key in by_hand.items()
    )


def refused(config, path, **settings):
    """The one-line message of `check` or `load`."""
    settings = config(f"folder:{path}", **({"image_size": 32, "batch_size": 4} | settings))
    with pytest.raises(DataError) as error:  # noqa: PT012 (either may refuse it)
        data.check(settings)
        data.load(settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_load_names_all_broken_pictures(config, pictures):
    whole = (pictures / "cats" / "000.png").read_bytes()
    damages = {
        "cut.png": whole[: len(whole) // 2], "empty.jpg": b"", "text.gif": b"<html>404</html>",
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }  # fmt: skip
    for name, content in damages.items():
        (pictures / "dogs" / name).write_bytes(content)
    # Intact, in a format that is not supported.
    Image.new("RGB", (9, 9), RED).save(pictures / "dogs" / "tiff.png", "TIFF")
    message = refused(config, pictures)
    assert message.startswith("5 of 125 pictures cannot be read. Received: ")
    for name in (*damages, "tiff.png"):
        assert f"{pictures / 'dogs' / name} (" in message


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda top: os.rename(top, top.with_name("gone")), "cannot be read: "),
        (lambda top: (top / "mice").mkdir(), r"No pictures in .*mice: .*, or remove it"),
        (lambda top: Image.new("L", (9, 9)).save(top / "loose.png"), r"beside its sub-folders.* Received: loose.png"),
        (lambda top: (top / "a\nb").mkdir(), r"No pictures in .*a b: "),
        (lambda top: (top / "\x1b[2J\x9b\u202e").mkdir(), r"No pictures in .*/\?\[2J\?\?: "),
    ],
)  # fmt: skip
def test_check_unusable_folder_is_refused_in_one_line(config, pictures, spoil, message):
    spoil(pictures)
    with pytest.raises(DataError, match=message):
        data.check(config(f"folder:{pictures}", batch_size=4))
    refused(config, pictures)


def test_check_folder_that_cannot_be_entered_is_not_empty(config, closed_folder):
    assert "cannot be read: [Errno 13]" in refused(config, closed_folder("cats").parent)


def test_check_too_few_pictures_are_refused_in_one_line(config, tmp_path):
    (tmp_path / "none").mkdir()
    assert refused(config, tmp_path / "none").startswith(f"No pictures in {tmp_path / 'none'}: add PNG")
    many(tmp_path / "few", count=3)
    assert "too few pictures to be divided by their names: " in refused(config, tmp_path / "few")
    many(tmp_path / "some")
    message = refused(config, tmp_path / "some", batch_size=64)
    assert message.startswith("A batch needs 64 pictures, ")
    assert "lower --batch_size" in message


@pytest.mark.timeout(20)
def test_find_pipe_is_not_a_picture(pictures):
    """Reading it would block."""
    os.mkfifo(pictures / "cats" / "pipe.png")
    left_out = folder_layout.find(f"folder:{pictures}").left_out
    assert left_out["pipes and devices"] == [pictures / "cats" / "pipe.png"]
