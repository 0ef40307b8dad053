"""Every kind of picture file has the same pixels for training, the client and an exported model, or is refused."""

import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, PngImagePlugin

from amr_tf.data import decoding
from amr_tf.serving import picture_files

SIZES = [(64, 40), (40, 64), (32, 32), (20, 31), (333, 257), (1, 1), (7, 500)]
ROUNDING = 1  # largest difference in 0 .. 255


def photograph(size):
    """Smooth colours with noise, which resizing and chroma subsampling have to treat alike."""
    width, height = size
    rng = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[:height, :width] / max(size)
    smooth = np.stack([255 * x, 255 * y, 127 + 120 * np.sin(6 * x) * np.cos(6 * y)], axis=-1)
    return Image.fromarray(np.clip(smooth + rng.normal(0, 20, smooth.shape), 0, 255).astype(np.uint8))


def saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def see_through(size):
    image = photograph(size).convert("RGBA")
    width, height = size
    alpha = np.linspace(0, 255, width * height).reshape(height, width)
    image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    return image


def deep(size, top=65_535):
    values = np.asarray(photograph(size).convert("L"), np.float64) / 255 * top
    return Image.fromarray(values.astype(np.uint16))


def turned(orientation, **kinds):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif, **kinds}


def described(**texts):
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_itxt(name.replace("_", ":"), text)
    return info


XMP = '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
KINDS = {
    "PNG RGB": lambda size: saved(photograph(size), "PNG"),
    "PNG grey": lambda size: saved(photograph(size).convert("L"), "PNG"),
    "PNG 1 bit": lambda size: saved(photograph(size).convert("1"), "PNG"),
    "PNG 2 bits": lambda size: saved(photograph(size).convert("L").quantize(4), "PNG", bits=2),
    "PNG palette": lambda size: saved(photograph(size).quantize(100), "PNG"),
    "PNG palette, transparent": lambda size: saved(photograph(size).quantize(100), "PNG", transparency=3),
    "PNG 1 bit, transparent": lambda size: saved(photograph(size).convert("1"), "PNG", transparency=0),
    "PNG 2 bits, transparent": lambda size: saved(photograph(size).quantize(4), "PNG", bits=2, transparency=1),
    "PNG grey, transparent": lambda size: saved(photograph(size).convert("L"), "PNG", transparency=120),
    "PNG RGBA": lambda size: saved(see_through(size), "PNG"),
    "PNG grey + alpha": lambda size: saved(see_through(size).convert("LA"), "PNG"),
    "PNG 16 bits grey": lambda size: saved(deep(size), "PNG"),
    "PNG 12 of 16 bits": lambda size: saved(deep(size, 4095), "PNG"),
    "PNG upright": lambda size: saved(photograph(size), "PNG", **turned(1)),
    "JPEG": lambda size: saved(photograph(size), "JPEG", quality=90),
    "JPEG 4:4:4": lambda size: saved(photograph(size), "JPEG", quality=95, subsampling=0),
    "JPEG grey": lambda size: saved(photograph(size).convert("L"), "JPEG", quality=90),
    "JPEG progressive": lambda size: saved(photograph(size), "JPEG", quality=90, progressive=True),
    "JPEG upright": lambda size: saved(photograph(size), "JPEG", **turned(1)),
    "GIF": lambda size: saved(photograph(size), "GIF"),
    "GIF grey": lambda size: saved(photograph(size).convert("L"), "GIF"),
    "GIF, two frames": lambda size: saved(
        photograph(size), "GIF", save_all=True, append_images=[photograph(size).rotate(180)], disposal=1, optimize=False
    ),
    "BMP": lambda size: saved(photograph(size), "BMP"),
    "BMP grey": lambda size: saved(photograph(size).convert("L"), "BMP"),
}  # fmt: skip
REFUSED = {
    "JPEG turned": (saved(photograph((64, 40)), "JPEG", **turned(6)), "EXIF"),
    "PNG turned": (saved(photograph((64, 40)), "PNG", **turned(3)), "EXIF"),
    "PNG turned by XMP": (
        saved(photograph((64, 40)), "PNG", pnginfo=described(XML_com_adobe_xmp=XMP)),
        "EXIF",
    ),
    "JPEG CMYK": (saved(photograph((64, 40)).convert("CMYK"), "JPEG"), "CMYK"),
    "GIF transparent": (saved(photograph((64, 40)).quantize(16), "GIF", transparency=3), "transparency"),
    "BMP palette": (saved(photograph((64, 40)).quantize(16), "BMP"), "24 bits"),
    "BMP 1 bit": (saved(photograph((64, 40)).convert("1"), "BMP"), "24 bits"),
    "WebP": (saved(photograph((64, 40)), "WEBP", lossless=True), "not a PNG, JPEG, GIF or BMP"),
    "TIFF": (saved(photograph((64, 40)), "TIFF"), "not a PNG, JPEG, GIF or BMP"),
    "text": (b"no picture", "not a PNG, JPEG, GIF or BMP"),
    "nothing": (b"", "not a PNG, JPEG, GIF or BMP"),
}


def graph(side, channels):
    read = tf.function(
        lambda data: picture_files.read(data, (side, side, channels)),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    return lambda data: read(tf.constant(data)).numpy()


@pytest.fixture(scope="module")
def graphs():
    return {(side, channels): graph(side, channels) for side in (32, 64) for channels in (1, 3)}


@pytest.mark.parametrize("kind", KINDS)
def test_picture_files_have_the_pixels_of_training(kind, graphs, tmp_path):
    """The largest difference over sizes and models, printed with -s: the matrix of kinds and readers."""
    worst = {}
    for size, (model, read) in itertools.product(SIZES, graphs.items()):
        data = KINDS[kind](size)
        path = tmp_path / "picture"
        path.write_bytes(data)
        side, channels = model
        trained = decoding.decode(path, side, channels)[0].astype(int)
        np.testing.assert_array_equal(decoding.read(str(path), (side, side, channels)), trained)
        worst[size, model] = int(np.abs(read(data) - trained).max())
    print(f"\n{kind:26} client 0, encode_png at most {max(worst.values())} of 255")
    assert max(worst.values()) <= ROUNDING, worst


@pytest.mark.parametrize("kind", REFUSED)
def test_picture_files_that_would_differ_are_refused(kind, graphs):
    data, reason = REFUSED[kind]
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        graphs[32, 3](data)
