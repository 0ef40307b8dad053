"""Archives that somebody prepared: what is in them stays in the data folder, and is refused in one line or read."""

import gzip
import io
import json
import os
import pathlib
import stat
import tarfile
import zipfile
from collections.abc import Callable

import pytest

from amr_tf import data
from amr_tf.config import Config
from amr_tf.runtime.errors import DataError
from tests.reliability.attacks.generated import picture

pytestmark = pytest.mark.timeout(300)
TAR, ZIP = "cifar-10-binary.tar.gz", "ut-zap50k-images-square.zip"
BEFORE = "kept as it is"


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 8) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, link, size if kind == tarfile.REGTYPE else 0
    return found


def tar_of(*members: tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for one in members:
            tar.addfile(one, io.BytesIO(b"x" * one.size))
    return file.getvalue()


# Six levels up from wherever it is unpacked below the test's folder lies a file of the user's.
OUT = "../" * 6
# Functions of the test's folder.
TARS = {
    "a name with ..": lambda _: tar_of(
        member(f"{OUT}mine.txt"), member("cifar-10-batches-bin/../../../mine.txt")
    ),
    "an absolute name": lambda place: tar_of(member(f"{place}/mine.txt"), member(f"{place}/theirs.txt")),
    "a symbolic link, then a file through it": lambda _: tar_of(
        member("link", tarfile.SYMTYPE, "../../.."), member("link/mine.txt")
    ),
    "a hard link to a file outside": lambda _: tar_of(
        member("hard", tarfile.LNKTYPE, f"{OUT}mine.txt"), member("hard")
    ),
    "a device": lambda _: tar_of(member("cifar-10-batches-bin/data_batch_1.bin", tarfile.CHRTYPE)),
    "a bomb": lambda _: gzip.compress(bytes(40_000_000), 9),
}


@pytest.fixture
def place(tmp_path):
    """Folders for archives and for data, and beside them a file of the user's; gives the outer one."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "mine.txt").write_text(BEFORE)
    return tmp_path


def assert_refused(check: Callable[[Config], object], place: pathlib.Path, **settings: str) -> None:
    """Asserts that data are refused in one line, with nothing written beside their folder."""
    raw = os.listdir(place / "raw")
    with pytest.raises(DataError) as refused:
        check(Config(data_dir=str(place / "data"), **settings))
    assert str(refused.value).isprintable(), refused.value
    assert len(str(refused.value)) < 2_000
    assert {path.name for path in place.iterdir()} <= {"raw", "data", "mine.txt"}
    assert (place / "mine.txt").read_text() == BEFORE
    assert os.listdir(place / "raw") == raw
    for path in place.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), path


@pytest.mark.parametrize("name", TARS)
def test_a_hostile_tar_is_not_unpacked(place, name):
    (place / "raw" / TAR).write_bytes(TARS[name](place))
    assert_refused(data.check, place, dataset="cifar10", raw_dir=str(place / "raw"))
    assert not (place / "data").exists()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.slow if name.startswith(("a name", "a symb")) else pytest.mark.soak
        )
        for name in TARS
    ],
)
def test_a_hostile_tar_in_the_cache_of_downloads_stays_in_it(place, name):
    """There TFDS takes it for what it had fetched, and unpacks it."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import resource

    ((url, info),) = tfds.builder_cls("cifar10").url_infos.items()
    cached = place / "data" / "downloads" / "cifar10" / resource.get_dl_fname(url, info.checksum)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(TARS[name](place))
    cached.with_name(f"{cached.name}.INFO").write_text(json.dumps({"urls": [url], "original_fname": TAR}))
    assert_refused(data.load, place, dataset="cifar10")


SHOE = "top/Shoes/Heels/Brand"


def zip_of(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def linked(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    found = zipfile.ZipInfo(name)
    found.create_system, found.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return found, target.encode()


def lying(content: bytes) -> bytes:
    """The sizes of the first member said to be 10 bytes, where it holds megabytes."""
    changed = bytearray(content)
    at = changed.index(b"PK\x01\x02")
    changed[at + 24 : at + 28] = (10).to_bytes(4, "little")
    return bytes(changed)


def encrypted(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[6] |= 1
    changed[changed.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


JPEG = picture("JPEG", 1)
ZIPS = {
    "names with ..": lambda: zip_of(
        (f"{SHOE}/../../../../../../mine.jpg", JPEG), ("../../../mine.jpg", JPEG)
    ),
    "an absolute name": lambda: zip_of((f"/{SHOE}/1.jpg", JPEG), ("/etc/mine.jpg", JPEG)),
    "a symbolic link": lambda: zip_of(linked(f"{SHOE}/1.jpg", "/etc/passwd")),
    "a bomb": lambda: zip_of((f"{SHOE}/1.jpg", bytes(60_000_000))),
    "a size that is a lie": lambda: lying(zip_of((f"{SHOE}/1.jpg", bytes(20_000_000)))),
    "a name twice": lambda: zip_of((f"{SHOE}/1.jpg", JPEG), (f"{SHOE}/1.jpg", picture("JPEG", 2))),
    "an encrypted picture": lambda: encrypted(zip_of((f"{SHOE}/1.jpg", JPEG))),
    "a name that is no text": lambda: zip_of(
        (f"{SHOE}/\x1b[2J\x00.jpg", JPEG), (f"{SHOE}/a\nb.png.jpg", b"")
    ),
}


def prepare(config: Config) -> None:
    data.check(config)
    data.load(config)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ZIPS)
def test_a_hostile_zip_is_refused_and_never_unpacked(place, name):
    """No hash of Zappos' file is known, so its list of contents is read, and its pictures one at a time."""
    (place / "raw" / ZIP).write_bytes(ZIPS[name]())
    assert_refused(prepare, place, dataset="zappos", raw_dir=str(place / "raw"))
