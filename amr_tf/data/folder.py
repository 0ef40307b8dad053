"""A folder of the user's own pictures: found, divided by their names, read side by side.

The sub-folders are the labels; pictures directly in the folder are all of one class.
"""

import collections
import concurrent.futures
import hashlib
import os
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import UnidentifiedImageError

from amr_tf.config.rules import FOLDER
from amr_tf.data.catalog import DatasetSpec
from amr_tf.data.decoding import Note, decode
from amr_tf.data.generated import Examples
from amr_tf.data.progress import counted
from amr_tf.runtime.errors import DataError, one_line, printable
from amr_tf.runtime.startup import cores

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
SHARE = 0.1  # of the pictures, for the validation and for the test split each
NAMED = 10  # broken pictures, or classes, that a message names
_SPLITS = ("training", "validation", "test")


class Picture(NamedTuple):
    """One file: where it is, the number of its class, and the hash that orders and divides the pictures."""

    path: Path
    label: int
    key: bytes


class Found(NamedTuple):
    """What a folder holds."""

    classes: tuple[str, ...]
    splits: tuple[list[Picture], ...]  # training, validation, test
    others: int  # files that are no pictures by their names


def check(dataset: str, batch_size: int) -> None:
    """Finds out, without opening a picture, whether `read` will have enough of them.

    Raises:
        DataError: see `find`; also when there are fewer pictures to train on than a batch holds.
    """
    train = len(find(dataset).splits[0])
    if train < batch_size:
        raise DataError(
            f"A batch needs {batch_size} pictures, {_shown(_root(dataset))} has {train} to train on: add some or lower "
            "--batch_size"
        )


def find(dataset: str) -> Found:
    """Lists the pictures of `folder:PATH`, whose contents are not looked at yet. What is hidden is left out.

    Raises:
        DataError: PATH is no folder, cannot be read, has no pictures, has a sub-folder without any, has pictures beside
            sub-folders, or too few of them for three splits.
    """
    root = _root(dataset)
    try:
        entries = sorted(path for path in root.iterdir() if not path.name.startswith("."))
        tops = [path for path in entries if path.is_dir()]
        files = [path for path in entries if path not in tops]
        per_top = {top: _files_below(top) for top in tops} or {root: files}
    except OSError as error:
        raise DataError(f"The folder of pictures cannot be read: {one_line(error)}") from error
    loose = [path for path in files if _is_picture(path)]
    if tops and loose:
        raise DataError(
            f"{_shown(root)} has pictures beside its sub-folders, which are the labels: move them into one. There: "
            f"{_shown(loose[0].name)}"
        )
    splits: tuple[list[Picture], ...] = ([], [], [])
    for label, (top, below) in enumerate(per_top.items()):
        paths = [path for path in below if _is_picture(path)]
        if not paths:
            hint = ", or remove it, since sub-folders are the labels" if tops else ""
            raise DataError(
                f"No pictures in {_shown(top)}: put PNG, JPEG, WebP, BMP or GIF files there{hint}"
            )
        for path in paths:
            key = key_of(path.relative_to(top).as_posix())
            splits[split_of(key)].append(Picture(path, label, key))
    _refuse_empty(root, splits)
    others = len({path for below in [files, *per_top.values()] for path in below if not _is_picture(path)})
    return Found(
        tuple(top.name for top in per_top), tuple(sorted(split, key=_order) for split in splits), others
    )


def key_of(name: str) -> bytes:
    """A hash of a picture's name below the folder of its class.

    The class is no part of it: pictures of one name in several classes, such as views of one thing, stay together, and
    a picture that gets another label stays in its split.
    """
    # One name may be spelt in two ways, depending on the file system that it comes from.
    return hashlib.sha256(os.fsencode(unicodedata.normalize("NFC", name))).digest()


def split_of(key: bytes) -> int:
    """0 (training), 1 (validation) or 2 (test), for ever the same for a name: other pictures have no say in it."""
    share = int.from_bytes(key[:8]) / 2**64
    return 2 if share < SHARE else 1 if share < 2 * SHARE else 0


def read(dataset: str, size: int, most: int | None = None) -> tuple[list[Examples], DatasetSpec]:
    """Reads all pictures of `folder:PATH` and says what was done to them.

    Args:
        dataset: `folder:PATH`.
        size: width and height wanted.
        most: of each split at most as many (None: all).

    Returns:
        (images, labels) of the training, validation and test split, uint8 [N, size, size, 3 or, if all are grey, 1] and
        int64 [N], classes mixed; and what they are.

    Raises:
        DataError: see `find`; also when pictures are broken, all of which are looked for.
    """
    found = find(dataset)
    splits = [split[:most] for split in found.splits]
    pictures = [picture for split in splits for picture in split]
    print(f"reading {len(pictures):,} pictures in {_shown(_root(dataset))}", flush=True)
    images = np.empty((len(pictures), size, size, 3), np.uint8)
    notes = _decode_into(images, pictures)
    if all(note.grey for note in notes):
        images = images[..., :1].copy()
    print(_report(found, notes, images.shape[1:]), flush=True)
    _warn_of_blank([picture.path for picture, note in zip(pictures, notes, strict=True) if note.blank])
    labels = np.array([picture.label for picture in pictures], np.int64)
    ends = np.cumsum([len(split) for split in splits])[:-1]
    parts: list[Examples] = list(zip(np.split(images, ends), np.split(labels, ends), strict=True))
    classes = found.classes
    spec = DatasetSpec(
        dataset, size, images.shape[-1], classes=len(classes), class_names=classes, sha256=_sha256(found)
    )
    return parts, spec


def _sha256(found: Found) -> str:
    """Of what the pictures are called and labelled; what they show is not looked at."""
    pictures = [picture.key + picture.label.to_bytes(8) for split in found.splits for picture in split]
    return hashlib.sha256(b"".join(pictures)).hexdigest()


def _decode_into(images: np.ndarray, pictures: Sequence[Picture]) -> list[Note]:
    """Reads picture i into images[i], uint8 [N, S, S, 3], with a thread on each core: Pillow lets others run.

    Raises:
        DataError: names the broken pictures. None is left out silently, since what a run learns from must not depend on
            a disk's mood, least of all where a run goes on.
    """

    def read_one(row: int) -> Note | str:
        # Pillow raises errors of a dozen kinds on broken files.
        try:
            images[row], note = decode(pictures[row].path, images.shape[1])
            return note
        except UnidentifiedImageError:
            return "no PNG, JPEG, WebP, BMP or GIF"
        except Exception as error:
            return printable(one_line(error, 80))

    pool = concurrent.futures.ThreadPoolExecutor(cores())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of oddities in what goes along with the pixels
            outcomes = list(
                counted(pool.map(read_one, range(len(pictures))), len(pictures), "reading pictures")
            )
    finally:
        pool.shutdown(cancel_futures=True)
    broken = [
        (picture.path, why) for picture, why in zip(pictures, outcomes, strict=True) if isinstance(why, str)
    ]
    if broken:
        named = "; ".join(f"{_shown(path)} ({why})" for path, why in broken[:NAMED])
        more = f"; and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        raise DataError(
            f"{len(broken)} of {len(pictures)} pictures cannot be read: mend or remove them. Received: {named}{more}"
        )
    return [note for note in outcomes if isinstance(note, Note)]


def _report(found: Found, notes: list[Note], shape: tuple[int, ...]) -> str:
    """What there is and what was done to it, in two lines."""
    height, width, channels = shape
    classes = ", ".join(_shown(name) for name in found.classes[:NAMED])
    more = ", ..." if len(found.classes) > NAMED else ""
    wanted = {"L"} if channels == 1 else {"RGB"}
    modes = collections.Counter(note.mode for note in notes)
    counts = {
        "made smaller": sum(note.change < 0 for note in notes),
        "enlarged": sum(note.change > 0 for note in notes),
        "cut to a square": sum(note.cut for note in notes),
        "turned upright by their EXIF data": sum(note.turned for note in notes),
        "with transparent parts, which are white now": sum(note.transparent for note in notes),
    } | {f"converted from {mode}": count for mode, count in sorted(modes.items()) if mode not in wanted}
    changes = "; ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    others = f"; {found.others:,} other files left alone" if found.others else ""
    return (
        f"classes: {len(found.classes):,} ({classes}{more}){others}\n"
        f"as {width} x {height} {'grey' if channels == 1 else 'RGB'}: {changes or 'nothing to change'}"
    )


def _warn_of_blank(paths: list[Path]) -> None:
    """Instance norm multiplies gradients by 316 where nothing varies: one such picture, and `resnet` diverges."""
    if paths:
        print(
            f"warning: {len(paths):,} of one colour throughout, on which --arch=resnet may diverge: "
            f"{_shown(paths[0])}{', ...' if len(paths) > 1 else ''}",
            flush=True,
        )


def _files_below(top: Path) -> list[Path]:
    return [
        Path(folder, name) for folder, _, names in _walk(top) for name in names if not name.startswith(".")
    ]


def _walk(top: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(top, onerror=refuse):
        os.stat(os.path.join(folder, os.curdir))  # names may be listed where no file may be opened
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield folder, folders, names


def _is_picture(path: Path) -> bool:
    # Reading a pipe would wait for ever.
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _refuse_empty(root: Path, splits: Sequence[list[Picture]]) -> None:
    if not all(splits):
        counts = ", ".join(f"{len(split)} for {name}" for split, name in zip(splits, _SPLITS, strict=True))
        raise DataError(
            f"{_shown(root)} has too few pictures to be divided by their names: {counts}. Add some"
        )


def _order(picture: Picture) -> tuple[bytes, int]:
    return picture.key, picture.label


def _root(dataset: str) -> Path:
    # Unlike pathlib's, this expanduser takes the name of an unknown user for a folder's.
    return Path(os.path.expanduser(dataset.removeprefix(FOLDER)))


def _shown(path: Path | str) -> str:
    """A name on one line, whatever bytes it is made of: none of them a terminal's command."""
    return printable(" ".join(os.fsencode(path).decode(errors="replace").split()))
