"""Files for --raw_dir: only official files get into TFDS's cache."""

import dataclasses
import gzip
import hashlib
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amr_tf.data.sources import archives
from amr_tf.data.sources.archives import Archive
from amr_tf.runtime.errors import DataError

CONTENT = b"\x00\x00\x08\x01" + bytes(range(256)) * 20
PACKED = gzip.compress(CONTENT, 9, mtime=123)


@pytest.fixture
def archive(tmp_path):
    """An official file of which the packed and the unpacked sha256 are known."""
    return Archive(
        filename="train-labels-idx1-ubyte.gz",
        url="http://example.org/train-labels-idx1-ubyte.gz",
        size=len(PACKED),
        sha256=hashlib.sha256(PACKED).hexdigest(),
        cache_path=tmp_path / "cache" / "cached.gz",
        content_sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "raw"
    path.mkdir()
    return path


def checked(archive, folder):
    return archives.check(archive, archive.find(folder))


@pytest.mark.parametrize("beside", ["train-labels-idx1-ubyte.gz", "train-labels-idx1-ubyte"])
def test_find_file_beside_a_folder_of_its_name(archive, folder, beside):
    """Programs that unpack an archive leave such folders; alone it is found too, and refused by its name."""
    (folder / beside).mkdir()
    assert archive.find(folder) == folder / beside
    with pytest.raises(DataError, match=beside):
        checked(archive, folder)
    (folder / "train-labels.idx1-ubyte").write_bytes(CONTENT)
    assert checked(archive, folder).path == folder / "train-labels.idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train-labels-idx1-ubyte.gz", PACKED),
        ("train-labels-idx1-ubyte.gz", gzip.compress(CONTENT, 1)),
        ("train-labels-idx1-ubyte", CONTENT),
        ("train-labels.idx1-ubyte", CONTENT),
        ("train-labels.idx1-ubyte.gz", PACKED),
    ],
    ids=["official", "packed anew", "unpacked", "unpacked, dotted", "dotted"],
)
def test_store_official_file_in_any_usual_form(archive, folder, name, content):
    """The cached file unpacks to the official contents, and has the note that TFDS requires."""
    (folder / name).write_bytes(content)
    archives.store([checked(archive, folder)])
    assert archive.cached
    assert gzip.decompress(archive.cache_path.read_bytes()) == CONTENT
    assert json.loads(archive.info_path.read_text()) == {
        "urls": [archive.url],
        "original_fname": archive.filename,
    }
    assert {path.name for path in archive.cache_path.parent.iterdir()} == {"cached.gz", "cached.gz.INFO"}


def test_check_without_content_hash_requires_the_same_bytes(archive, folder):
    """KMNIST, SVHN and CIFAR-10: hashes of unpacked files are unknown, hence repacked files are refused."""
    strict = dataclasses.replace(archive, content_sha256=None)
    path = folder / archive.filename
    path.write_bytes(gzip.compress(CONTENT, 1))
    with pytest.raises(DataError, match="not the official"):
        archives.check(strict, path)
    path.write_bytes(PACKED)
    archives.store([archives.check(strict, path)])
    assert archive.cache_path.read_bytes() == PACKED


@pytest.mark.parametrize(
    "content",
    [
        PACKED[:100] + bytes([PACKED[100] ^ 1]) + PACKED[101:],
        PACKED[:-9],
        b"",
        gzip.compress(b"other"),
        b"<html>404</html>",
    ],
    ids=["byte flipped", "truncated", "empty", "another file", "text"],
)
def test_check_damaged_or_wrong_file_is_one_line(archive, folder, content):
    path = folder / archive.filename
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"^{path} [^\n]*etch it again[^\n]*$"):
        checked(archive, folder)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255), st.booleans())
def test_check_mutated_file_is_refused_or_harmless(archive, folder, position, change, cut):
    """Bytes that gzip ignores (a time stamp) may differ; the contents never."""
    mutated = bytearray(PACKED)
    mutated[position] ^= change
    (folder / archive.filename).write_bytes(mutated[:position] if cut else mutated)
    try:
        outcome = checked(archive, folder).content
    except DataError as error:
        outcome = str(error)
    assert outcome == CONTENT or archive.filename in outcome


def test_check_unpacks_no_more_than_the_largest_file(archive, folder, monkeypatch):
    monkeypatch.setattr(archives, "MAX_IDX_BYTES", 10_000)
    (folder / archive.filename).write_bytes(gzip.compress(bytes(50_000_000)))
    bomb = dataclasses.replace(archive, content_sha256=hashlib.sha256(bytes(10_001)).hexdigest())
    assert checked(bomb, folder).content == bytes(10_001)
    with pytest.raises(DataError, match="is not the official"):
        checked(archive, folder)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_check_reads_regular_files_only(archive, folder, tmp_path, kind):
    """A link may lead anywhere, and opening a pipe would wait for ever."""
    path = folder / archive.filename
    (tmp_path / "elsewhere").write_bytes(PACKED)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "nowhere"))
    with pytest.raises(DataError, match="symbolic link" if "link" in kind else "not a regular file") as error:
        checked(archive, folder)
    assert str(path) in str(error.value)


def test_store_file_swapped_after_the_check_is_refused(archive, folder):
    path = folder / archive.filename
    path.write_bytes(PACKED)
    found = checked(archive, folder)
    path.write_bytes(bytes(len(PACKED)))
    with pytest.raises(DataError, match="changed while"):
        archives.store([found])
    assert not archive.cached
    assert list(archive.cache_path.parent.iterdir()) == []


def test_store_replaces_a_file_without_its_note(archive, folder):
    """A kill between the two leaves a file without a note; the next run replaces it."""
    (folder / archive.filename).write_bytes(PACKED)
    archive.cache_path.parent.mkdir()
    archive.cache_path.write_bytes(b"half")
    assert not archive.cached
    archives.store([checked(archive, folder)])
    assert archive.cached
    assert archive.cache_path.read_bytes() == PACKED
