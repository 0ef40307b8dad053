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

# Any scheme with two slashes, and with one slash those of storage: pathlib shortens gs://bucket to gs:/bucket.
ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*://|(abfss?|dbfs|file|gs|hdfs|https?|s3[an]?|wasbs?):/", re.IGNORECASE
)
PATTERN = re.compile(r"[][*?\\]")  # characters that TensorFlow reads as a pattern in the path of a checkpoint


def regular(path: pathlib.Path) -> pathlib.Path:
    """Returns the path of a regular file; refuses pipes and devices, on which a reader would wait forever.

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


def user_path(text: str | os.PathLike[str], given_as: str = "") -> pathlib.Path:
    """Returns the path that a user names. Every path of a command line goes through this function.

    A leading `~` is expanded. Applying the function to its result changes nothing.

    Args:
        text: the path as typed.
        given_as: what precedes the path in the error message, such as "--run_dir=".

    Raises:
        ConfigError: an address of remote storage, a home folder that is unknown, or text that names no file.
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
    # Without its ./ it would be read otherwise the next time.
    return path.absolute() if str(path).startswith("~") or ADDRESS.match(str(path)) else path


def absolute(text: str) -> str:
    """Makes a typed path independent of the working folder; "" and `~/...` are unchanged."""
    return text if not text or text.startswith("~") else str(user_path(text).absolute())


def as_word(path: pathlib.Path) -> str:
    """Converts a path that was found on disk to the text that `user_path` and command lines read as that path."""
    text = str(path)
    return f"./{text}" if text.startswith(("-", "~")) or ADDRESS.match(text) else text


def matching(pattern: str | os.PathLike[str]) -> list[str]:
    """Lists the paths that match a pattern. Leading parts that exist are taken literally."""
    found, parts = "", list(pathlib.Path(pattern).parts)
    while parts and os.path.lexists(os.path.join(found, parts[0])):
        found = os.path.join(found, parts.pop(0))
    if not parts:
        return [found or os.curdir]
    return sorted(glob.glob(os.path.join(glob.escape(found), *parts), recursive=True))


@contextlib.contextmanager
def literal(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Context with a path of a folder that TensorFlow reads literally.

    TensorFlow 2.21 searches for the files of a checkpoint by a pattern, and so misses those in a folder whose path
    contains `[ ] * ?` or a backslash (https://github.com/tensorflow/tensorflow/issues/34290). It takes paths in UTF-8
    only. To be removed once `tf.train.Checkpoint.read` finds what `write` has written there.
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
    """Opens a file for writing; it appears under its name, replacing an old one, once it is complete and synced."""
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
    """Makes a folder to fill; it appears under its name once its content is synced. An error deletes it."""
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
    """Writes `content` as JSON, atomically."""
    write(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
