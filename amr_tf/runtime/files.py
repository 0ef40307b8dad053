"""Files: user paths, atomic writes, reads of regular files only, and renaming of damaged files."""

import contextlib
import glob
import itertools
import json
import math
import os
import pathlib
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO

from amr_tf.runtime.errors import ConfigError, printable

# Matches any scheme with two slashes. Schemes of storage match with one slash too, because pathlib shortens gs://bucket
# to gs:/bucket.
ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*://|(abfss?|dbfs|file|gs|hdfs|https?|s3[an]?|wasbs?):/", re.IGNORECASE
)
PATTERN = re.compile(r"[][*?\\]")  # characters that TensorFlow reads as a pattern in the path of a checkpoint


def regular(path: pathlib.Path) -> pathlib.Path:
    """Returns the path unchanged if it is a regular file. Reading from a pipe or device could block forever.

    Raises:
        OSError: the path does not exist or is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path.name} is not a regular file")
    return path


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads a JSON object as `write_json` writes it. All numbers must be finite.

    Raises:
        OSError: the file cannot be read or is not a regular file.
        ValueError: the file does not contain a valid JSON object, or a number is not finite.
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
    """Renames a damaged file or folder to a new name `damaged_<name>` and returns the new path."""
    endings = itertools.chain([""], (f".{number}" for number in itertools.count(2)))
    names = (path.with_name(f"damaged_{path.name}{ending}") for ending in endings)
    return path.rename(next(name for name in names if not name.exists()))


def user_path(text: str | os.PathLike[str], given_as: str = "") -> pathlib.Path:
    """Converts text typed by the user to a path. Every path of a command line passes through this function.

    A leading `~` is expanded. Applying the function to its result changes nothing.

    Args:
        text: the path as typed.
        given_as: what precedes the path in the error message, such as "--run_dir=".

    Raises:
        ConfigError: the text is an address of remote storage, begins with an unknown home folder, or contains a
            character that a file name cannot contain.
    """
    text = os.fspath(text)
    what, received = given_as.partition("=")[0] or "A path", printable(f"Received: {given_as}{text}")
    if ADDRESS.match(text):
        raise ConfigError(
            f"{what} takes a path of this machine, not an address. {received}. Use a local folder and copy it "
            "afterwards, or mount the storage"
        )
    expanded = os.path.expanduser(text)
    if text.startswith("~") and expanded.startswith("~"):
        raise ConfigError(
            f"{what} begins with a home folder that is unknown here. {received}. Set HOME or give the whole path "
            f"(./~... for a name that begins with ~)"
        )
    try:
        unusable = "\0" in os.fsdecode(os.fsencode(text))
    except UnicodeEncodeError:
        unusable = True
    if unusable:
        raise ConfigError(
            f"{what} contains a character that no file name has. {received}. Choose another name"
        )
    path = pathlib.Path(expanded)
    # Path removes a leading "./". Without it, `user_path` would read these paths as a home folder or an address.
    return path.absolute() if str(path).startswith("~") or ADDRESS.match(str(path)) else path


def absolute(text: str) -> str:
    """Makes a typed path absolute. "" and paths that start with `~` are returned unchanged."""
    return text if not text or text.startswith("~") else str(user_path(text).absolute())


def as_word(path: pathlib.Path) -> str:
    """Converts a path to text that command lines and `user_path` read as the same path."""
    text = str(path)
    return f"./{text}" if text.startswith(("-", "~")) or ADDRESS.match(text) else text


def matching(pattern: str | os.PathLike[str]) -> list[str]:
    """Lists the paths that match a glob pattern. Leading parts that exist on disk are not treated as patterns."""
    found, parts = "", list(pathlib.Path(pattern).parts)
    while parts and os.path.lexists(os.path.join(found, parts[0])):
        found = os.path.join(found, parts.pop(0))
    if not parts:
        return [found or os.curdir]
    return sorted(glob.glob(os.path.join(glob.escape(found), *parts), recursive=True))


@contextlib.contextmanager
def literal(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a path of the folder that TensorFlow does not treat as a pattern.

    TensorFlow 2.21 searches for the files of a checkpoint with a pattern. The search fails if the path of the folder
    contains `[ ] * ?` or a backslash (https://github.com/tensorflow/tensorflow/issues/34290). TensorFlow also accepts
    only paths that are valid UTF-8. This function can be removed once `tf.train.Checkpoint.read` finds the files that
    `write` has written to such a folder.
    """
    if not PATTERN.search(str(folder)) and str(folder).isprintable():
        yield folder
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield pathlib.Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_file(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a temporary file for writing. After the block the file is synced and replaces the file at `path`."""
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
    """Creates a temporary folder. After the block the folder is synced and renamed to `path`; an error deletes it."""
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
    """Writes a file atomically."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def sync(path: pathlib.Path) -> None:
    """Waits until a file, or the list of names in a folder, has been written to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with _naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
    """Adds the file's path to an OSError without one, raised by a call that received only a file descriptor."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes `content` as JSON, atomically."""
    write(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
