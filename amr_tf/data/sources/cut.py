"""CelebA and UT Zappos50K, cropped and resized while they are read.

In memory, 200,000 faces take 2.5 GB at 64 px and 24 GB in their original size.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from amr_tf.data.catalog import DatasetSpec, Places
from amr_tf.data.sources import Examples, counted, folder_layout, labels_of, prepared


def read_celeba(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Reads the middle square of each image in the official splits. Labels are computed by `labels_of`.

    Raises:
        DataError: see `prepared.opened`.
    """

    def change(example: dict) -> dict:
        attributes = tf.stack([example["attributes"][name] for name in spec.attributes])
        return {"image": square(example["image"], spec.width), "attributes": tf.cast(attributes, tf.uint8)}

    splits = []
    with prepared.opened(spec, places) as builder:
        for split in ("train", "validation", "test"):
            columns = _columns(builder, split, change)
            attributes = columns["attributes"]
            splits.append(Examples(columns["image"], labels_of(attributes), attributes))
    return spec, splits


def read_zappos(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Reads images of shoes as squares on white. A hash of the file name decides an image's split, as for `folder:`.

    Raises:
        DataError: see `prepared.opened`.
    """

    def change(example: dict) -> dict:
        return example | {"image": square(on_white(example["image"]), spec.width)}

    with prepared.opened(spec, places) as builder:
        columns = _columns(builder, "train", change)
    keys = [folder_layout.key_of(name.decode()) for name in columns["name"]]
    rows: list[list[int]] = [[], [], []]
    for row in sorted(range(len(keys)), key=keys.__getitem__):
        rows[folder_layout.split_of(keys[row])].append(row)
    shoes = Examples(columns["image"], columns["label"])
    return spec, [shoes.take(np.array(part, int)) for part in rows]


def _columns(builder: tfds.core.DatasetBuilder, split: str, change: Callable) -> dict[str, np.ndarray]:
    """Reads a split and transforms each example by `change`. Returns arrays by name, allocated in their final size."""
    total, size = builder.info.splits[split].num_examples, prepared.READ_BATCH
    columns: dict[str, np.ndarray] = {}
    parts = prepared.stored(builder, split, lambda examples: examples.map(change, tf.data.AUTOTUNE))
    batches = counted(parts, -(-total // size), f"reading {builder.name} {split}, thousands")
    for number, part in enumerate(batches):
        for name, values in part.items():
            column = columns.setdefault(name, np.empty((total, *values.shape[1:]), values.dtype))
            column[number * size : (number + 1) * size] = values
    return columns


def on_white(image: tf.Tensor) -> tf.Tensor:
    """Pads uint8 [H, W, 3] with white to [S, S, 3], where S is the longer side."""
    height, width = tf.unstack(tf.shape(image)[:2])
    side = tf.maximum(height, width)
    # The image is inverted before and after, because padding is black.
    top, left = (side - height) // 2, (side - width) // 2
    return 255 - tf.image.pad_to_bounding_box(255 - image, top, left, side, side)


def square(image: tf.Tensor, size: int) -> tf.Tensor:
    """Crops the middle square of uint8 [H, W, 3] and resizes it to [size, size, 3], bilinearly with antialiasing."""
    height, width = tf.unstack(tf.shape(image)[:2])
    side = tf.minimum(height, width)
    middle = tf.image.crop_to_bounding_box(image, (height - side) // 2, (width - side) // 2, side, side)
    resized = tf.image.resize(middle, (size, size), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
