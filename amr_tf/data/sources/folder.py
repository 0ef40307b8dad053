"""Reader of a folder of the user's own images, which `folder_layout` lists. Images are decoded in parallel."""

import collections
import concurrent.futures
import dataclasses
import hashlib
import itertools
import warnings
from collections.abc import Sequence

import numpy as np
from PIL import UnidentifiedImageError

from amr_tf.data.catalog import DatasetSpec, Places
from amr_tf.data.decoding import DEEP, Note, decode
from amr_tf.data.sources import Examples, counted
from amr_tf.data.sources.folder_layout import Found, Picture, find, shown
from amr_tf.runtime.errors import DataError, one_line, printable
from amr_tf.runtime.startup import cores

DEPTHS = (2**8 - 1, 2**10 - 1, 2**12 - 1, 2**14 - 1)  # largest values of images with fewer than 16 bits
NAMED = 10  # largest number of broken images, or classes, that a message names
# Instance normalisation multiplies gradients by 316 if all pixels are equal.
BLANK = "of one colour throughout, on which --arch=resnet may diverge"


def check(spec: DatasetSpec, places: Places) -> None:
    """Checks that the folder has enough images for `read`. No image is opened.

    Raises:
        DataError: see `find`; also if there are fewer training images than a batch needs.
    """
    found = find(spec.name)
    train = len(found.splits[0])
    if train < places.batch_size:
        raise DataError(
            f"A batch needs {places.batch_size} pictures, {shown(found.root)} has {train} to train on: add some or "
            "lower --batch_size"
        )


def read(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Reads the images of `folder:PATH`, at most `places.limit` of each split, and prints a report.

    Images are uint8 [N, width, width, 3], or have 1 channel if all files are greyscale. Their order does not depend on
    the class.

    Raises:
        DataError: see `find`; also if images are broken. The message names up to NAMED of them.
    """
    found = find(spec.name)
    splits = [split[: places.limit] for split in found.splits]
    pictures = [picture for split in splits for picture in split]
    print(f"reading {len(pictures):,} pictures in {shown(found.root)}", flush=True)
    images = np.empty((len(pictures), spec.width, spec.width, 3), np.uint8)
    notes, white = _decode_into(images, pictures), DEEP
    top = max((note.top for note in notes), default=0)
    if 0 < top <= DEPTHS[-1]:
        narrow = min(depth for depth in DEPTHS if top <= depth)
        if places.pixel_range == "auto":
            white = narrow
            _decode_into(images, pictures, white)
            print(
                f"16-bit pictures: 0 to {white:,} become black to white, the largest is {top:,}", flush=True
            )
        else:
            print(
                f"warning: 16-bit pictures have values of 0 to {top:,} of {DEEP:,}, nearly black. --pixel_range=auto "
                f"makes {narrow:,} white",
                flush=True,
            )
    if all(note.grey for note in notes):
        images = images[..., :1].copy()
    print(_report(found, notes, images.shape[1:]), flush=True)
    if blank := [shown(picture.path) for picture, note in zip(pictures, notes, strict=True) if note.blank]:
        print(f"warning: {len(blank):,} {BLANK}: {blank[0]}{', ...' * (len(blank) > 1)}", flush=True)
    named = b"".join(picture.key + picture.label.to_bytes(8) for split in found.splits for picture in split)
    spec = dataclasses.replace(
        spec,
        channels=images.shape[-1],
        classes=len(found.classes),
        class_names=found.classes,
        sha256=hashlib.sha256(named).hexdigest(),
        white=white,
        content_sha256=hashlib.sha256(b"".join(note.sha256 for note in notes)).hexdigest(),
    )
    examples = Examples(images, np.array([picture.label for picture in pictures], np.int64))
    ends = np.cumsum([0, *map(len, splits)])
    return spec, [examples.take(slice(*part)) for part in itertools.pairwise(ends)]


def _decode_into(images: np.ndarray, pictures: Sequence[Picture], white: int = DEEP) -> list[Note]:
    """Decodes file i into images[i], uint8 [N, S, S, 3], with one thread per core.

    Raises:
        DataError: files are broken. They are not skipped, because training would then depend on the state of a disk.
    """

    def read_one(row: int) -> Note | str:
        # Pillow raises errors of many types on broken files.
        try:
            images[row], note = decode(pictures[row].path, images.shape[1], white=white)
            return note
        except UnidentifiedImageError:
            return "no PNG, JPEG, WebP, BMP or GIF"
        except Exception as error:
            return printable(one_line(error, 80))

    pool = concurrent.futures.ThreadPoolExecutor(cores())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about unusual metadata
            rows = pool.map(read_one, range(len(pictures)))
            outcomes = list(counted(rows, len(pictures), "reading pictures"))
    finally:
        pool.shutdown(cancel_futures=True)
    notes = [outcome for outcome in outcomes if isinstance(outcome, Note)]
    if len(notes) < len(pictures):
        each = zip(pictures, outcomes, strict=True)
        broken = [f"{shown(picture.path)} ({why})" for picture, why in each if isinstance(why, str)]
        more = f"; and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        raise DataError(
            f"{len(broken)} of {len(pictures)} pictures cannot be read. Received: {'; '.join(broken[:NAMED])}{more}. "
            "Repair or remove them"
        )
    return notes


def _report(found: Found, notes: list[Note], shape: tuple[int, ...]) -> str:
    """Returns a report on the classes, the splits, the skipped files and the conversions of images."""
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
    classes = ", ".join([*map(shown, found.classes[:NAMED]), *["..."] * (len(found.classes) > NAMED)])
    left_out = [
        f"{len(paths):,} {kind} ({shown(paths[0].relative_to(found.root))})"
        for kind, paths in found.left_out.items()
    ]
    others = f"left out: {', '.join(left_out)}\n" if left_out else ""
    divided = f"{found.divided}\n" if found.divided else ""
    return (
        f"classes: {len(found.classes):,} ({classes})\n{divided}{others}"
        f"as {width} x {height} {kind}: {changes or 'nothing to change'}"
    )
