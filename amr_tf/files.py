"""Files that somebody else may have put in a run folder: read only where that ends, and kept where they are damaged."""

import itertools
import json
import math
import os
import pathlib
import stat
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
    """What a JSON file says, all of its numbers finite, as `runs.write_json` writes them.

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
