"""CelebA and UT Zappos50K through TFDS, cut to size as they are read: 200,000 faces at 64 px take 2.5 GB, whole 24."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from amr_tf.data import celeba, folder, tfds_source
from amr_tf.data.catalog import DatasetSpec
from amr_tf.data.generated import Examples
from amr_tf.data.progress import counted


def read(spec: DatasetSpec, data_dir: str, raw_dir: str | None = None) -> list[Examples]:
    """Reads `celeba` or `zappos`, preparing it first where that was not done yet.

    Pictures are made square (the middle of a face, a shoe set on white) and brought to size, antialiased.

    Args:
        spec: the data set with the width wanted and, for CelebA, its attributes.
        data_dir, raw_dir: as for `tfds_source.read`.

    Returns:
        (images, labels) of train, validation and test: uint8 [N, width, width, 3] and int64 [N]. CelebA's splits are
        the official ones; Zappos has none, so that a hash of the file name decides, as for `folder:`.

    Raises:
        DataError: see `tfds_source.opened`.
    """
    with tfds_source.opened(spec, data_dir, raw_dir) as builder:
        return _celeba(builder, spec) if spec.name == "celeba" else _zappos(builder, spec)


def _celeba(builder: tfds.core.DatasetBuilder, spec: DatasetSpec) -> list[Examples]:
    names = spec.attributes

    def change(example: dict) -> dict:
        attributes = tf.stack([example["attributes"][name] for name in names])
        return {"image": square(example["image"], spec.width), "attributes": tf.cast(attributes, tf.uint8)}

    splits: list[Examples] = []
    for split in ("train", "validation", "test"):
        columns = _columns(builder, split, change)
        splits.append((columns["image"], celeba.labels_of(columns["attributes"])))
    return splits


def _zappos(builder: tfds.core.DatasetBuilder, spec: DatasetSpec) -> list[Examples]:
    def change(example: dict) -> dict:
        return example | {"image": square(on_white(example["image"]), spec.width)}

    columns = _columns(builder, "train", change)
    keys = [folder.key_of(name.decode()) for name in columns["name"]]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__))
    part = np.array([folder.split_of(key) for key in keys])[order]
    rows = [order[part == number] for number in range(3)]
    return [(columns["image"][chosen], columns["label"][chosen]) for chosen in rows]


def _columns(builder: tfds.core.DatasetBuilder, split: str, change: Callable) -> dict[str, np.ndarray]:
    """All examples of a split, changed as they are read, written into arrays of their final size."""
    total = builder.info.splits[split].num_examples
    columns: dict[str, np.ndarray] = {}
    done = 0
    parts = tfds_source.stored(
        builder, split, lambda examples: examples.map(change, num_parallel_calls=tf.data.AUTOTUNE)
    )
    for part in counted(
        parts, -(-total // tfds_source.READ_BATCH), f"reading {builder.name} {split}, thousands"
    ):
        for name, values in part.items():
            column = columns.setdefault(name, np.empty((total, *values.shape[1:]), values.dtype))
            column[done : done + len(values)] = values
        done += len(part["image"])
    return columns


def on_white(image: tf.Tensor) -> tf.Tensor:
    """uint8 [H, W, 3] -> [S, S, 3], S the longer side: white above and below, or left and right."""
    height, width = tf.unstack(tf.shape(image)[:2])
    side = tf.maximum(height, width)
    # Padding is black.
    return 255 - tf.image.pad_to_bounding_box(
        255 - image, (side - height) // 2, (side - width) // 2, side, side
    )


def square(image: tf.Tensor, size: int) -> tf.Tensor:
    """uint8 [H, W, 3] -> uint8 [size, size, 3]: the middle of the longer side, bilinear, antialiased."""
    height, width = tf.unstack(tf.shape(image)[:2])
    side = tf.minimum(height, width)
    middle = tf.image.crop_to_bounding_box(image, (height - side) // 2, (width - side) // 2, side, side)
    resized = tf.image.resize(middle, (size, size), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
