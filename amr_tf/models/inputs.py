"""Checks and conversion of the images and labels that a Keras user passes."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

SAMPLE = 256  # number of images, from the start of an array, whose values are checked
LARGEST = 2.0  # largest absolute value of float images in [-1, 1] that may contain noise
# Values in [-1, 1] of the integers 0 .. 255. They are stored in a table, because a TensorFlow graph would multiply by
# 1 / 127.5 instead of dividing by 127.5, which gives other rounding errors.
SCALED = np.arange(256, dtype=np.float32) / np.float32(127.5) - np.float32(1.0)


def to_images(x: Any, image_shape: tuple[int, ...]) -> tf.Tensor:
    """Converts images to float32 [B, H, W, C]. Integers in 0 .. 255 are scaled to [-1, 1]. Floats are not scaled.

    Example:
        >>> to_images(np.zeros((1, 2, 2, 1), np.uint8), (2, 2, 1)).numpy().max()
        np.float32(-1.0)

    Raises:
        ValueError: the shape is wrong, the images are bools, or an array contains values far out of range.
    """
    if isinstance(x, np.ndarray):
        check_range(x)
    x = tf.convert_to_tensor(x)
    check_shape(x, image_shape)
    if x.dtype.is_floating:
        return tf.cast(x, tf.float32)
    if not x.dtype.is_integer:
        raise ValueError(f"Images are numbers. Received: {x.dtype.name}. Pass uint8 or floats in [-1, 1].")
    return tf.gather(tf.constant(SCALED), tf.cast(x, tf.int32))


def check_shape(x: Any, image_shape: tuple[int, ...]) -> None:
    """Raises ValueError unless the shape of a batch of images, or of a spec of such a batch, is [B, *image_shape]."""
    shape = tf.TensorShape(x.shape)
    if not shape.is_compatible_with((None, *image_shape)):
        raise ValueError(
            f"The images have another shape than the model's. Received: {tuple(shape)}, image_shape {image_shape}. "
            f"Pass [B, {', '.join(map(str, image_shape))}], or make a model of that image_shape."
        )


def check_range(x: np.ndarray) -> None:
    """Raises ValueError if the first images are floats far outside of [-1, 1], or integers outside of 0 .. 255."""
    first = x[:SAMPLE]
    lowest, highest = (-LARGEST, LARGEST) if x.dtype.kind == "f" else (0, 255)
    if x.dtype.kind in "fiu" and first.size and (first.min() < lowest or first.max() > highest):
        raise ValueError(
            f"Images are floats in [-1, 1] or whole numbers in 0 .. 255. Received: {x.dtype} in {first.min():g} .. "
            f"{first.max():g}. Scale them, or convert them to uint8."
        )


def check_labels(labels: Any, classes: int) -> None:
    """Raises ValueError unless labels have the shape [B] or [B, 1] and, in arrays, values in 0 .. classes - 1."""
    shape = tf.TensorShape(labels.shape)
    if not (shape.is_compatible_with((None,)) or shape.is_compatible_with((None, 1))):
        raise ValueError(
            f"Labels are one whole number per image. Received: shape {tuple(shape)}. Pass [B], such as "
            "np.argmax(labels, axis=1) of one-hot labels."
        )
    if isinstance(labels, np.ndarray) and labels.size and labels.dtype.kind in "iuf":
        lowest, highest = labels.min(), labels.max()
        if lowest < 0 or highest >= classes:
            raise ValueError(
                f"Labels are whole numbers in 0 .. {classes - 1}. Received: {lowest:g} to {highest:g}. Set "
                "num_classes, or leave the labels out."
            )


def to_labels(y: Any) -> tf.Tensor:
    """Converts labels [B] or [B, 1] to int64 [B]."""
    y = tf.cast(y, tf.int64)
    return y[:, 0] if y.shape.rank == 2 else y


def unpacked(data: Any) -> tuple[Any, Any, Any]:
    """Splits a batch, or a tuple of specs of a batch, into (images, labels, weights). Missing parts are None."""
    parts = keras.utils.unpack_x_y_sample_weight(data)
    # If a Python generator yields None, TensorFlow passes an Optional without a value to the step.
    absent = (tf.experimental.Optional, tf.OptionalSpec, type(tf.type_spec_from_value(None)))
    x, y, weights = (None if isinstance(part, absent) else part for part in parts)
    return x, y, weights


def without_last(values: Any, count: int) -> Any:
    """Removes the last `count` examples from an array, or from every array of a dict."""
    return tf.nest.map_structure(lambda one: one if one is None else one[: len(one) - count], values)
