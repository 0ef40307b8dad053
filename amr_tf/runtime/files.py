"""Files: written whole or not at all, read only if they are regular files, kept where they are damaged."""

import codecs
import contextlib
import itertools
import json
import math
import os
import pathlib
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO

from amr_tf.runtime.errors import UserError

# Two letters and more: gs://bucket, s3://bucket, dbfs:/folder. pathlib makes one slash of two.
REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
# Byte-order marks. That of UTF-16 begins one of UTF-32.
WIDE = {
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
PATTERN = frozenset("*?[\\")


def regular(path: pathlib.Path) -> pathlib.Path:
    """Returns the path, unless a pipe or a device is there, on which a reader would wait forever.

    Raises:
        OSError: the path does not exist or is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path.name} is not a regular file")
    return path


def read_text(path: pathlib.Path) -> str:
    """Reads a text file in UTF-8, with or without a byte-order mark.

    Raises:
        OSError: the file cannot be read or is not a regular file.
        ValueError: another encoding.
    """
    content = regular(path).read_bytes()
    for encoding, marks in WIDE.items():
        if content.startswith(marks):
            raise ValueError(f"the text is {encoding}. Save it as UTF-8")
    if b"\0" in content:
        raise ValueError("the text contains zero bytes, as UTF-16 does. Save it as UTF-8")
    return content.decode("utf-8-sig")


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads a JSON object, all numbers of which are finite, as `write_json` writes it.

    Raises:
        OSError: the file cannot be read or is not a regular file.
        ValueError: the file is damaged.
    """
    try:
        content = json.loads(
            regular(path).read_bytes(), parse_constant=_number, parse_float=_number, parse_int=_number
        )
    except RecursionError as error:
        raise ValueError("too many brackets") from error
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def _number(text: str) -> int | float:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text[:20]} is not finite")
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def set_aside(path: pathlib.Path) -> pathlib.Path:
    """Renames a damaged file or folder to `damaged_...`, so that its name is free and nothing is lost."""
    endings = itertools.chain([""], (f".{number}" for number in itertools.count(2)))
    names = (path.with_name(f"damaged_{path.name}{ending}") for ending in endings)
    return path.rename(next(name for name in names if not name.exists()))


def user_path(text: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the local path that a user names. Every path of every command passes through here.

    A leading `~` is expanded as a shell does: an unknown user's `~name` is an ordinary file name.

    Example:
        >>> user_path("runs/a")
        PosixPath('runs/a')

    Raises:
        UserError: a remote address such as gs://bucket, or `~` where the home folder is unknown.
    """
    path = os.path.expanduser(text)
    if REMOTE.match(path):
        raise UserError(
            f"Remote addresses are not supported. Received: {path}. Use a local folder (a mounted bucket is one)"
        )
    if path.split("/")[0] == "~":
        raise UserError(
            f"The home folder is unknown. Received: {path}. Set HOME, or write the path without ~ (or as ./~)"
        )
    return pathlib.Path(path)


def absolute(text: str) -> str:
    """Returns a user's path as it reads from any working folder; `~` stays as it is."""
    return text if text.startswith("~") else os.path.abspath(text)


@contextlib.contextmanager
def without_pattern(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a path of an existing folder that has none of the characters * ? [ \\.

    TensorFlow 2.21 matches the path of a checkpoint as a pattern when it reads one
    (https://github.com/tensorflow/tensorflow/issues/6082), so it gets a link where the folder's own path has such a
    character.
    """
    if not PATTERN.intersection(str(folder)):
        yield folder
        return
    place = next((p for p in (tempfile.gettempdir(), "/tmp") if not PATTERN.intersection(p)), None)  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="amr_tf_", dir=place) as parent:
        link = pathlib.Path(parent, "folder")
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link


@contextlib.contextmanager
def atomic_file(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes its name, and replaces an old one, once it is complete and on the disk."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with _naming(path), open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Makes a folder to fill that takes its name once everything in it is on the disk. An error deletes it."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        for entry in sorted(temporary.rglob("*"), reverse=True):
            sync(entry)
        sync(temporary)
        os.rename(temporary, path)
        sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write(path: pathlib.Path, content: str | bytes) -> None:
    """Writes a file whole, as `atomic_file` does."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def sync(path: pathlib.Path) -> None:
    """Waits until a file, or the list of names in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with _naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
    """Puts the file's name into errors of calls that receive a file descriptor only."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes `content` as JSON, whole."""
    write(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
