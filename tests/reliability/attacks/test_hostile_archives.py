"""Archives that somebody prepared: what is in them stays in the data folder, and is refused in one line or read."""

import gzip
import io
import json
import pathlib
import stat
import tarfile
import zipfile

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
TARS = {
    "a name with ..": tar_of(member(f"{OUT}mine.txt"), member("cifar-10-batches-bin/../../../mine.txt")),
    "an absolute name": None,  # made by the test, which knows its folder
    "a symbolic link, then a file through it": tar_of(
        member("link", tarfile.SYMTYPE, "../../.."), member("link/mine.txt")
    ),
    "a hard link to a file outside": tar_of(
        member("hard", tarfile.LNKTYPE, f"{OUT}mine.txt"), member("hard")
    ),
    "a device": tar_of(member("cifar-10-batches-bin/data_batch_1.bin", tarfile.CHRTYPE)),
    "a bomb": gzip.compress(bytes(40_000_000), 9),
}


@pytest.fixture
def place(tmp_path):
    """Folders for archives and for data, and beside them a file of the user's; gives the outer one."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "mine.txt").write_text(BEFORE)
    return tmp_path


def outside(place: pathlib.Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def assert_nothing_got_out(place: pathlib.Path) -> None:
    assert outside(place) <= {"raw", "data", "mine.txt"}
    assert (place / "mine.txt").read_text() == BEFORE
    assert len(list((place / "raw").iterdir())) == 1
    for path in place.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), path


def assert_refused(config: Config) -> None:
    with pytest.raises(DataError) as refused:
        data.check(config)
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize("name", TARS)
def test_a_hostile_tar_is_not_unpacked(place, name):
    content = TARS[name] or tar_of(member(str(place / "mine.txt")), member(str(place / "theirs.txt")))
    (place / "raw" / TAR).write_bytes(content)
    config = Config(dataset="cifar10", raw_dir=str(place / "raw"), data_dir=str(place / "data"))
    assert_refused(config)
    assert not (place / "data").exists()
    assert_nothing_got_out(place)


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

    content = TARS[name] or tar_of(member(str(place / "mine.txt")), member(str(place / "theirs.txt")))
    (place / "raw" / "unused").write_bytes(b"")
    ((url, info),) = tfds.builder_cls("cifar10").url_infos.items()
    cached = place / "data" / "downloads" / "cifar10" / resource.get_dl_fname(url, info.checksum)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    cached.with_name(f"{cached.name}.INFO").write_text(json.dumps({"urls": [url], "original_fname": TAR}))
    with pytest.raises(DataError) as refused:
        data.load(Config(dataset="cifar10", data_dir=str(place / "data")))
    assert "\n" not in str(refused.value)
    assert_nothing_got_out(place)


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


@pytest.fixture(scope="module")
def zips():
    shoe = picture("JPEG", 1)
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zip_of((f"{SHOE}/1.jpg", shoe), (f"{SHOE}/1.jpg", picture("JPEG", 2)))
    return {
        "names with ..": zip_of((f"{SHOE}/../../../../../../mine.jpg", shoe), ("../../../mine.jpg", shoe)),
        "an absolute name": zip_of((f"/{SHOE}/1.jpg", shoe), ("/etc/mine.jpg", shoe)),
        "a symbolic link": zip_of(linked(f"{SHOE}/1.jpg", "/etc/passwd")),
        "a bomb": zip_of((f"{SHOE}/1.jpg", bytes(60_000_000))),
        "a size that is a lie": lying(zip_of((f"{SHOE}/1.jpg", bytes(20_000_000)))),
        "a name twice": twice,
        "an encrypted picture": encrypted(zip_of((f"{SHOE}/1.jpg", shoe))),
        "a name that is no text": zip_of((f"{SHOE}/\x1b[2J\x00.jpg", shoe), (f"{SHOE}/a\nb.png.jpg", b"")),
    }


def prepare(config: Config) -> None:
    data.check(config)
    data.load(config)


@pytest.mark.parametrize(
    "name",
    [
        "names with ..",
        "an absolute name",
        "a symbolic link",
        "a bomb",
        "a size that is a lie",
        "a name twice",
        "an encrypted picture",
        "a name that is no text",
    ],
)
def test_a_hostile_zip_is_refused_and_never_unpacked(place, zips, name):
    """No hash of Zappos' file is known, so its list of contents is read, and its pictures one at a time."""
    (place / "raw" / ZIP).write_bytes(zips[name])
    config = Config(dataset="zappos", raw_dir=str(place / "raw"), data_dir=str(place / "data"))
    with pytest.raises(DataError) as refused:
        prepare(config)
    assert str(refused.value).isprintable(), refused.value
    assert len(str(refused.value)) < 2_000
    assert_nothing_got_out(place)
