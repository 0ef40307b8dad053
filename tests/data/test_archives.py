"""Files for --raw_dir: nothing gets into TFDS's cache but what is proven to be the official file."""

import dataclasses
import gzip
import hashlib
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amr_tf.data import archives
from amr_tf.data.archives import Archive
from amr_tf.runtime.errors import DataError

CONTENT = b"\x00\x00\x08\x01" + bytes(range(256)) * 20
PACKED = gzip.compress(CONTENT, 9, mtime=123)


@pytest.fixture
def archive(tmp_path):
    """An official file, packed, of which both the packed and the unpacked sha256 are known."""
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
def test_the_official_file_is_accepted_in_every_usual_form(archive, folder, name, content):
    """What TFDS then finds in its cache unpacks to the official contents, with the note that makes it count."""
    (folder / name).write_bytes(content)
    archives.store([checked(archive, folder)])
    assert archive.cached
    assert gzip.decompress(archive.cache_path.read_bytes()) == CONTENT
    assert json.loads(archive.info_path.read_text()) == {
        "urls": [archive.url],
        "original_fname": archive.filename,
    }
    assert {path.name for path in archive.cache_path.parent.iterdir()} == {"cached.gz", "cached.gz.INFO"}


def test_without_a_known_content_only_the_very_file_will_do(archive, folder):
    """KMNIST, SVHN and CIFAR-10: no list of unpacked hashes, so a repacked file cannot be told from a wrong one."""
    strict = dataclasses.replace(archive, content_sha256=None)
    path = folder / archive.filename
    path.write_bytes(gzip.compress(CONTENT, 1))
    with pytest.raises(DataError, match="not the official"):
        archives.check(strict, path)
    path.write_bytes(PACKED)
    archives.store([archives.check(strict, path)])
    assert archive.cache_path.read_bytes() == PACKED


def damages():
    flipped = bytearray(PACKED)
    flipped[len(PACKED) // 2] ^= 1
    return {
        "byte flipped": bytes(flipped),
        "truncated": PACKED[:-9],
        "empty": b"",
        "another file": gzip.compress(b"other"),
        "text": b"<html>404</html>",
    }


@pytest.mark.parametrize("damage", damages())
def test_a_damaged_or_wrong_file_is_named_in_one_line(archive, folder, damage):
    path = folder / archive.filename
    path.write_bytes(damages()[damage])
    with pytest.raises(DataError) as error:
        checked(archive, folder)
    assert str(path) in str(error.value)
    assert "etch it again" in str(error.value)
    assert "\n" not in str(error.value)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255), st.booleans())
def test_any_mutation_is_refused_or_harmless(archive, folder, position, change, cut):
    """Bytes that gzip ignores (a time stamp) may differ; the contents never."""
    mutated = bytearray(PACKED)
    mutated[position] ^= change
    (folder / archive.filename).write_bytes(mutated[:position] if cut else mutated)
    try:
        outcome = checked(archive, folder).content
    except DataError as error:
        outcome = str(error)
    assert outcome == CONTENT or archive.filename in outcome


def test_a_bomb_is_not_unpacked_beyond_the_largest_file(archive, folder, monkeypatch):
    monkeypatch.setattr(archives, "MAX_IDX_BYTES", 10_000)
    path = folder / archive.filename
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    assert path.stat().st_size < 60_000
    with pytest.raises(DataError, match=rf"{path} holds more than the 10000 bytes"):
        checked(archive, folder)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_only_regular_files_are_read(archive, folder, tmp_path, kind):
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


def test_a_file_swapped_after_the_check_does_not_get_in(archive, folder):
    """What is stored is what was hashed."""
    path = folder / archive.filename
    path.write_bytes(PACKED)
    found = checked(archive, folder)
    path.write_bytes(bytes(len(PACKED)))
    with pytest.raises(DataError, match="changed while"):
        archives.store([found])
    assert not archive.cached
    assert list(archive.cache_path.parent.iterdir()) == []


def test_a_file_without_its_note_is_stored_again(archive, folder):
    """A kill between the two leaves a file that does not count, and the next run mends it."""
    (folder / archive.filename).write_bytes(PACKED)
    archive.cache_path.parent.mkdir()
    archive.cache_path.write_bytes(b"half")
    assert not archive.cached
    archives.store([checked(archive, folder)])
    assert archive.cached
    assert archive.cache_path.read_bytes() == PACKED
