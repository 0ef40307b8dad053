"""Files that somebody else may have put in a run folder: read only where that ends, and kept where they are damaged."""

import itertools
import os
import pathlib
import stat


def regular(path: pathlib.Path) -> pathlib.Path:
    """The same path, if no pipe or device is there, at which a reader would wait for ever.

    Raises:
        OSError: there is none, or it is no file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path.name} is no file")
    return path


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
