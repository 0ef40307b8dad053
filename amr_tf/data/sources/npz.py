"""Files of `numpy.savez`: reads the headers of arrays alone, and arrays that contain no Python objects."""

import contextlib
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amr_tf.runtime import files
from amr_tf.runtime.errors import DataError, UserError, one_line, printable

ADVICE = "Write it again: numpy.savez(FILE, images=images, labels=labels)"
_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Header(NamedTuple):
    """Shape and type of an array, as stored at the beginning of the array's file."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Number of bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{'text' if self.dtype.kind == 'U' else self.dtype.name} {list(self.shape)}"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens a file of arrays. An error in the block is reported as damage to the file.

    Raises:
        DataError: the file is missing, is not what `numpy.savez` writes, or is damaged.
    """
    try:
        with open(files.regular(path), "rb") as file, zipfile.ZipFile(file) as archive:
            yield archive
    except (UserError, MemoryError):
        raise
    except OSError as error:
        raise DataError(f"The file of arrays cannot be read: {printable(one_line(error))}") from error
    except Exception as error:  # zipfile, its decompressors and NumPy raise errors of a dozen kinds
        raise DataError(
            f"No file of numpy.savez, or a damaged one. Received: {path} ({printable(one_line(error, 80))}). {ADVICE}"
        ) from error


def read_headers(archive: zipfile.ZipFile) -> dict[str, Header]:
    """Reads the header of each array, by the array's name.

    Raises:
        ValueError: a header is damaged, or the length of an array differs from its header.
    """
    headers = {}
    for member in archive.infolist():
        if not member.filename.endswith(".npy"):
            continue
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            if version not in _READ_HEADER:
                raise ValueError(f"{member.filename} has version {version} of the format")
            shape, _, dtype = _READ_HEADER[version](file)
            length = member.file_size - file.tell()
        header = Header(shape, dtype)
        if min(shape, default=0) < 0 or (not dtype.hasobject and header.size != length):
            raise ValueError(f"{member.filename} is not as long as its header says")
        headers[member.filename.removesuffix(".npy")] = header
    return headers


def read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Reads an array whose header was checked. A damaged array may raise an error of any type."""
    with archive.open(f"{name}.npy") as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        file.read(1)  # zipfile checks the checksum at the end of the file
    return array
