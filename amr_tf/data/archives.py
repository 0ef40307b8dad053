"""The official files of a data set: recognised by their sha256, and put where TFDS looks for its downloads.

TFDS trusts what lies in its download cache, so a file goes in whole and checked or not at all. Nothing is
unpacked here but IDX files, in memory and up to their known size.
"""

import contextlib
import dataclasses
import gzip
import hashlib
import json
import os
import stat
import uuid
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from amr_tf.runtime.errors import DataError

# The largest file of the MNIST family: a header and 60,000 images of 28 x 28.
MAX_IDX_BYTES = 16 + 60_000 * 28 * 28
_GZIP_MAGIC = b"\x1f\x8b"


@dataclasses.dataclass(frozen=True)
class Archive:
    """One official file of a data set.

    Attributes:
        filename, url, size, sha256: as TFDS has them on record.
        cache_path: where TFDS looks for it before it turns to the network.
        content_sha256: sha256 of the unpacked file, where it is known, else None.
    """

    filename: str
    url: str
    size: int
    sha256: str
    cache_path: Path
    content_sha256: str | None = None

    @property
    def info_path(self) -> Path:
        """The note that TFDS keeps next to a cached file, without which it takes the file for absent."""
        return self.cache_path.with_name(self.cache_path.name + ".INFO")

    @property
    def cached(self) -> bool:
        return os.path.exists(self.cache_path) and os.path.exists(self.info_path)

    def find(self, folder: Path) -> Path | None:
        """The path of this file in a folder, under any of its usual names, or None."""
        names = [self.filename]
        if self.content_sha256:
            plain = self.filename.removesuffix(".gz")
            dotted = plain.replace("-idx", ".idx")
            names += [plain, dotted, dotted + ".gz"]
        return next((folder / name for name in names if os.path.lexists(folder / name)), None)


@dataclasses.dataclass(frozen=True)
class Checked:
    """A file on disk that is an archive byte for byte, or, where `content` is given, the same once unpacked."""

    archive: Archive
    path: Path
    content: bytes | None = None


def check(archive: Archive, path: Path) -> Checked:
    """Makes sure that a file is the archive.

    Raises:
        DataError: one line naming the file: it is no regular file, unreadable, damaged or another file.
    """
    with _open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size == archive.size and _sha256(file) == archive.sha256:
            return Checked(archive, path)
        if archive.content_sha256:
            content = _unpacked(file, path)
            if hashlib.sha256(content).hexdigest() == archive.content_sha256:
                return Checked(archive, path, content)
    raise DataError(
        f"{path} is not the official {archive.filename}: expected {archive.size} bytes with sha256 "
        f"{archive.sha256}, received {size} bytes with other contents. Fetch it again from {archive.url}"
    )


def store(files: Iterable[Checked]) -> None:
    """Puts checked files into TFDS's download cache, each under its final name only once it is whole on disk.

    Raises:
        DataError: a file changed after it was checked.
        OSError: the cache cannot be written.
    """
    for checked in files:
        archive = checked.archive
        archive.cache_path.parent.mkdir(parents=True, exist_ok=True)
        with _written_whole(archive.cache_path) as target:
            if checked.content is None:
                _copy(checked, target)
            else:
                # mtime 0: the same contents give the same bytes whenever they are packed.
                target.write(gzip.compress(checked.content, compresslevel=1, mtime=0))
        with _written_whole(archive.info_path) as target:
            target.write(json.dumps({"urls": [archive.url], "original_fname": archive.filename}).encode())


def _copy(checked: Checked, target: BinaryIO) -> None:
    """Copies while hashing: what is kept is what was hashed, whatever happens to the file meanwhile."""
    digest = hashlib.sha256()
    with _open_regular(checked.path) as source:
        while block := source.read(1 << 20):
            digest.update(block)
            target.write(block)
    if digest.hexdigest() != checked.archive.sha256:
        raise DataError(f"{checked.path} changed while it was being read. Run again once it is whole")


def _sha256(file: BufferedReader) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _unpacked(file: BufferedReader, path: Path) -> bytes:
    """The contents of an IDX file, packed or not, at most MAX_IDX_BYTES of it in memory."""
    file.seek(0)
    packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    try:
        content = (gzip.GzipFile(fileobj=file) if packed else file).read(MAX_IDX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged and cannot be unpacked ({error}). Fetch it again") from error
    if len(content) > MAX_IDX_BYTES:
        raise DataError(
            f"{path} holds more than the {MAX_IDX_BYTES} bytes of the largest file expected: it is another file. "
            "Fetch it again"
        )
    return content


@contextlib.contextmanager
def _open_regular(path: Path) -> Iterator[BufferedReader]:
    """Opens a regular file for reading: no link that leads elsewhere, no pipe that blocks, no device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        reason = "it is a symbolic link" if os.path.islink(path) else error.strerror
        raise DataError(f"{path} cannot be read: {reason}. Put the file itself there, readable") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"{path} is not a regular file. Put the file itself there")
    with open(descriptor, "rb") as file:
        yield file


@contextlib.contextmanager
def _written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes its name only when complete and on disk, and vanishes on an error."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
