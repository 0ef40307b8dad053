"""Tiny official archives, which TFDS's real builders read as they would the large ones."""

import dataclasses
import functools
import gzip
import hashlib
import io
import json
import socket
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download import resource

from amr_tf.config import Config
from amr_tf.data import catalog
from amr_tf.data.sources.zappos import CLASSES

SHARED_MNIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"


@pytest.fixture
def config(tmp_path):
    """Makes a config whose data_dir is a temporary folder."""

    def make(dataset, **fields):
        return Config(dataset=dataset, **({"data_dir": str(tmp_path / "data")} | fields))

    return make


@pytest.fixture
def no_connections(monkeypatch):
    """Connections are errors: all files are provided, or none is expected from the network."""

    def refuse(*_, **__):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def put_in_cache(tmp_path):
    """Puts files into TFDS's download cache under the names at which it looks for them."""

    def put(tfds_name, files, data_dir=None):
        folder = Path(data_dir or tmp_path / "data") / "downloads" / tfds_name
        folder.mkdir(parents=True, exist_ok=True)
        for url, info in tfds.builder_cls(tfds_name).url_infos.items():
            if info.filename in files:
                path = folder / resource.get_dl_fname(url, info.checksum)
                path.write_bytes(files[info.filename])
                note = {"urls": [url], "original_fname": info.filename}
                path.with_name(path.name + ".INFO").write_text(json.dumps(note))

    return put


@pytest.fixture(scope="session")
def svhn_files():
    """SVHN with 30 training and 12 test images. Every pixel of image i is i; its digit is i % 10."""

    def mat(count):
        numbers = np.arange(count)
        file = io.BytesIO()
        pixels = np.broadcast_to(numbers.astype(np.uint8), (32, 32, 3, count))
        # SVHN writes the digit 0 as 10.
        scipy.io.savemat(file, {"X": pixels, "y": np.where(numbers % 10 == 0, 10, numbers % 10)[:, None]})
        return file.getvalue()

    return {"train_32x32.mat": mat(30), "test_32x32.mat": mat(12)}


@pytest.fixture(scope="session")
def cifar_files():
    """CIFAR-10 with 5 files of 4 training images and one of 4 test images, numbered as SVHN's are."""

    def rows(numbers):
        return b"".join(bytes([number % 10]) + bytes([number]) * 3072 for number in numbers)

    members = {f"data_batch_{n}.bin": rows(range(4 * n - 4, 4 * n)) for n in range(1, 6)}
    members |= {"test_batch.bin": rows(range(4)), "batches.meta.txt": "\n".join("abcdefghij").encode()}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return {"cifar-10-binary.tar.gz": file.getvalue()}


def jpeg(pixels):
    """The bytes of a JPEG file of pixels uint8 [H, W, 3]."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def zipped(members):
    """The bytes of a zip file of {name: bytes}."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture(scope="session")
def celeba_files():
    """CelebA with 24 training, 8 validation and 8 test faces, 218 x 178, in the official files.

    Face i, counted from 0, is a grey of 6 i with a white corner, between 10 rows of white at the top and the bottom.
    It has attribute j where bit j % 5 of i is set.
    """
    names = [f"{number:06}.jpg" for number in range(1, 41)]
    faces = np.full((40, 218, 178, 3), 255, np.uint8)
    faces[:, 10:-10] = (6 * np.arange(40))[:, None, None, None]
    faces[:, 20:60, :40] = 255
    signs = [[" 1" if number >> place % 5 & 1 else "-1" for place in range(40)] for number in range(40)]
    marks = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"

    def table(heading, rows):
        lines = [f"{name} {' '.join(row)}\n" for name, row in zip(names, rows, strict=True)]
        return (heading + "".join(lines)).encode()

    members = {f"img_align_celeba/{name}": jpeg(face) for name, face in zip(names, faces, strict=True)}
    return {
        "img_align_celeba.zip": zipped({"img_align_celeba/": b"", **members}),
        "list_eval_partition.txt": table("", [[str(max(0, number - 16) // 8)] for number in range(40)]),
        "list_attr_celeba.txt": table(f"40\n{' '.join(catalog.CELEBA.selectable_attributes)} \n", signs),
        "list_landmarks_align_celeba.txt": table(f"40\n{marks} \n", [["69"] * 10] * 40),
        "identity_CelebA.txt": table("", [["2880"]] * 40),
    }


@pytest.fixture(scope="session")
def zappos_zips():
    """Both of UT Zappos50K's zip files with the same 42 shoes: number i is of class i % 21 and has a grey of 5 i.

    The plain ones are 102 pixels high; the square ones have 17 white rows above and below.
    """
    borders = {"ut-zap50k-images-square": 17, "ut-zap50k-images": 0}
    return {f"{name}.zip": zappos_zip(name, border, 42) for name, border in borders.items()}


def zappos_zip(name, border, count):
    """The bytes of a zip file of so many shoes; from the 50th on their greys begin again."""
    members = {f"{name}/": b"", f"{name}/Shoes/Heels/Brand Ltd./": b""}
    for number in range(count):
        shoe = np.full((102, 136, 3), 5 * number % 250, np.uint8)
        framed = np.pad(shoe, ((border, border), (0, 0), (0, 0)), constant_values=255)
        path = f"{name}/{CLASSES[number % 21]}/Brand Ltd./{7_000_000 + number}.{number}.jpg"
        members[path] = jpeg(framed)
    return zipped(members)


@pytest.fixture
def shoes_folder(tmp_path):
    """A folder with the square zip file and 126 shoes in it, of which 11 are test examples: enough for a figure."""
    folder = tmp_path / "shoes"
    folder.mkdir()
    name = "ut-zap50k-images-square"
    (folder / f"{name}.zip").write_bytes(zappos_zip(name, 17, 126))
    return folder


def _idx(values, shape):
    return struct.pack(f">4B{len(shape)}i", 0, 0, 8, len(shape), *shape) + values.tobytes()


@functools.cache
def idx_contents(offset):
    """The four unpacked IDX files of an MNIST-like set of full size, which TFDS requires.

    Pixel (0, 0) of image i is i % 200 + offset, the rest 0; its label is i % 10.
    """
    files = {}
    for prefix, count in (("train", 60_000), ("t10k", 10_000)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0] = np.arange(count) % 200 + offset
        labels = (np.arange(count) % 10).astype(np.uint8)
        files[f"{prefix}-images-idx3-ubyte"] = _idx(images, images.shape)
        files[f"{prefix}-labels-idx1-ubyte"] = _idx(labels, labels.shape)
    return files


@pytest.fixture(scope="session")
def idx_files():
    """`idx_contents`, packed under the official names: `idx_files(offset)`."""

    @functools.cache
    def make(offset=0):
        packed = {name: gzip.compress(content, 1) for name, content in idx_contents(offset).items()}
        return {f"{name}.gz": content for name, content in packed.items()}

    return make


@pytest.fixture
def raw_folder(tmp_path, monkeypatch):
    """Writes an MNIST-like set into a folder for --raw_dir, not packed, and makes its contents the official ones."""

    def make(dataset, offset=0):
        contents = idx_contents(offset)
        digests = {f"{name}.gz": hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        spec = dataclasses.replace(catalog.spec_named(dataset), idx_sha256=digests)
        monkeypatch.setattr(catalog, dataset.upper(), spec)
        folder = tmp_path / f"raw_{dataset}"
        folder.mkdir()
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return folder

    return make


@pytest.fixture
def forty_examples(monkeypatch):
    """Lets TFDS write the first 40 examples of a split only: the MNIST family's builders insist on 60,000."""
    limited = functools.partial(tfds.download.DownloadConfig, max_examples_per_split=40)
    monkeypatch.setattr(tfds.download, "DownloadConfig", limited)


@pytest.fixture
def shared_mnist():
    """Folder with the genuine MNIST."""
    if not SHARED_MNIST.is_dir():
        pytest.skip(f"the genuine MNIST is not in {SHARED_MNIST}")
    return SHARED_MNIST
