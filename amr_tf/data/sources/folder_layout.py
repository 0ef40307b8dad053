"""The layout of a folder of images: its classes, its splits and the skipped files.

PATH/CLASS/...           the sub-folders are the classes; a hash of the images' names decides the splits
PATH/SPLIT/CLASS/...     sub-folders such as train, val and test are the splits
PATH/... or PATH/SPLIT/...   without sub-folders for classes, all images have the same class
"""

import collections
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from amr_tf.registry import FOLDER
from amr_tf.runtime import files
from amr_tf.runtime.errors import DataError, one_line, printable

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
SHARE = 0.1  # fraction of the images in the validation split, and in the test split
TRAIN, VALIDATION, TEST = range(3)
# Matches names such as Train, val, test_set and training-images. The regex groups are in the order of the splits.
SPLIT = re.compile(
    r"\s*(?:(train(?:ing)?)|(val(?:id(?:ation)?)?|dev|eval(?:uation)?)|(test(?:ing)?))"
    r"(?:[ _.-]?(?:set|data|dataset|split|images?|imgs?|pictures?|photos?))?\s*",
    re.IGNORECASE,
)
SPLIT_NAMES = ("training", "validation", "test")
# Names, in lower case, of files and folders that operating systems, archivers and file servers create automatically.
# Names that begin with a dot are not listed here, because all such files are skipped.
SYSTEM = {
    "__macosx", "$recycle.bin", "@eadir", "@recently-snapshot", "@recycle", "#recycle", "#snapshot", "~snapshot",
    "desktop.ini", "ehthumbs.db", "icon\r", "lost+found", "network trash folder", "recycler",
    "system volume information", "temporary items", "thumbs.db",
}  # fmt: skip


class Picture(NamedTuple):
    """One image file: its path, the number of its class, and a hash that decides its position and split."""

    path: Path
    label: int
    key: bytes


class Found(NamedTuple):
    """The image files of a folder, before they are opened."""

    root: Path
    classes: tuple[str, ...]
    splits: list[list[Picture]]  # training, validation, test
    divided: str  # sentence on the folders that are splits, "" if no folder is a split
    left_out: dict[str, list[Path]]  # skipped files and folders by kind


def find(dataset: str) -> Found:
    """Lists the images of `folder:PATH` with their classes and splits.

    Raises:
        DataError: PATH is not a readable folder, its layout is ambiguous, or it has too few images for three splits.
    """
    root = files.user_path(dataset.removeprefix(FOLDER))
    try:
        return _Layout(root).found()
    except OSError as error:
        raise DataError(f"The folder of pictures cannot be read: {one_line(error)}") from error


class _Layout:
    """Lists the images of a folder and records the skipped files."""

    def __init__(self, root: Path):
        self.root = root
        self.left_out: dict[str, list[Path]] = collections.defaultdict(list)
        real = Path(os.path.realpath(root))
        self.around = tuple(map(str, (real, *real.parents)))

    def found(self) -> Found:
        tops, loose = self.entries(self.root, self.around)
        of_split = self.split_folders(tops)
        divided = ""
        if of_split:
            self.refuse_beside(self.root, loose)
            classes, placed = self.divided(of_split)
            divided = self.sentence(of_split)
        else:
            classes, placed = self.labelled(self.root, tops, loose)
        if not all(placed):
            train, validation, test = map(len, placed)
            raise DataError(
                f"{shown(self.root)} has too few pictures to be divided by their names: {train} for training, "
                f"{validation} for validation, {test} for test. Add some"
            )
        for split in placed:
            split.sort(key=lambda picture: (picture.key, picture.label))
        return Found(self.root, classes, placed, divided, dict(self.left_out))

    def entries(self, folder: Path, around: tuple[str, ...]) -> tuple[list[Path], list[Path]]:
        """Returns the sub-folders and the images of a folder, sorted by name. Records all skipped files.

        Args:
            folder: the folder to list.
            around: real paths of this folder and its parents. Links to them are skipped, to avoid endless recursion.
        """
        os.stat(os.path.join(folder, os.curdir))  # raises for a folder that may be listed but not entered
        folders: list[Path] = []
        pictures: list[Path] = []
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if kind := _kind_left_out(entry, around):
                    self.left_out[kind].append(Path(entry.path))
                else:
                    (folders if entry.is_dir() else pictures).append(folder / entry.name)
        return folders, pictures

    def below(self, folder: Path, around: tuple[str, ...]) -> Iterator[Path]:
        """Yields the images in a folder at any depth. Links to folders are followed."""
        around = (*around, os.path.realpath(folder))
        folders, pictures = self.entries(folder, around)
        yield from pictures
        for inner in folders:
            yield from self.below(inner, around)

    def split_folders(self, tops: list[Path]) -> dict[int, Path]:
        """Returns the folder of each split by the split's number; {} if the sub-folders are classes.

        A folder called train is a split if it has sub-folders or if the folder of another split is beside it.
        Otherwise the folder is a class.
        """
        named = [top for top in tops if _split_named(top) is not None]
        if not named:
            self.refuse_within(tops)
            return {}
        deep = [top for top in named if _Layout(top).entries(top, self.around)[0]]
        numbers = [number for top in named if (number := _split_named(top)) is not None]
        names = ", ".join(shown(top.name) for top in tops[:10])
        if len(named) < len(tops) and (deep or len(set(numbers)) > 1):
            raise DataError(
                f"{shown(self.root)} has folders of splits beside others. Received: {names}. Move the classes into "
                "folders called train, val and test, or all pictures of a class into one folder"
            )
        if len(named) < len(tops) or (len(named) == 1 and not deep):
            return {}
        if len(set(numbers)) < len(named) or TRAIN not in numbers:
            raise DataError(
                f"{shown(self.root)} has folders of splits, but not one for training and at most one for each other "
                f"split. Received: {names}. Call them train, val and test"
            )
        return dict(sorted(zip(numbers, named, strict=True)))

    def refuse_within(self, tops: list[Path]) -> None:
        """Raises DataError if splits are one level too deep, as in PATH/data/train and PATH/CLASS/train."""
        found: dict[Path, list[str]] = {}
        for top in tops:
            inner = [
                folder
                for folder in _Layout(top).entries(top, self.around)[0]
                if _split_named(folder) is not None
            ]
            if len({_split_named(folder) for folder in inner}) > 1:
                found[top] = [shown(folder.name) for folder in inner]
        if found:
            top, names = next(iter(found.items()))
            advice = (
                f"Name {shown(top)} as the data set"
                if len(found) == 1
                else "Move the classes into the splits"
            )
            raise DataError(
                f"{shown(top)} has folders of splits, which belong directly into the data set's folder. Received: "
                f"{', '.join(names[:10])}. {advice}"
            )

    def refuse_beside(self, folder: Path, loose: list[Path]) -> None:
        if loose:
            raise DataError(
                f"{shown(folder)} has pictures beside its sub-folders, which are the labels. Received: "
                f"{shown(loose[0].name)}. Move them into a sub-folder"
            )

    def labelled(
        self, folder: Path, tops: list[Path], loose: list[Path]
    ) -> tuple[tuple[str, ...], list[list[Picture]]]:
        """Labels the images of a folder by sub-folder, and divides the images into splits by a hash of their names."""
        if tops:
            self.refuse_beside(folder, loose)
        placed: list[list[Picture]] = [[], [], []]
        for label, top in enumerate(tops or [folder]):
            pictures = loose if top is folder else [*self.below(top, self.around)]
            if not pictures:
                hint = ", or remove it, since sub-folders are the labels" if tops else ""
                raise DataError(f"No pictures in {shown(top)}: add PNG, JPEG, WebP, BMP or GIF files{hint}")
            for path in pictures:
                key = key_of(path.relative_to(top).as_posix())
                placed[split_of(key)].append(Picture(path, label, key))
        return tuple(top.name for top in tops or [folder]), placed

    def divided(self, of_split: dict[int, Path]) -> tuple[tuple[str, ...], list[list[Picture]]]:
        """Labels the images of each split by the classes of the training folder.

        If a split has no folder, a hash of the names selects the split's images among the training images.
        """
        placed: list[list[Picture]] = [[], [], []]
        classes: tuple[str, ...] = ()
        for number, folder in of_split.items():
            tops, loose = self.entries(folder, self.around)
            names, parts = self.labelled(folder, tops, loose)
            names = names if tops else (self.root.name or "pictures",)
            classes = classes or names
            if unknown := sorted({*names} - {*classes}):
                raise DataError(
                    f"{shown(folder)} has classes that {shown(of_split[TRAIN])} lacks. Received: "
                    f"{', '.join(map(shown, unknown[:10]))}. Remove them, or add training pictures"
                )
            for part, pictures in enumerate(parts):
                made = part if number == TRAIN and part not in of_split else number
                placed[made] += [p._replace(label=classes.index(names[p.label])) for p in pictures]
        return classes, placed

    def sentence(self, of_split: dict[int, Path]) -> str:
        """Returns a sentence that names the folders of splits, and the splits that are made of training images."""
        named = [f"{SPLIT_NAMES[number]} in {shown(folder.name)}" for number, folder in of_split.items()]
        made = [
            f"{name} from training pictures"
            for number, name in enumerate(SPLIT_NAMES)
            if number not in of_split
        ]
        return f"splits: {', '.join([*named, *made])}"


def _split_named(folder: Path) -> int | None:
    """Returns the number of the split that a folder's name stands for; None if the name does not match SPLIT."""
    found = SPLIT.fullmatch(folder.name)
    return found.lastindex - 1 if found and found.lastindex else None


def _kind_left_out(entry: os.DirEntry, around: tuple[str, ...]) -> str:
    """Returns the kind of a file or folder that is skipped; "" for images and other folders."""
    if entry.name.startswith("."):
        return "hidden"
    if entry.name.lower() in SYSTEM:
        return "of the system"
    if entry.is_symlink() and not os.path.exists(entry.path):
        return "dangling links"
    if entry.is_dir():
        leads_back = entry.is_symlink() and os.path.realpath(entry.path) in around
        return "links to a folder around them" if leads_back else ""
    suffix = Path(entry.name).suffix.lower()
    if suffix not in SUFFIXES:
        return suffix or "without a suffix"
    return "" if entry.is_file() else "pipes and devices"  # reading one would block


def key_of(name: str) -> bytes:
    """Hashes an image's path below the folder of its class. An image thus stays in its split if its class changes."""
    # File systems encode accented letters in two ways.
    return hashlib.sha256(os.fsencode(unicodedata.normalize("NFC", name))).digest()


def split_of(key: bytes) -> int:
    """Returns the split for a hash: 0 (training), 1 (validation) or 2 (test). Other images have no influence."""
    share = int.from_bytes(key[:8]) / 2**64
    return TEST if share < SHARE else VALIDATION if share < 2 * SHARE else TRAIN


def shown(path: Path | str) -> str:
    """Returns a name as one line without control characters."""
    return printable(" ".join(os.fsencode(path).decode(errors="replace").split()))
