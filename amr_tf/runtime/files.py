"""Files: written whole or not at all, read only if they are regular files, kept where they are damaged."""

import contextlib
import itertools
import json
import math
import os
import pathlib
import shutil
import stat
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO


def regular(path: pathlib.Path) -> pathlib.Path:
    """Returns the path, unless a pipe or a device is there, on which a reader would wait forever.

    Raises:
        OSError: the path does not exist or is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path.name} is not a regular file")
    return path


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
    """Expands a leading `~` as a shell does: an unknown user's `~name` is an ordinary file name."""
    return pathlib.Path(os.path.expanduser(text))


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
