"""Folders of the user's own pictures: read upright and in one kind, divided for ever, refused in one line."""

import os
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from amr_tf import data
from amr_tf.data import decoding, folder
from amr_tf.runtime.errors import DataError

SIZE = 32
RED, BLUE = (220, 20, 20), (20, 20, 220)


def halves(mode, width=48, height=40):
    """A picture whose upper half is red and whose lower half is blue; in grey 80 and 30."""
    image = Image.new("RGB", (width, height), BLUE)
    image.paste(RED, (0, 0, width, height // 2))
    return image.convert(mode)


def few_colours(shift=0):
    """`halves` with a palette; with `shift` rolled so far that what was above is below."""
    image = halves("RGB")
    return Image.fromarray(np.roll(np.asarray(image), 20 * shift, axis=0)).quantize(4)


def sideways(path, orientation):
    """`halves`, lying on its side as a camera would store it, with the note that says so."""
    turn = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270, 3: Image.Transpose.ROTATE_180}
    image, exif = halves("RGB").transpose(turn[orientation]), Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif, quality=95)


def deep(path):
    """16 bits a pixel: 40,000 above, 10,000 below."""
    values = np.full((40, 48), 10_000, np.uint16)
    values[:20] = 40_000
    Image.fromarray(values).save(path)


def see_through(path):
    """Red, of which the lower half is transparent blue."""
    pixels = np.zeros((40, 48, 4), np.uint8)
    pixels[:20], pixels[20:] = (*RED, 255), (*BLUE, 0)
    Image.fromarray(pixels).save(path)


def write(folder_path, name, mode, **options):
    folder_path.mkdir(parents=True, exist_ok=True)
    halves(mode).save(folder_path / name, **options)


@pytest.mark.parametrize(
    ("name", "make", "upper", "lower"),
    [
        ("a.png", lambda path: halves("RGB").save(path), RED, BLUE),
        ("a.jpg", lambda path: halves("RGB").save(path, quality=95), RED, BLUE),
        ("a.webp", lambda path: halves("RGB").save(path, lossless=True), RED, BLUE),
        ("a.bmp", lambda path: halves("RGB").save(path), RED, BLUE),
        ("palette.png", lambda path: few_colours().save(path), RED, BLUE),
        ("cmyk.jpg", lambda path: halves("CMYK").save(path, quality=95), RED, BLUE),
        ("a.gif", lambda path: few_colours().save(path, save_all=True, append_images=[few_colours(1)]), RED, BLUE),
        ("alpha.png", see_through, RED, (255, 255, 255)),
        ("la.png", lambda path: halves("LA").save(path), (80,), (43,)),
        ("grey.jpg", lambda path: halves("L").save(path, quality=95), (80,), (43,)),
        ("bits.png", lambda path: Image.new("1", (48, 40), 1).save(path), (255,), (255,)),
        ("deep.png", deep, (156,), (39,)),
        ("turned6.jpg", lambda path: sideways(path, 6), RED, BLUE),
        ("turned8.jpg", lambda path: sideways(path, 8), RED, BLUE),
        ("turned3.jpg", lambda path: sideways(path, 3), RED, BLUE),
    ],
)  # fmt: skip
def test_every_kind_of_file_shows_what_it_shows(tmp_path, name, make, upper, lower):
    """Upright and in its colours, whatever the mode; grey stays grey; of a GIF the first frame."""
    make(tmp_path / name)
    pixels, note = decoding.decode(tmp_path / name, SIZE)
    assert (pixels.shape, pixels.dtype) == ((SIZE, SIZE, len(upper)), np.uint8)
    np.testing.assert_allclose(pixels[2:12].reshape(-1, len(upper)) - np.array(upper), 0, atol=12)
    np.testing.assert_allclose(pixels[20:30].reshape(-1, len(upper)) - np.array(lower), 0, atol=12)
    assert note.grey == (len(upper) == 1)
    assert note.turned == name.startswith("turned")
    assert note.transparent == (name == "alpha.png")
    assert (note.change, note.cut) == (-1, True)


@pytest.mark.parametrize(("width", "height"), [(300, 100), (100, 300), (20, 60), (64, 64), (1, 200)])
def test_the_middle_is_kept_at_the_size_wanted(tmp_path, width, height):
    """The shorter side fits; a bright stripe in the middle of the longer one stays in the middle."""
    pixels = np.zeros((height, width, 3), np.uint8)
    if width > height:
        pixels[:, width // 2 - 10 : width // 2 + 10] = 255
    else:
        pixels[height // 2 - 10 : height // 2 + 10] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found, note = decoding.decode(tmp_path / "a.png", 64)
    assert found.shape == (64, 64, 3)
    assert (found[31:33, 31:33] > 250).all()
    assert (note.change, note.cut) == (np.sign(64 - min(width, height)), width != height)


def test_making_smaller_averages_and_does_not_pick(tmp_path):
    """A chessboard of single pixels becomes grey. JPEG too, which is decoded at a part of its size."""
    board = np.indices((512, 512)).sum(axis=0) % 2 * 255
    for name in ("a.png", "a.jpg"):
        Image.fromarray(board.astype(np.uint8)).save(tmp_path / name, quality=95)
        found, _ = decoding.decode(tmp_path / name, 64)
        np.testing.assert_allclose(found, 127.5, atol=3)


def test_a_jpeg_decoded_at_a_part_of_its_size_looks_the_same(tmp_path):
    """Within 3 of 255 on a smooth picture of 8 times the size."""
    y, x = np.mgrid[:512, :512] / 512
    smooth = np.stack([255 * x, 255 * y, 127 + 120 * np.sin(6 * x) * np.cos(6 * y)], axis=-1)
    Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / "a.jpg", quality=95)
    found, _ = decoding.decode(tmp_path / "a.jpg", 64)
    np.testing.assert_allclose(found, smooth.reshape(64, 8, 64, 8, 3).mean(axis=(1, 3)), atol=3)


def many(top, count=60, mode="RGB"):
    """`count` pictures, number i in a shade of 4 i but for a white corner."""
    top.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        shade = number * 4 if mode == "L" else (number * 4,) * 3
        image = Image.new(mode, (40, 40), shade)
        image.paste(255 if mode == "L" else (255,) * 3, (30, 30, 40, 40))
        image.save(top / f"{number:03}.png")


@pytest.fixture
def pictures(tmp_path):
    """Two classes, 60 pictures each, of the same names, and things that are no pictures."""
    many(tmp_path / "pics" / "cats")
    many(tmp_path / "pics" / "dogs")
    (tmp_path / "pics" / "cats" / "notes.txt").write_text("no picture")
    (tmp_path / "pics" / ".hidden").mkdir()
    (tmp_path / "pics" / "cats" / "._001.png").write_bytes(b"what macOS leaves")
    (tmp_path / "pics" / "README").write_text("nor is this")
    return tmp_path / "pics"


def test_sub_folders_are_labels_and_all_is_said(config, pictures, capsys):
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
        "classes: 2 (cats, dogs); 2 other files left alone",
        "as 32 x 32 RGB: 120 made smaller",
    ]


def test_names_of_classes_are_no_commands_to_a_terminal(config, pictures, capsys):
    os.rename(pictures / "dogs", pictures / "\x1b]0;do\x07gs")
    data.load(config(f"folder:{pictures}", image_size=32, batch_size=4))
    assert "classes: 2 (?]0;do?gs, cats); " in capsys.readouterr().out


def test_one_folder_of_grey_pictures_is_one_grey_class(config, tmp_path, capsys):
    many(tmp_path / "grey", mode="L")
    splits = data.load(config(f"folder:{tmp_path / 'grey'}", image_size=32, batch_size=4))
    assert splits.train.spec.image_shape == (32, 32, 1)
    assert splits.train.spec.classes == 1
    assert "classes: 1 (grey)" in capsys.readouterr().out
    shades = np.concatenate([part.images[:, 0, 0, 0] for part in splits])
    assert sorted(shades.tolist()) == [4 * number for number in range(60)]


def test_pictures_of_one_colour_are_named(config, pictures, capsys):
    """Residual networks with instance norm have no finite gradient on them."""
    Image.new("RGB", (40, 40), "white").save(pictures / "cats" / "white.png")
    Image.new("L", (40, 40), 7).save(pictures / "dogs" / "grey.png")
    data.load(config(f"folder:{pictures}", image_size=32, batch_size=4))
    (warning,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert warning.startswith("warning: 2 of one colour throughout, on which --arch=resnet may diverge: ")
    assert warning.endswith(("white.png, ...", "grey.png, ..."))


def names_by_split(top):
    found = folder.find(f"folder:{top}")
    return [{(picture.label, picture.path.name) for picture in split} for split in found.splits]


def test_added_pictures_and_classes_reshuffle_nothing(pictures):
    """Which split a picture is in depends on its own name alone."""
    before = names_by_split(pictures)
    many(pictures / "zebras" / "at all" / "depths", count=30)
    for number in range(200, 260):
        halves("RGB").save(pictures / "cats" / f"{number}.png")
    after = names_by_split(pictures)
    assert all(old < new for old, new in zip(before, after, strict=True))
    assert sum(label == 2 for split in after for label, _ in split) == 30


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_name_spelt_in_two_ways_is_one(name):
    """macOS stores accents apart from their letters."""
    assert folder.key_of(unicodedata.normalize("NFD", name)) == folder.key_of(
        unicodedata.normalize("NFC", name)
    )


def test_a_tenth_is_held_out_for_each_purpose():
    """By SHA-256, as `sha256sum` gives it: below 0x199a (of 2^16) test, below 0x3334 validation.

    Frozen for ever, so that no later version moves examples from test to training.
    """
    numbers = [folder.split_of(folder.key_of(f"{number:05}.jpg")) for number in range(10_000)]
    shares = np.bincount(numbers) / 10_000
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.01)
    by_hand = {21: "18fd", 24: "0165", 28: "201b", 29: "2dad", 9: "33c8", 0: "528d"}
    assert [numbers[number] for number in by_hand] == [2, 2, 1, 1, 0, 0]
    assert all(folder.key_of(f"{number:05}.jpg").hex().startswith(key) for number, key in by_hand.items())


def refused(config, path, **settings):
    """The one line with which a folder is refused, by the check before TensorFlow or by the reading."""
    settings = config(f"folder:{path}", **({"image_size": 32, "batch_size": 4} | settings))
    with pytest.raises(DataError) as error:  # noqa: PT012 (either may refuse it)
        data.check(settings)
        data.load(settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_broken_pictures_are_all_named_in_one_line(config, pictures):
    """Whatever is wrong with them. None is left out silently."""
    whole = (pictures / "cats" / "000.png").read_bytes()
    damages = {
        "cut.png": whole[: len(whole) // 2], "empty.jpg": b"", "text.gif": b"<html>404</html>",
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }  # fmt: skip
    for name, content in damages.items():
        (pictures / "dogs" / name).write_bytes(content)
    # Whole, but of a format that nobody asked for.
    halves("RGB").save(pictures / "dogs" / "tiff.png", "TIFF")
    message = refused(config, pictures)
    assert message.startswith("5 of 125 pictures cannot be read: mend or remove them. Received: ")
    for name in (*damages, "tiff.png"):
        assert f"{pictures / 'dogs' / name} (" in message


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda top: os.rename(top, top.with_name("gone")), "cannot be read: "),
        (lambda top: (top / "mice").mkdir(), r"No pictures in .*mice: .*, or remove it"),
        (lambda top: halves("RGB").save(top / "loose.png"), r"pictures beside its sub-folders.* There: loose.png"),
        (lambda top: (top / "a\nb").mkdir(), r"No pictures in .*a b: "),
        (lambda top: (top / "\x1b[2J\x9b\u202e").mkdir(), r"No pictures in .*/\?\[2J\?\?: "),
    ],
)  # fmt: skip
def test_a_folder_that_will_not_do_is_refused_in_one_line(config, pictures, spoil, message):
    spoil(pictures)
    with pytest.raises(DataError, match=message):
        data.check(config(f"folder:{pictures}", batch_size=4))
    refused(config, pictures)


def test_a_folder_that_may_be_listed_and_not_entered_is_not_taken_for_empty(config, closed_folder):
    assert "cannot be read: [Errno 13]" in refused(config, closed_folder("cats").parent)


def test_too_few_pictures_are_refused_in_one_line(config, tmp_path):
    (tmp_path / "none").mkdir()
    assert refused(config, tmp_path / "none").startswith(f"No pictures in {tmp_path / 'none'}: put PNG")
    many(tmp_path / "few", count=3)
    assert "too few pictures to be divided by their names: " in refused(config, tmp_path / "few")
    many(tmp_path / "some")
    message = refused(config, tmp_path / "some", batch_size=64)
    assert message.startswith("A batch needs 64 pictures, ")
    assert "lower --batch_size" in message


@pytest.mark.timeout(20)
def test_a_pipe_is_no_picture(pictures):
    """Reading it would wait for ever."""
    os.mkfifo(pictures / "cats" / "pipe.png")
    assert folder.find(f"folder:{pictures}").others == 3
