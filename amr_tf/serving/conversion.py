"""Encoder and decoder for engines other than TensorFlow: ONNX by tf2onnx, LiteRT by TensorFlow's own converter."""

import pathlib
from collections.abc import Sequence

import tensorflow as tf

from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime.errors import UserError, one_line
from amr_tf.serving import litert

FORMATS = ("onnx", "litert")
OPSET = 17
PARTS = ("encode", "decode")


def write(folder: pathlib.Path, formats: Sequence[str], run: TrainedRun) -> litert.Written | None:
    """Writes `onnx/encode.onnx` and `onnx/decode.onnx`, or `litert/model*.tflite` with both as signatures.

    Args:
        folder: of the SavedModel, in which they are written.
        formats: of FORMATS.
        run: the run that was saved.

    Returns:
        The files of LiteRT, None if they were not requested.

    Raises:
        UserError: a converter fails.
    """
    written = None
    for name in formats:
        (folder / name).mkdir()
        try:
            if name == "onnx":
                _write_onnx(folder / name, run.model)
            else:
                written = litert.write(folder / name, run)
        except OSError:
            raise
        except Exception as error:  # the converters raise many types
            raise UserError(
                f"The model cannot be converted: {one_line(error)}. Received: --also={name}. Leave it out"
            ) from error
    return written


def _write_onnx(target: pathlib.Path, model) -> None:
    import tf2onnx  # takes seconds to import

    shapes = {"images": model.image_shape, "codes": model.code_shape}
    for part, (given, shape) in zip(PARTS, shapes.items(), strict=True):
        spec = [tf.TensorSpec((None, *shape), tf.float32, name=given)]
        function = tf.function(getattr(model, part), input_signature=spec)
        tf2onnx.convert.from_function(function, spec, opset=OPSET, output_path=str(target / f"{part}.onnx"))
