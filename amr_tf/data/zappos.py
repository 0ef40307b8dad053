"""UT Zappos50K (Yu & Grauman 2014, 2017), which TFDS does not have, as a builder that reads the official zip file."""

import os
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import ClassVar

import tensorflow_datasets as tfds

from amr_tf.data.preflight import Target
from amr_tf.runtime.errors import DataError, one_line, printable

URL = "https://vision.cs.utexas.edu/projects/finegrained/utzap50k/"
# The square pictures are 136 x 136; the others 136 x 102, set on white to make them square when they are read.
FILES = ("ut-zap50k-images-square.zip", "ut-zap50k-images.zip")
CLASSES = tuple(
    f"{category}/{kind}"
    for category, kinds in {
        "Boots": ("Ankle", "Knee High", "Mid-Calf", "Over the Knee", "Prewalker Boots"),
        "Sandals": ("Athletic", "Flat", "Heel"),
        "Shoes": (
            "Boat Shoes", "Clogs and Mules", "Crib Shoes", "Firstwalker", "Flats", "Heels", "Loafers", "Oxfords",
            "Prewalker", "Sneakers and Athletic Shoes",
        ),
        "Slippers": ("Boot", "Slipper Flats", "Slipper Heels"),
    }.items()
    for kind in kinds
)  # fmt: skip
MAX_PICTURE_BYTES = 1 << 20  # the largest is a tenth of that


class UtZappos50k(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """50,025 catalogue pictures of shoes on white, each with one of 21 categories; one split, since none is official.

    Either zip file lies in the folder for manual downloads.
    """

    name: ClassVar = "ut_zappos50k"
    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Put {FILES[0]} or {FILES[1]} of {URL} there."

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=CLASSES),
            "name": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), homepage=URL
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(_in_folder(Path(dl_manager.manual_dir)))}

    def _generate_examples(self, path):
        with zipfile.ZipFile(path) as archive:
            for member, name, label in _pictures(archive, path):
                # Reading a member to its end compares its CRC.
                yield name, {"image": archive.read(member), "label": label, "name": name}


def find(target: Target) -> Path:
    """The zip file: in raw_dir, or where there is none in the folder for manual downloads.

    Raises:
        DataError: it is not there, in one line that says what to put where.
    """
    folder = target.raw_dir or target.manual_dir
    path = _in_folder(folder)
    if path is None:
        raise DataError(
            f"zappos needs {FILES[0]} (or {FILES[1]}) of {URL}: put it into {target.manual_dir}, or into a folder "
            f"given as --raw_dir. Looked in: {folder}"
        )
    return path


def check(path: Path) -> None:
    """Makes sure that a file is a zip of Zappos' pictures by its list of contents. No sha256 of it is published.

    Raises:
        DataError: one line naming the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = _pictures(archive, path)
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError) as error:
        raise DataError(
            f"{path} is no whole zip file ({one_line(error, 80)}). Fetch it again from {URL}"
        ) from error
    if not found:
        raise DataError(f"{path} holds no pictures of Zappos. Fetch it again from {URL}")


def _in_folder(folder: Path) -> Path | None:
    return next((folder / name for name in FILES if os.path.isfile(folder / name)), None)


def _pictures(archive: zipfile.ZipFile, path: Path) -> list[tuple[zipfile.ZipInfo, str, int]]:
    """(member, name below the top folder, label) of every picture, which lies at TOP/category/kind/brand/number.jpg."""
    found = []
    for member in archive.infolist():
        _, *parts = PurePosixPath(member.filename).parts or ("",)
        if member.is_dir() or not parts or PurePosixPath(member.filename).suffix.lower() != ".jpg":
            continue
        kind = "/".join(parts[:2])
        if len(parts) < 3 or kind not in CLASSES or member.file_size > MAX_PICTURE_BYTES:
            raise DataError(
                f"{path} holds what Zappos does not: {printable(one_line(ValueError(member.filename), 80))}"
            )
        found.append((member, "/".join(parts), CLASSES.index(kind)))
    return found
