"""Encoder and decoder for engines other than TensorFlow: ONNX by tf2onnx, LiteRT by TensorFlow's own converter."""

import pathlib
from collections.abc import Sequence

import tensorflow as tf

from amr_tf.runtime.errors import UserError, one_line

OPSET = 17
PARTS = ("encode", "decode")


def write(folder: pathlib.Path, formats: Sequence[str], model) -> None:
    """Writes `onnx/encode.onnx` and `onnx/decode.onnx`, or `litert/model.tflite` with both as its signatures.

    Args:
        folder: of the SavedModel, in which they are written.
        formats: of FORMATS.
        model: the `Autoencoder` that was saved.

    Raises:
        UserError: a converter cannot do it.
    """
    for name in formats:
        (folder / name).mkdir()
        try:
            FORMATS[name](folder, model)
        except OSError:
            raise
        except Exception as error:  # the converters raise whatever an operation makes them stumble over
            raise UserError(
                f"The model cannot be converted: {one_line(error)}. Leave it out. Received: --also={name}"
            ) from error


def _write_onnx(folder: pathlib.Path, model) -> None:
    import tf2onnx  # seconds, which other exports need not wait

    shapes = {"images": model.image_shape, "codes": model.code_shape}
    for part, (given, shape) in zip(PARTS, shapes.items(), strict=True):
        spec = [tf.TensorSpec((None, *shape), tf.float32, name=given)]
        function = tf.function(getattr(model, part), input_signature=spec)
        path = str(folder / "onnx" / f"{part}.onnx")
        tf2onnx.convert.from_function(function, spec, opset=OPSET, output_path=path)


def _write_litert(folder: pathlib.Path, model) -> None:
    """From the SavedModel: what the converter makes of the functions themselves computes something else."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=list(PARTS))
    (folder / "litert" / "model.tflite").write_bytes(converter.convert())


FORMATS = {"onnx": _write_onnx, "litert": _write_litert}
