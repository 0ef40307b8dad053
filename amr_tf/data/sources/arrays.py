"""The user's own arrays in a file of `numpy.savez`. Headers are checked before arrays are read.

The arrays are `images`, `labels` and `split`, or `x_train`, `y_train`, `x_test` and `y_test` as in Keras's mnist.npz,
with optional `x_val` and `y_val`. Labels and splits may be absent.
"""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from amr_tf.data.catalog import DatasetSpec, Places
from amr_tf.data.decoding import square
from amr_tf.data.sources import Examples, counted, folder, folder_layout, npz
from amr_tf.registry import NPZ
from amr_tf.runtime import files
from amr_tf.runtime.errors import DataError, printable

SPLITS = ("train", "validation", "test")  # values of the array `split`
LAYOUT = "images, labels and split, or x_train, y_train, x_test and y_test"
COLOURS = {1: "grey", 3: "RGB"}
DARK = 64  # if no pixel reaches this value, the images probably have another range, such as 0 .. 16
NAMED = 10  # largest number of arrays or classes that a message names


class Group(NamedTuple):
    """Arrays of the same examples: names of the arrays of images, labels and splits; "" for a missing array."""

    images: str
    labels: str
    splits: str
    split: int  # number of the split of all these examples, if there is no array of splits


class Row(NamedTuple):
    """An example: the hash of its pixels, its label, the index of its group, and its index in the group."""

    key: bytes
    label: int
    group: int
    place: int


def check(spec: DatasetSpec, places: Places) -> None:
    """Checks that the file has arrays that `read` accepts. Only the headers of the arrays are read.

    Raises:
        DataError: an array is unsuitable. The message names the array and the reason.
    """
    path = _path(spec)
    with npz.opened(path) as archive:
        headers = npz.read_headers(archive)
    groups = _groups(path, headers, spec.width)
    _check_batch(path, sum(headers[group.images].shape[0] for group in groups if group.split == 0), places)


def read(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Reads the arrays of `npz:FILE`, at most `places.limit` examples of each split, and prints a report.

    Images are uint8 [N, width, width, 1 or 3], cropped and resized like the images of a folder. They are sorted by the
    hash of their pixels. If the file lacks a split, the hashes select the split's examples among the training examples.
    Equal images are thus in the same split.

    Raises:
        DataError: see `check`; also if the file is damaged or a split has too few examples.
    """
    path = _path(spec)
    with npz.opened(path) as archive:
        headers = npz.read_headers(archive)
        groups = _groups(path, headers, spec.width)
        used = {name for group in groups for name in group[:3] if name}
        print(f"reading {', '.join(sorted(used))} of {_shown(str(path))}", flush=True)
        arrays = {name: npz.read_array(archive, name) for name in used}
        labels, classes = _numbered(path, [arrays[group.labels] for group in groups if group.labels])
    images = [arrays[group.images] for group in groups]
    splits = _divided(images, labels, [_stated(path, group, arrays) for group in groups])
    if not all(splits):
        train, validation, test = map(len, splits)
        raise DataError(
            f"{path} has too few images. Received: {train} for training, {validation} for validation, {test} for test. "
            "Add some"
        )
    _check_batch(path, len(splits[0]), places)
    chosen = [split[: places.limit] for split in splits]
    fitted = [_fitted(images, rows, spec.width) for rows in chosen]
    _report(headers, groups, classes, fitted)
    identity = b"".join(row.key + row.label.to_bytes(8) for split in splits for row in split)
    spec = dataclasses.replace(
        spec,
        channels=fitted[0].shape[-1],
        classes=max(1, len(classes)),
        class_names=classes,
        sha256=hashlib.sha256(identity).hexdigest(),
    )
    column = [np.array([row.label for row in rows], np.int64) for rows in chosen]
    return spec, [Examples(*part) for part in zip(fitted, column, strict=True)]


def _path(spec: DatasetSpec) -> Path:
    return files.user_path(spec.name.removeprefix(NPZ))


def _groups(path: Path, headers: dict[str, npz.Header], width: int) -> list[Group]:
    """Selects the arrays to read and checks their headers."""
    known = [Group("images", "labels", "split", 0)]
    if "x_train" in headers:
        known = [
            Group(f"x_{name}", f"y_{name}", "", split) for split, name in enumerate(("train", "val", "test"))
        ]
    if ("images" in headers) == ("x_train" in headers):
        found = ", ".join(map(_shown, sorted(headers)[:NAMED])) or "no arrays"
        raise DataError(f"{path} must contain {LAYOUT}. Received: {found}. Rename the arrays")
    lacking = {name: "" for group in known for name in group[:3] if name not in headers}
    groups = [
        group._replace(
            labels=lacking.get(group.labels, group.labels), splits=lacking.get(group.splits, group.splits)
        )
        for group in known
        if group.images in headers
    ]
    if len({bool(group.labels) for group in groups}) > 1:
        names = ", ".join(group.labels for group in groups if group.labels)
        raise DataError(
            f"{path} has labels of some splits only. Received: {names}. Add the others, or remove them"
        )
    for group in groups:
        _check_images(path, group.images, headers[group.images])
        _check_column(path, group.labels, headers, group, "whole numbers or text", "iubU")
        _check_column(path, group.splits, headers, group, "train, validation or test", "U")
    if len({_channels(headers[group.images].shape) for group in groups}) > 1:
        found = ", ".join(f"{group.images} {headers[group.images]}" for group in groups)
        raise DataError(
            f"All images of {path} must be grey, or all RGB. Received: {found}. Convert some of them"
        )
    _check_memory(path, headers, groups, width)
    return groups


def _check_images(path: Path, name: str, header: npz.Header) -> None:
    if header.dtype != np.uint8 or not _channels(header.shape) or not all(header.shape):
        raise DataError(
            f"Images of {path} must be uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3], in 0 .. 255. Received: {name} "
            f"{header}. Convert them: those in 0 .. 1 with numpy.rint(255 * images).astype('uint8')"
        )


def _check_column(
    path: Path, name: str, headers: dict[str, npz.Header], group: Group, what: str, kinds: str
) -> None:
    """Checks an array that must contain one value for each image of a group. If `name` is empty, nothing is checked."""
    count = headers[group.images].shape[0]
    if name and (headers[name].dtype.kind not in kinds or headers[name].shape not in [(count,), (count, 1)]):
        raise DataError(
            f"{name} of {path} must be {what}, one for each of the {count:,} images. Received: {headers[name]}. "
            "Convert the array, or remove it"
        )


def _channels(shape: tuple[int, ...]) -> int:
    """Returns the number of channels of an array of images with this shape; 0 if images cannot have this shape."""
    return 1 if len(shape) == 3 else shape[3] if len(shape) == 4 and shape[3] in (1, 3) else 0


def _check_memory(path: Path, headers: dict[str, npz.Header], groups: list[Group], width: int) -> None:
    """Raises DataError if the arrays do not fit into memory. Even a small compressed file can contain huge arrays."""
    needed = sum(headers[name].size for group in groups for name in group[:3] if name)
    for shape in (headers[group.images].shape for group in groups):
        needed += shape[0] * width**2 * _channels(shape)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise DataError(
            f"The arrays of {path} do not fit into memory. Received: {needed / 1e9:,.1f} GB, of {there / 1e9:,.1f} GB. "
            "Use a smaller --image_size, or fewer images"
        )


def _check_batch(path: Path, count: int, places: Places) -> None:
    if count < places.batch_size:
        raise DataError(
            f"A batch needs {places.batch_size} images, {path} has {count} to train on: add some or lower --batch_size"
        )


def _numbered(path: Path, labels: Sequence[np.ndarray]) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Numbers the sorted labels of all groups from 0. Returns int64 [N] for each group, and the labels as text."""
    if not labels:
        return [], ()
    if len({array.dtype.kind == "U" for array in labels}) > 1:
        raise DataError(
            f"The labels of {path} are numbers in one array and text in another. Convert one of them"
        )
    values, numbers = np.unique(np.concatenate([array.ravel() for array in labels]), return_inverse=True)
    ends = np.cumsum([array.size for array in labels])[:-1]
    return np.split(numbers.astype(np.int64), ends), tuple(map(str, values.tolist()))


def _stated(path: Path, group: Group, arrays: dict[str, np.ndarray]) -> list[int]:
    """Returns the number of each example's split, 0, 1 or 2, as stated in the file."""
    if not group.splits:
        return [group.split] * len(arrays[group.images])
    words = arrays[group.splits].ravel().tolist()
    if unknown := sorted(set(words) - set(SPLITS)):
        raise DataError(
            f"{group.splits} of {path} must be train, validation or test. Received: {_shown(unknown[0])!r}. Rename it"
        )
    return [SPLITS.index(word) for word in words]


def _divided(images: list[np.ndarray], labels: list[np.ndarray], stated: list[list[int]]) -> list[list[Row]]:
    """Divides the examples into the three splits. Each split is sorted by the hashes of the images' pixels."""
    missing = {1, 2}.difference(*stated)
    splits: list[list[Row]] = [[], [], []]
    for group, of_group in enumerate(stated):
        for place, split in enumerate(of_group):
            key = hashlib.sha256(images[group][place].tobytes()).digest()
            drawn = folder_layout.split_of(key) if split == 0 else split
            split = drawn if drawn in missing else split
            splits[split].append(Row(key, int(labels[group][place]) if labels else 0, group, place))
    return [sorted(split) for split in splits]


def _fitted(images: list[np.ndarray], rows: list[Row], width: int) -> np.ndarray:
    """Copies the images in `rows`, cropped to squares and resized: uint8 [N, width, width, C]."""
    channels = _channels(images[0].shape)
    fitted = np.empty((len(rows), width, width, channels), np.uint8)
    for row, new in zip(rows, counted(fitted, len(fitted), "resizing images"), strict=True):
        image = images[row.group][row.place]
        new[:] = square(Image.fromarray(image if channels > 1 else image.reshape(image.shape[:2])), width)
    return fitted


def _report(
    headers: dict[str, npz.Header], groups: list[Group], classes: tuple[str, ...], fitted: list[np.ndarray]
) -> None:
    """Prints the number of images, their classes and conversions, and warnings about probable mistakes."""
    shapes = [headers[group.images].shape for group in groups]
    used = {name for group in groups for name in group[:3]}
    others = [_shown(name) for name in sorted(headers.keys() - used)]
    named = [*map(_shown, classes[:NAMED]), *["..."] * (len(classes) > NAMED)]
    height, width, channels = fitted[0].shape[1:]
    sizes = ", ".join(dict.fromkeys(f"{shape[2]} x {shape[1]}" for shape in shapes))
    brightest = max(int(part.max()) for part in fitted)
    blank = sum(int((part == part[:, :1, :1]).all(axis=(1, 2, 3)).sum()) for part in fitted)
    left = f"; arrays left alone: {', '.join(others[:NAMED])}" if others else ""
    print((f"classes: {len(classes):,} ({', '.join(named)})" if classes else "without labels") + left)
    print(
        f"{sum(shape[0] for shape in shapes):,} images, from {sizes} to {width} x {height} {COLOURS[channels]}"
    )
    if brightest < DARK:
        print(f"warning: the images are dark: their brightest value is {brightest} of 255")
    if blank:
        print(f"warning: {blank:,} {folder.BLANK}")


def _shown(text: str) -> str:
    """Returns a name as one short line without control characters."""
    return printable(" ".join(text.split()))[:100]
