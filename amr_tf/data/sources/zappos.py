"""TFDS builder of UT Zappos50K (Yu and Grauman, 2014, https://vision.cs.utexas.edu/projects/finegrained/utzap50k/).

TFDS does not include the data set. This builder reads the official zip file.
"""

import os
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import ClassVar

import tensorflow_datasets as tfds

from amr_tf.data.sources.preflight import Target
from amr_tf.runtime.errors import DataError, one_line, printable

URL = "https://vision.cs.utexas.edu/projects/finegrained/utzap50k/"
# The first file contains images of 136 x 136, the second images of 136 x 102, which `cut.on_white` makes square.
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
MAX_PICTURE_BYTES = 1 << 20  # ten times the size of the largest image


class UtZappos50k(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """50,025 catalogue images of shoes on white in 21 categories, in one split. There are no official splits."""

    name: ClassVar = "ut_zappos50k"
    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Put {FILES[0]} or {FILES[1]} of {URL} there."

    @staticmethod
    def find_archive(target: Target) -> Path:
        """Finds the zip file and checks its list of contents.

        The file is searched in raw_dir or, without raw_dir, in the folder for manual downloads.

        Raises:
            DataError: the file is missing or is not a zip file of Zappos images. The message is one line.
        """
        folder = target.raw_dir or target.manual_dir
        path = _in_folder(folder)
        if path is None:
            raise DataError(
                f"zappos needs {FILES[0]} (or {FILES[1]}) of {URL}: put it into {target.manual_dir}, or into a folder "
                f"given as --raw_dir. Looked in: {folder}"
            )
        try:
            with zipfile.ZipFile(path) as archive:
                found = _pictures(archive, path)
        except (OSError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError) as error:
            raise DataError(
                f"{path} is not a complete zip file ({one_line(error, 80)}). Fetch it again from {URL}"
            ) from error
        if not found:
            raise DataError(f"{path} contains no pictures of Zappos. Fetch it again from {URL}")
        return path

    def _info(self):
        features = tfds.features.FeaturesDict({
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=CLASSES),
            "name": tfds.features.Text(),
        })  # fmt: skip
        return tfds.core.DatasetInfo(builder=self, features=features, homepage=URL)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(_in_folder(Path(dl_manager.manual_dir)))}

    def _generate_examples(self, path):
        with zipfile.ZipFile(path) as archive:
            for member, name, label in _pictures(archive, path):
                # zipfile checks the CRC of a member that is read to its end.
                yield name, {"image": archive.read(member), "label": label, "name": name}


def _in_folder(folder: Path) -> Path | None:
    return next((folder / name for name in FILES if os.path.isfile(folder / name)), None)


def _pictures(archive: zipfile.ZipFile, path: Path) -> list[tuple[zipfile.ZipInfo, str, int]]:
    """Returns (member, name below the top folder, label) of every image TOP/category/kind/brand/number.jpg."""
    found = []
    for member in archive.infolist():
        _, *parts = PurePosixPath(member.filename).parts or ("",)
        if member.is_dir() or not parts or PurePosixPath(member.filename).suffix.lower() != ".jpg":
            continue
        kind = "/".join(parts[:2])
        if len(parts) < 3 or kind not in CLASSES or member.file_size > MAX_PICTURE_BYTES:
            raise DataError(
                f"{path} contains what Zappos does not: {printable(one_line(ValueError(member.filename), 80))}"
            )
        found.append((member, "/".join(parts), CLASSES.index(kind)))
    return found
