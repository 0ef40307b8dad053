"""Conversion to formats for other engines: ONNX with tf2onnx, LiteRT with TensorFlow's converter."""

import logging
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime.errors import UserError, one_line
from amr_tf.serving import litert, names, triton
from amr_tf.serving.signatures import Signature

FORMATS = ("onnx", "litert", "triton")
OPSET = 17
FREE = ("batch", "k")  # names of the dimensions of variable size, in the order of the shape


def write(
    folder: pathlib.Path,
    formats: Sequence[str],
    run: TrainedRun,
    signatures: dict[str, Signature],
    described: dict[str, dict[str, Any]],
    version: int,
) -> litert.Written | None:
    """Writes the requested formats: `onnx/NAME.onnx`, the model repository `triton/`, and `litert/model*.tflite`.

    For ONNX and Triton, there is one model for each signature. Signatures that take image files are omitted, because
    the operators of ONNX opset 17 cannot decode image files.

    Args:
        folder: folder of the SavedModel, in which a sub-folder for each format is created.
        formats: names from FORMATS.
        run: the exported run.
        signatures: the signatures of the SavedModel by name.
        described: descriptions of the signatures by name, from `Signature.describe`.
        version: number of the exported version.

    Returns:
        Sizes and errors of the LiteRT files, or None if these files were not requested.

    Raises:
        UserError: a converter fails.
    """
    written = None
    for name in formats:
        (folder / name).mkdir()
    received = ",".join(formats)
    try:
        if {"onnx", "triton"} & {*formats}:
            for name, graph in _onnx_graphs(signatures):
                if "onnx" in formats:
                    (folder / "onnx" / f"{name}.onnx").write_bytes(graph)
                if "triton" in formats:
                    triton.write(folder / "triton" / name, version, described[name], graph)
        if "litert" in formats:
            written = litert.write(folder / "litert", run)
    except OSError:
        raise
    except Exception as error:  # the converters raise exceptions of many types
        raise UserError(
            f"The model cannot be converted: {one_line(error)}. Received: --also={received}. Leave it out"
        ) from error
    return written


def _onnx_graphs(signatures: dict[str, Signature]) -> Iterator[tuple[str, bytes]]:
    """Yields the name and the serialized ONNX model of each signature."""
    import tf2onnx  # takes seconds to import

    # tf2onnx 1.17 logs a warning with a traceback for each optimization that fails. The optimization optimize_transpose
    # fails on the sum of an image and a scalar (https://github.com/onnx/tensorflow-onnx/issues/1729). The next line can
    # be removed once this bug is fixed.
    logging.getLogger("tf2onnx.optimizer").setLevel(logging.ERROR)
    for name, one in signatures.items():
        if name.endswith(names.FILES):
            continue
        specs = list(one.input_specs().values())
        model, _ = tf2onnx.convert.from_function(_function(one, specs), specs, opset=OPSET)
        for value in (*model.graph.input, *model.graph.output):
            for size, free in zip(value.type.tensor_type.shape.dim, FREE, strict=False):
                if size.dim_param:
                    size.dim_param = free
        yield name, model.SerializeToString()


def _function(signature: Signature, specs: list[tf.TensorSpec]) -> tf.types.experimental.PolymorphicFunction:
    def compute(*values):
        found = signature(*values)
        return {names.to_onnx(name, signature.inputs): value for name, value in found.items()}

    return tf.function(compute, input_signature=specs)
