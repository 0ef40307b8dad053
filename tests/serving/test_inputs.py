"""Pictures of all modes, turned, transparent, deep or broken, as a model takes them."""

import io

import numpy as np
import pytest
from PIL import Image

from amr_tf.data import pixels
from amr_tf.runtime.errors import DataError
from amr_tf.serving import inputs

GREY, COLOUR = (4, 6, 1), (4, 6, 3)


def saved(folder, picture, kind="PNG", **options):
    path = folder / f"picture.{kind.lower()}"
    picture.save(path, kind, **options)
    return str(path)


@pytest.mark.parametrize("shape", [GREY, COLOUR])
@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("I;16", "PNG"),
        ("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("YCbCr", "JPEG"), ("P", "GIF"), ("RGB", "WEBP"),
        ("I", "TIFF"), ("RGB", "BMP"),
    ],
)  # fmt: skip
def test_a_white_picture_is_white_in_every_mode(tmp_path, mode, kind, shape):
    white = Image.new("RGB", (9, 5), "white")
    if mode in ("I", "I;16"):
        picture = Image.fromarray(np.full((5, 9), 65_535, np.uint16 if mode == "I;16" else np.int32))
    else:
        picture = white.convert(mode)
    assert picture.mode == mode
    read = inputs.read(saved(tmp_path, picture, kind), shape)
    assert read.dtype == np.uint8
    assert read.shape == shape
    assert read.min() >= 254


def test_colours_keep_their_places(tmp_path):
    picture = Image.new("P", (6, 4))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((5, 0), 1)
    read = inputs.read(saved(tmp_path, picture), COLOUR)
    assert read[0, 5].tolist() == [200, 100, 50]
    assert read[3, 0].tolist() == [10, 20, 30]


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    values = np.array([[0, 257, 32_768, 65_535, 128, 129]] * 4, np.uint16)
    read = inputs.read(saved(tmp_path, Image.fromarray(values)), GREY)
    assert read[0, :, 0].tolist() == [0, 1, 128, 255, 0, 1]


def test_what_is_transparent_is_white(tmp_path):
    picture = Image.new("RGBA", (6, 4), (0, 0, 0, 0))
    picture.putpixel((0, 0), (0, 0, 0, 255))
    read = inputs.read(saved(tmp_path, picture), GREY)
    assert (read[0, 0, 0], read[3, 5, 0]) == (0, 255)


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    """Orientation 6: the camera lay on its side, so the stored left edge is the top."""
    stored = np.zeros((6, 4), np.uint8)
    stored[:, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    read = inputs.read(saved(tmp_path, Image.fromarray(stored), exif=exif), GREY)
    assert (read[0] == 255).all()
    assert (read[1:] == 0).all()


def test_a_digit_is_enlarged_as_in_training(tmp_path):
    digit = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    read = inputs.read(saved(tmp_path, Image.fromarray(digit)), (32, 32, 1))
    np.testing.assert_array_equal(read, pixels.resize(digit[None, ..., None], 32)[0])


def test_the_first_frame_of_an_animation_counts(tmp_path):
    frames = [Image.new("L", (6, 4), value) for value in (200, 10)]
    path = saved(tmp_path, frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (inputs.read(path, GREY) == 200).all()


def _half_a_png():
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(file, "PNG")
    return file.getvalue()[: len(file.getvalue()) // 2]


@pytest.mark.parametrize("content", [b"", b"no picture", _half_a_png(), b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_a_broken_picture_is_refused_in_a_line(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^The picture cannot be read: .*broken\.png: [^\n]+$"):
        inputs.read(str(path), GREY)


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(np.full((3, 3), 0.5, np.float32)),
        Image.fromarray(np.full((3, 3), 70_000, np.int32)),
    ],
)
def test_values_without_known_limits_are_refused(tmp_path, picture):
    with pytest.raises(DataError, match=r"grey values|floating-point"):
        inputs.read(saved(tmp_path, picture, "TIFF"), GREY)


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(DataError, match="decompression bomb"):
        inputs.read(saved(tmp_path, Image.new("L", (6, 4))), GREY)


@pytest.mark.parametrize("path", ["", "/nowhere/a.png", "/tmp", "a\0b"])  # noqa: S108
def test_a_path_that_is_no_file_is_refused(path):
    with pytest.raises(DataError, match="The picture cannot be read"):
        inputs.read(path, GREY)
