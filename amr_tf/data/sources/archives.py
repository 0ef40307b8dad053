"""Official files of a data set: checks their SHA-256 and imports them into TFDS's download cache.

TFDS does not check the files in its cache. This module therefore checks files before the import, and imports them
atomically. Only IDX files are unpacked, in memory and up to their known size.
"""

import contextlib
import dataclasses
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from amr_tf.runtime import files
from amr_tf.runtime.errors import DataError, one_line

# Size of the largest IDX file of the MNIST family: a header and 60,000 images of 28 x 28.
MAX_IDX_BYTES = 16 + 60_000 * 28 * 28
_GZIP_MAGIC = b"\x1f\x8b"


@dataclasses.dataclass(frozen=True)
class Archive:
    """One official file of a data set.

    Attributes:
        filename, url, size, sha256: as recorded in TFDS.
        cache_path: path in TFDS's download cache.
        content_sha256: sha256 of the unpacked file; None if it is unknown.
    """

    filename: str
    url: str
    size: int
    sha256: str
    cache_path: Path
    content_sha256: str | None = None

    @property
    def info_path(self) -> Path:
        """Path of TFDS's .INFO file for the cached file. TFDS ignores cached files without an .INFO file."""
        return self.cache_path.with_name(self.cache_path.name + ".INFO")

    @property
    def cached(self) -> bool:
        return os.path.exists(self.cache_path) and os.path.exists(self.info_path)

    def find(self, folder: Path) -> Path | None:
        """Finds the file in a folder under any of its usual names; None if it is missing."""
        names = [self.filename]
        if self.content_sha256:
            plain = self.filename.removesuffix(".gz")
            dotted = plain.replace("-idx", ".idx")
            names += [plain, dotted, dotted + ".gz"]
        paths = [folder / name for name in names if os.path.lexists(folder / name)]
        # Programs that unpack an archive may create a folder with one of these names beside the file.
        return next(filter(os.path.isfile, paths), paths[0] if paths else None)

    def find_shared(self, folder: Path) -> Path | None:
        """Finds the file in a folder that data sets share. A file of another size belongs to another data set."""
        path = folder / self.filename
        return path if os.path.isfile(path) and path.stat().st_size == self.size else None


class Checked(NamedTuple):
    """A checked file on disk, which equals an archive. If only the unpacked contents are equal, `content` is set."""

    archive: Archive
    path: Path
    content: bytes | None = None


def check(archive: Archive, path: Path) -> Checked:
    """Checks that a file is the archive.

    Raises:
        DataError: the file cannot be read, is not a regular file, or differs from the archive. The message is one line.
    """
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size == archive.size and hashlib.file_digest(file, "sha256").hexdigest() == archive.sha256:
            return Checked(archive, path)
        if archive.content_sha256:
            content = _unpacked(file)
            if hashlib.sha256(content).hexdigest() == archive.content_sha256:
                return Checked(archive, path, content)
    raise DataError(
        f"{path} is not the official {archive.filename}: expected {archive.size} bytes with sha256 "
        f"{archive.sha256}, received {size} bytes with other contents. Fetch it again from {archive.url}"
    )


def store(found: Iterable[Checked]) -> None:
    """Copies checked files into TFDS's download cache, atomically.

    Raises:
        DataError: a file changed after it was checked.
        OSError: the cache cannot be written.
    """
    for archive, path, content in found:
        archive.cache_path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_file(archive.cache_path) as target:
            if content is not None:
                # mtime 0 makes the packed bytes independent of the time.
                target.write(gzip.compress(content, compresslevel=1, mtime=0))
            else:
                # The file is hashed again, because it may have changed since `check`.
                digest = hashlib.sha256()
                with _open(path) as source:
                    while block := source.read(1 << 20):
                        digest.update(block)
                        target.write(block)
                if digest.hexdigest() != archive.sha256:
                    raise DataError(f"{path} changed while it was being read. Run again once it is whole")
        note = {"urls": [archive.url], "original_fname": archive.filename}
        files.write(archive.info_path, json.dumps(note))


def _unpacked(file: BufferedReader) -> bytes:
    """Reads an IDX file, gzipped or not, up to MAX_IDX_BYTES + 1 bytes. Returns b"" if the file is damaged."""
    file.seek(0)
    packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    with contextlib.suppress(OSError, EOFError, zlib.error):
        return (gzip.GzipFile(fileobj=file) if packed else file).read(MAX_IDX_BYTES + 1)
    return b""


def _open(path: Path) -> BufferedReader:
    """Opens a regular file for reading. Raises DataError for links, pipes and devices."""
    try:
        if path.is_symlink():
            raise OSError("it is a symbolic link")
        return files.regular(path).open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {one_line(error)}. Put a readable file there") from error
