"""Encoder and decoder for engines other than TensorFlow: ONNX by tf2onnx, LiteRT by TensorFlow's own converter."""

import pathlib
from collections.abc import Sequence

import tensorflow as tf

from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError, one_line

FORMATS = ("onnx", "litert")
OPSET = 17
PARTS = ("encode", "decode")


def write(folder: pathlib.Path, formats: Sequence[str], model) -> None:
    """Writes `onnx/encode.onnx` and `onnx/decode.onnx`, or `litert/model.tflite` with both as its signatures.

    Args:
        folder: of the SavedModel, in which they are written.
        formats: of FORMATS.
        model: the `Autoencoder` that was saved.

    Raises:
        UserError: a converter fails.
    """
    for name in formats:
        (folder / name).mkdir()
        try:
            if name == "onnx":
                _write_onnx(folder / name, model)
            else:
                _write_litert(folder, folder / name)
        except OSError:
            raise
        except Exception as error:  # the converters raise many types
            raise UserError(
                f"The model cannot be converted: {one_line(error)}. Received: --also={name}. Leave it out"
            ) from error


def _write_onnx(target: pathlib.Path, model) -> None:
    import tf2onnx  # takes seconds to import

    shapes = {"images": model.image_shape, "codes": model.code_shape}
    for part, (given, shape) in zip(PARTS, shapes.items(), strict=True):
        spec = [tf.TensorSpec((None, *shape), tf.float32, name=given)]
        function = tf.function(getattr(model, part), input_signature=spec)
        tf2onnx.convert.from_function(function, spec, opset=OPSET, output_path=str(target / f"{part}.onnx"))


def _write_litert(saved_model: pathlib.Path, target: pathlib.Path) -> None:
    """Converts the SavedModel: conversion of the functions themselves gives wrong numbers."""
    with files.literal(saved_model) as folder:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=list(PARTS))
        (target / "model.tflite").write_bytes(converter.convert())
