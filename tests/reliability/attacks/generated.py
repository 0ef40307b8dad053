"""Generated input for parsers and loaders, which must report a `UserError`, in time, and write nowhere else."""

import contextlib
import copy
import gzip
import hashlib
import io
import json
import os
import pathlib
import sys
import time
import zipfile
from collections.abc import Callable, Iterator

import hypothesis
import numpy as np
import scipy.io
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from PIL import Image

from amr_tf import data
from amr_tf.config import Config
from amr_tf.data.sources import archives
from amr_tf.reporting import reading
from amr_tf.runs.checkpoints import MANIFEST, damage
from amr_tf.runs.folder import RunFolder
from amr_tf.runtime.errors import UserError

LONGEST = 10.0  # seconds of processor time, which other processes do not take
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**320)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../../x", "/dev/zero", "\0", "1e999", "<script>", "\x1b[2J", "\ud800"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)

_writing: list[str] = []
_watching = False


def _hear(event: str, arguments: tuple) -> None:
    if _watching and event == "open" and isinstance(arguments[0], str | os.PathLike):
        mode, flags = arguments[1] or "", arguments[2] or 0
        if set(mode) & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _writing.append(os.path.abspath(arguments[0]))


sys.addaudithook(_hear)


@contextlib.contextmanager
def harmless(folder: pathlib.Path) -> Iterator[None]:
    """Asserts that the block raises nothing but a `UserError` of one line, in time, and writes only to the folder."""
    global _watching
    _writing.clear()
    begin, _watching = time.process_time(), True
    try:
        yield
    except UserError as error:
        said = str(error)
    else:
        said = "nothing"
    finally:
        _watching = False
    assert said
    assert "\n" not in said, said
    assert len(said) < 5_000
    assert time.process_time() - begin < LONGEST
    outside = [path for path in _writing if not path.startswith((str(folder), "/dev/null"))]
    assert outside == []


@st.composite
def changed(draw: Callable, original: dict) -> bytes:
    """A JSON text with one value replaced or deleted; sometimes invalid JSON."""
    content = copy.deepcopy(original)
    if draw(st.integers(0, 9)) == 0:
        text = json.dumps(content).encode()
        at = draw(st.integers(0, len(text) - 1))
        return text[:at] + draw(st.binary(max_size=5)) + text[at + draw(st.integers(0, 9)) :]
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            place = inner
            continue
        if draw(st.booleans()):
            place[key] = draw(VALUES)
        elif isinstance(place, dict):
            place[draw(st.text(max_size=10) | st.just("../../x"))] = place.pop(key)
        else:
            del place[key]
        return json.dumps(content).encode(errors="surrogatepass")


def results_file(run: pathlib.Path) -> Callable[[bytes], None]:
    """A check of texts as the results.json of a run, by all that read it."""
    folder = RunFolder(Config(run_dir=str(run)))

    def check(text: bytes) -> None:
        folder.results.write_bytes(text)
        with harmless(run):
            reading.read(run)
        with harmless(run):
            folder.read_results()

    return check


def manifest_file(checkpoint: pathlib.Path) -> Callable[[bytes], None]:
    """A check of texts as the manifest of a checkpoint: only one that names each of its files is intact."""
    right = json.loads((checkpoint / MANIFEST).read_bytes())

    def check(text: bytes) -> None:
        (checkpoint / MANIFEST).write_bytes(text)
        with harmless(checkpoint):
            found = damage(checkpoint)
            assert found.isprintable()
            if not found:
                said = json.loads(text)
                assert said["sha256"] == right["sha256"]
                assert said["step"] == right["step"]

    return check


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with some bytes changed, cut off, left out or doubled."""
    changed, kind = bytearray(content), rng.integers(5)
    for _ in range(rng.integers(1, 6)):
        changed[rng.integers(len(changed))] = rng.integers(256)
    at, length = rng.integers(len(changed)), rng.integers(1, 1 + len(changed) // 4)
    if kind == 0:
        return bytes(changed[:at])
    if kind == 1:
        del changed[at : at + length]
    elif kind == 2:
        changed[at:at] = changed[at : at + length]
    elif kind == 3:
        changed[at : at + length] = bytes(len(changed[at : at + length]))
    return bytes(changed)


def tried(strategy: st.SearchStrategy, check: Callable, examples: int, seed: int = 0) -> None:
    """Calls `check` with that many drawn values."""
    run = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    hypothesis.seed(seed)(run(hypothesis.given(strategy)(check)))()


def idx_archive(folder: pathlib.Path, rng: np.random.Generator) -> None:
    """A mutated file of the MNIST family in place of the official one: refused, or the same once unpacked."""
    content = b"\x00\x00\x08\x01" + bytes(range(256)) * 20
    packed = gzip.compress(content, 6, mtime=0)
    official = archives.Archive(
        "t.gz", "http://example.org/t.gz", len(packed), hashlib.sha256(packed).hexdigest(), folder / "cached",
        hashlib.sha256(content).hexdigest(),
    )  # fmt: skip
    (folder / "t.gz").write_bytes(mutated(packed, rng))
    with harmless(folder):
        found = archives.check(official, folder / "t.gz")
        assert found.content is None or found.content == content


def mat_archive(folder: pathlib.Path, rng: np.random.Generator) -> None:
    """Mutated .mat files, two digits as in SVHN's, in a folder for --raw_dir: never the official ones."""
    file = io.BytesIO()
    scipy.io.savemat(file, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((2, 1), np.uint8)})
    for name in ("train_32x32.mat", "test_32x32.mat"):
        (folder / name).write_bytes(mutated(file.getvalue(), rng))
    with harmless(folder):
        data.check(Config(dataset="svhn", raw_dir=str(folder), data_dir=str(folder / "data")))
        raise AssertionError("taken for the official files")


def zip_archive(folder: pathlib.Path, rng: np.random.Generator) -> None:
    """A mutated zip of four shoes, as far as its members: what they are read by makes an error one line."""
    from amr_tf.data.sources import preflight, zappos

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, kind in enumerate(zappos.CLASSES[:4]):
            archive.writestr(f"top/{kind}/Brand/{number}.jpg", picture("JPEG", number))
    path = folder / zappos.FILES[0]
    path.write_bytes(mutated(file.getvalue(), rng))
    with harmless(folder):
        zappos.UtZappos50k.find_archive(preflight.Target("zappos", [], folder, None))
        with contextlib.suppress(Exception):
            for _ in zappos.UtZappos50k._generate_examples(None, path):
                pass


def picture(kind: str, seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def folder_of_pictures(folder: pathlib.Path, rng: np.random.Generator) -> None:
    """A data set of 100 mutated pictures of five kinds."""
    for number in range(100):
        kind = ("PNG", "JPEG", "GIF", "WEBP", "BMP")[number % 5]
        content = mutated(picture(kind, number % 7), rng)
        (folder / f"{number}.{kind.lower()}").write_bytes(content)
    with harmless(folder):
        data.load(Config(dataset=f"folder:{folder}", image_size=32))


def arrays_file(folder: pathlib.Path, rng: np.random.Generator) -> None:
    """A mutated file of 100 images with labels as arrays."""
    file = io.BytesIO()
    images = rng.integers(256, size=(100, 4, 4), dtype=np.uint8)
    np.savez_compressed(file, images=images, labels=np.arange(100) % 3)
    (folder / "own.npz").write_bytes(mutated(file.getvalue(), rng))
    with harmless(folder):
        data.load(Config(dataset=f"npz:{folder / 'own.npz'}", image_size=32, batch_size=8))
