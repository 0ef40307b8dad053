"""A folder of the user's own pictures: listed, divided by their names, decoded in parallel.

The sub-folders are the labels; pictures directly in the folder form one class.
"""

import collections
import concurrent.futures
import dataclasses
import hashlib
import itertools
import os
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import UnidentifiedImageError

from amr_tf.data.catalog import DatasetSpec, Places
from amr_tf.data.decoding import Note, decode
from amr_tf.data.sources import Examples, counted
from amr_tf.registry import FOLDER
from amr_tf.runtime import files
from amr_tf.runtime.errors import DataError, one_line, printable
from amr_tf.runtime.startup import cores

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
SHARE = 0.1  # of the pictures, for the validation and for the test split each
NAMED = 10  # broken pictures, or classes, that a message names
# Instance norm multiplies gradients by 316 where nothing varies.
BLANK = "of one colour throughout, on which --arch=resnet may diverge"


class Picture(NamedTuple):
    """One file: its path, the number of its class, and the hash that orders and divides the pictures."""

    path: Path
    label: int
    key: bytes


class Found(NamedTuple):
    """The pictures of a folder, not opened yet."""

    root: Path
    classes: tuple[str, ...]
    splits: list[list[Picture]]  # training, validation, test
    others: int  # files that are not pictures by their names


def check(spec: DatasetSpec, places: Places) -> None:
    """Checks, without opening a picture, that `read` will have enough of them.

    Raises:
        DataError: see `find`; also when a batch needs more pictures than there are to train on.
    """
    found = find(spec.name)
    train = len(found.splits[0])
    if train < places.batch_size:
        raise DataError(
            f"A batch needs {places.batch_size} pictures, {_shown(found.root)} has {train} to train on: add some or "
            "lower --batch_size"
        )


def read(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Reads the pictures of `folder:PATH`, at most `places.limit` of each split, and prints what was done to them.

    Images are uint8 [N, width, width, 3], or 1 channel if all pictures are grey; classes are in mixed order.

    Raises:
        DataError: see `find`; also when pictures are broken, all of which are named.
    """
    found = find(spec.name)
    splits = [split[: places.limit] for split in found.splits]
    pictures = [picture for split in splits for picture in split]
    print(f"reading {len(pictures):,} pictures in {_shown(found.root)}", flush=True)
    images = np.empty((len(pictures), spec.width, spec.width, 3), np.uint8)
    notes = _decode_into(images, pictures)
    if all(note.grey for note in notes):
        images = images[..., :1].copy()
    print(_report(found, notes, images.shape[1:]), flush=True)
    if blank := [_shown(picture.path) for picture, note in zip(pictures, notes, strict=True) if note.blank]:
        print(f"warning: {len(blank):,} {BLANK}: {blank[0]}{', ...' * (len(blank) > 1)}", flush=True)
    named = b"".join(picture.key + picture.label.to_bytes(8) for split in found.splits for picture in split)
    spec = dataclasses.replace(
        spec,
        channels=images.shape[-1],
        classes=len(found.classes),
        class_names=found.classes,
        sha256=hashlib.sha256(named).hexdigest(),
    )
    examples = Examples(images, np.array([picture.label for picture in pictures], np.int64))
    ends = np.cumsum([0, *map(len, splits)])
    return spec, [examples.take(slice(*part)) for part in itertools.pairwise(ends)]


def find(dataset: str) -> Found:
    """Lists, labels and divides the pictures of `folder:PATH`. Hidden files and folders are left out.

    Raises:
        DataError: PATH is not a readable folder, its layout is unclear, or it has too few pictures for three splits.
    """
    root = files.user_path(dataset.removeprefix(FOLDER))
    try:
        entries = sorted(path for path in root.iterdir() if not path.name.startswith("."))
        tops = [path for path in entries if path.is_dir()]
        below = {top: _files_below(top) for top in tops or [root]}
    except OSError as error:
        raise DataError(f"The folder of pictures cannot be read: {one_line(error)}") from error
    loose = [path for path in entries if path not in tops] if tops else []
    if beside := next(filter(_is_picture, loose), None):
        raise DataError(
            f"{_shown(root)} has pictures beside its sub-folders, which are the labels. Received: "
            f"{_shown(beside.name)}. Move them into a sub-folder"
        )
    others = len(loose)
    splits: list[list[Picture]] = [[], [], []]
    for label, (top, paths) in enumerate(below.items()):
        pictures = [path for path in paths if _is_picture(path)]
        if not pictures:
            hint = ", or remove it, since sub-folders are the labels" if tops else ""
            raise DataError(f"No pictures in {_shown(top)}: add PNG, JPEG, WebP, BMP or GIF files{hint}")
        others += len(paths) - len(pictures)
        for path in pictures:
            key = key_of(path.relative_to(top).as_posix())
            splits[split_of(key)].append(Picture(path, label, key))
    if not all(splits):
        train, validation, test = map(len, splits)
        raise DataError(
            f"{_shown(root)} has too few pictures to be divided by their names: {train} for training, {validation} for "
            f"validation, {test} for test. Add some"
        )
    for split in splits:
        split.sort(key=lambda picture: (picture.key, picture.label))
    return Found(root, tuple(top.name for top in below), splits, others)


def _files_below(top: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise error

    found = []
    for folder, folders, names in os.walk(top, onerror=refuse):
        os.stat(os.path.join(folder, os.curdir))  # a folder that may be listed but not entered raises here
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return found


def _is_picture(path: Path) -> bool:
    # A pipe is not a file; reading it would block.
    return path.suffix.lower() in SUFFIXES and path.is_file()


def key_of(name: str) -> bytes:
    """Hashes a picture's name below the folder of its class, so that one that gets another label stays in its split."""
    # File systems spell accents in two ways.
    return hashlib.sha256(os.fsencode(unicodedata.normalize("NFC", name))).digest()


def split_of(key: bytes) -> int:
    """Assigns 0 (training), 1 (validation) or 2 (test) by the name alone, independently of other pictures."""
    share = int.from_bytes(key[:8]) / 2**64
    return 2 if share < SHARE else 1 if share < 2 * SHARE else 0


def _decode_into(images: np.ndarray, pictures: Sequence[Picture]) -> list[Note]:
    """Reads picture i into images[i], uint8 [N, S, S, 3], with a thread on each core.

    Raises:
        DataError: names the broken pictures. Skipping them would make training depend on the state of a disk.
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
            warnings.simplefilter("ignore")  # about oddities in metadata
            rows = pool.map(read_one, range(len(pictures)))
            outcomes = list(counted(rows, len(pictures), "reading pictures"))
    finally:
        pool.shutdown(cancel_futures=True)
    notes = [outcome for outcome in outcomes if isinstance(outcome, Note)]
    if len(notes) < len(pictures):
        each = zip(pictures, outcomes, strict=True)
        broken = [f"{_shown(picture.path)} ({why})" for picture, why in each if isinstance(why, str)]
        more = f"; and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        raise DataError(
            f"{len(broken)} of {len(pictures)} pictures cannot be read. Received: {'; '.join(broken[:NAMED])}{more}. "
            "Repair or remove them"
        )
    return notes


def _report(found: Found, notes: list[Note], shape: tuple[int, ...]) -> str:
    """Two lines: the classes, and what was done to the pictures."""
    height, width, channels = shape
    kind, mode = ("grey", "L") if channels == 1 else ("RGB", "RGB")
    counts = collections.Counter[str]()
    for note in notes:
        counts["made smaller"] += note.change < 0
        counts["enlarged"] += note.change > 0
        counts["cut to a square"] += note.cut
        counts["turned upright by their EXIF data"] += note.turned
        counts["with transparent parts, which are white now"] += note.transparent
    counts.update(f"converted from {name}" for name in sorted(note.mode for note in notes) if name != mode)
    changes = "; ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    classes = ", ".join([*map(_shown, found.classes[:NAMED]), *["..."] * (len(found.classes) > NAMED)])
    others = f"; {found.others:,} other files left alone" if found.others else ""
    return (
        f"classes: {len(found.classes):,} ({classes}){others}\n"
        f"as {width} x {height} {kind}: {changes or 'nothing to change'}"
    )


def _shown(path: Path | str) -> str:
    """A name on one line, without control characters."""
    return printable(" ".join(os.fsencode(path).decode(errors="replace").split()))
