"""One picture file: upright, in its colours, cut to a square, for a data set and for a model."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from amr_tf.data import decoding, pixels
from amr_tf.runtime.errors import DataError

SIZE = 32
RED, BLUE, WHITE = (220, 20, 20), (20, 20, 220), (255, 255, 255)


def halves(mode="RGB"):
    """48 x 40: the upper half red, the lower blue; in grey 80 and 43."""
    image = Image.new("RGB", (48, 40), BLUE)
    image.paste(RED, (0, 0, 48, 20))
    return image.convert(mode)


def palette(turn=0):
    return halves().rotate(turn).quantize(4)


def turned(orientation):
    """`halves` as a camera on its side stores it, and the options that record the orientation."""
    turn = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270, 3: Image.Transpose.ROTATE_180}
    exif = Image.Exif()
    exif[0x0112] = orientation
    return halves().transpose(turn[orientation]), {"exif": exif, "quality": 95}


def deep():
    values = np.full((40, 48), 10_000, np.uint16)
    values[:20] = 40_000
    return Image.fromarray(values)


def see_through():
    image = halves("RGBA")
    image.paste((*BLUE, 0), (0, 20, 48, 40))
    return image


GOOD = {"quality": 95}


@pytest.mark.parametrize(
    ("name", "image", "options", "upper", "lower"),
    [
        ("a.png", halves(), {}, RED, BLUE),
        ("a.jpg", halves(), GOOD, RED, BLUE),
        ("a.webp", halves(), {"lossless": True}, RED, BLUE),
        ("a.bmp", halves(), {}, RED, BLUE),
        ("palette.png", palette(), {}, RED, BLUE),
        ("cmyk.jpg", halves("CMYK"), GOOD, RED, BLUE),
        ("ycbcr.jpg", halves("YCbCr"), GOOD, RED, BLUE),
        ("first frame.gif", palette(), {"save_all": True, "append_images": [palette(180)]}, RED, BLUE),
        ("alpha.png", see_through(), {}, RED, WHITE),
        ("la.png", halves("LA"), {}, (80,), (43,)),
        ("grey.jpg", halves("L"), GOOD, (80,), (43,)),
        ("bits.png", Image.new("1", (48, 40), 1), {}, (255,), (255,)),
        ("deep.png", deep(), {}, (156,), (39,)),
        *((f"turned{n}.jpg", *turned(n), RED, BLUE) for n in (3, 6, 8)),
    ],
)  # fmt: skip
def test_decode_any_kind_of_file_shows_its_picture(tmp_path, name, image, options, upper, lower):
    """As a data set grey stays grey; a model gets the channels that it takes."""
    image.save(tmp_path / name, **options)
    found, note = decoding.decode(tmp_path / name, SIZE)
    assert (found.shape, found.dtype) == ((SIZE, SIZE, len(upper)), np.uint8)
    np.testing.assert_allclose(found[2:12] - np.array(upper), 0, atol=12)
    np.testing.assert_allclose(found[20:30] - np.array(lower), 0, atol=12)
    assert note.grey == (len(upper) == 1)
    assert note.turned == name.startswith("turned")
    assert note.transparent == (name == "alpha.png")
    assert (note.change, note.cut) == (-1, True)
    for channels in (1, 3):
        served = decoding.read(str(tmp_path / name), (SIZE, SIZE, channels))
        assert served.shape == (SIZE, SIZE, channels)
        if channels == len(upper):
            np.testing.assert_array_equal(served, found)
        else:
            grey = Image.fromarray(found.squeeze()).convert("L")
            np.testing.assert_allclose(served.mean(axis=2), grey, atol=2)


@pytest.mark.parametrize(("width", "height"), [(300, 100), (100, 300), (20, 60), (64, 64), (1, 200)])
def test_decode_keeps_the_middle(tmp_path, width, height):
    """The shorter side fits; a bright stripe in the middle of the longer one stays in the middle."""
    picture = np.zeros((height, width, 3), np.uint8)
    if width > height:
        picture[:, width // 2 - 10 : width // 2 + 10] = 255
    else:
        picture[height // 2 - 10 : height // 2 + 10] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    found, note = decoding.decode(tmp_path / "a.png", 64)
    assert found.shape == (64, 64, 3)
    assert (found[31:33, 31:33] > 250).all()
    assert (note.change, note.cut) == (np.sign(64 - min(width, height)), width != height)


def smooth():
    y, x = np.mgrid[:512, :512] / 512
    return np.stack([255 * x, 255 * y, 127 + 120 * np.sin(6 * x) * np.cos(6 * y)], axis=-1)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("picture", [np.indices((512, 512, 1)).sum(axis=0) % 2 * 255, smooth()])
def test_decode_reduces_by_averaging(tmp_path, name, picture):
    """A chessboard and a smooth picture, as a JPEG too, which is decoded at a part of its size."""
    Image.fromarray(picture.astype(np.uint8).squeeze()).save(tmp_path / name, quality=95)
    found, _ = decoding.decode(tmp_path / name, 64)
    np.testing.assert_allclose(found, picture.reshape(64, 8, 64, 8, -1).mean(axis=(1, 3)), atol=3)


def test_decode_sixteen_bits_are_scaled_to_eight(tmp_path):
    values = np.array([[0, 257, 32_768, 65_535, 128, 129]] * 6, np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert decoding.read(tmp_path / "a.png", (6, 6, 1))[0, :, 0].tolist() == [0, 1, 128, 255, 0, 1]


def test_read_enlarges_a_digit_as_in_training(tmp_path):
    digit = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(digit).save(tmp_path / "a.png")
    found = decoding.read(tmp_path / "a.png", (32, 32, 1))
    np.testing.assert_array_equal(found, pixels.resize(digit[None, ..., None], 32)[0])


def half_a_png():
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(file, "PNG")
    return file.getvalue()[: len(file.getvalue()) // 2]


@pytest.mark.parametrize("content", [b"", b"no picture", half_a_png(), b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_read_broken_picture_is_refused_in_a_line(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^The picture cannot be read: .*broken\.png: [^\n]+$"):
        decoding.read(str(path), (4, 4, 1))


def test_read_picture_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    halves().save(tmp_path / "a.png")
    with pytest.raises(DataError, match="decompression bomb"):
        decoding.read(str(tmp_path / "a.png"), (4, 4, 1))


@pytest.mark.parametrize("path", ["", "/nowhere/a.png", "/tmp", "a\0b"])  # noqa: S108
def test_read_path_that_is_not_a_file_is_refused(path):
    with pytest.raises(DataError, match="The picture cannot be read"):
        decoding.read(path, (4, 4, 1))


def png_with(kind, content, spoil_sum=False):
    """`halves` as a PNG file with a part before its pixels, perhaps with a wrong checksum."""
    file = io.BytesIO()
    halves().save(file, "PNG")
    png = file.getvalue()
    part = kind + content
    checksum = (zlib.crc32(part) + spoil_sum).to_bytes(4)
    return png[:33] + len(content).to_bytes(4) + part + checksum + png[33:]


def jpeg_with(segment, content):
    file = io.BytesIO()
    halves().save(file, "JPEG", quality=95)
    jpeg = file.getvalue()
    return jpeg[:2] + bytes([0xFF, segment]) + (len(content) + 2).to_bytes(2) + content + jpeg[2:]


HUGE = zlib.compress(b"a" * 80_000_000)
DAMAGED_METADATA = {
    "PNG text with a wrong sum": png_with(b"tEXt", b"Title\0Red and blue", spoil_sum=True),
    "PNG huge compressed text": png_with(b"zTXt", b"Comment\0\0" + HUGE),
    "PNG huge international text": png_with(b"iTXt", b"Comment\0\1\0\0\0" + HUGE),
    "PNG cut EXIF": png_with(b"eXIf", b"MM\0*\0\0"),
    "PNG colour profile of noise": png_with(b"iCCP", b"sRGB\0\0" + bytes(range(40))),
    "PNG unknown part": png_with(b"abCd", bytes(9), spoil_sum=True),
    "JPEG EXIF of noise": jpeg_with(0xE1, b"Exif\0\0" + bytes(range(100, 140))),
    "JPEG EXIF with a wrong place": jpeg_with(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "JPEG XMP of noise": jpeg_with(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x" + bytes(range(128, 160))),
    "JPEG profile of noise": jpeg_with(0xE2, b"ICC_PROFILE\0\1\1" + bytes(range(50))),
    "JPEG Photoshop of noise": jpeg_with(0xED, b"Photoshop 3.0\x008BIM\x03\xed" + bytes(range(30))),
}


@pytest.mark.parametrize("kind", DAMAGED_METADATA)
def test_decode_ignores_damaged_metadata(tmp_path, kind):
    """Every viewer shows these files."""
    (tmp_path / "picture").write_bytes(DAMAGED_METADATA[kind])
    halves().save(tmp_path / "plain", kind[:4].strip(), **(GOOD if kind[0] == "J" else {}))
    found, plain = (decoding.read(str(tmp_path / name), (SIZE, SIZE, 3)) for name in ("picture", "plain"))
    np.testing.assert_array_equal(found, plain)


def test_decode_of_damaged_pixels_fails(tmp_path):
    """Only metadata may be damaged."""
    file = png_with(b"tEXt", b"Title\0Red and blue", spoil_sum=True)
    for spoiled in (file[:-30], file.replace(b"IDAT", b"IDAX")):
        (tmp_path / "picture").write_bytes(spoiled)
        with pytest.raises(Exception):  # noqa: B017, PT011 (Pillow raises many kinds)
            decoding.decode(tmp_path / "picture", SIZE)


@pytest.mark.parametrize(
    ("white", "expected"), [(65_535, [0, 1, 8, 16]), (4095, [0, 16, 128, 255]), (1023, [0, 64, 255, 255])]
)
def test_decode_white_is_the_largest_grey(tmp_path, white, expected):
    values = np.repeat(np.array([[0, 256, 2048, 4095]], np.uint16), 4, axis=0)
    Image.fromarray(values).save(tmp_path / "deep.png")
    found, note = decoding.decode(tmp_path / "deep.png", 4, white=white)
    assert (found[0, :, 0].tolist(), note.top) == (expected, 4095)
