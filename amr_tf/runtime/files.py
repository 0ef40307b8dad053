"""Files on the disk: written whole or not at all, read only where that ends, kept where they are damaged."""

import contextlib
import itertools
import json
import math
import os
import pathlib
import stat
from collections.abc import Iterator
from typing import Any


def regular(path: pathlib.Path) -> pathlib.Path:
    """The same path, if no pipe or device is there, at which a reader would wait for ever.

    Raises:
        OSError: there is none, or it is no file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path.name} is no file")
    return path


def read_json(path: pathlib.Path) -> Any:
    """What a JSON file says, all of its numbers finite, as `write_json` writes them.

    Raises:
        OSError: it cannot be read, or is no file.
        ValueError: it is damaged.
        RecursionError: it is damaged.
    """
    return json.loads(
        regular(path).read_bytes(),
        parse_constant=_number,
        parse_float=_number,
        parse_int=_number,
    )


def _number(text: str) -> int | float:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text[:20]} is no number that can be counted with")
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def set_aside(path: pathlib.Path) -> pathlib.Path:
    """Gives what is damaged the name `damaged_...`, so that it can be written anew and nothing of it is lost.

    Raises:
        OSError: it cannot be renamed.
    """
    first = path.with_name(f"damaged_{path.name}")
    names = itertools.chain([first], (first.with_name(f"{first.name}.{n}") for n in itertools.count(2)))
    kept = next(name for name in names if not name.exists())
    os.rename(path, kept)
    return kept


def write(path: pathlib.Path, content: str | bytes) -> None:
    """Writes a file whole: under a temporary name beside it, synced, then renamed.

    Raises:
        OSError: nothing has changed at `path` then.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _naming(path), open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: pathlib.Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with _naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
    """Puts the file's name into errors of calls that know it by a number only."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes `content` as JSON, whole."""
    write(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
