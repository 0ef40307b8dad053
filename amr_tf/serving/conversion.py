"""Formats for engines other than TensorFlow: ONNX by tf2onnx, LiteRT by TensorFlow's own converter."""

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
FREE = ("batch", "k")  # names of the free sizes of a shape, in order


def write(
    folder: pathlib.Path,
    formats: Sequence[str],
    run: TrainedRun,
    signatures: dict[str, Signature],
    described: dict[str, dict[str, Any]],
    version: int,
) -> litert.Written | None:
    """Writes `onnx/NAME.onnx` and the Triton model repository `triton/` for each signature, and `litert/model*.tflite`.

    Signatures that take image files are left out: ONNX has no operator that decodes them.

    Args:
        folder: of the SavedModel, in which they are written.
        formats: of FORMATS.
        run: the run that was saved.
        signatures: those that were saved, by name.
        described: results of each signature's `describe` by name.
        version: number of the exported version.

    Returns:
        The files of LiteRT, None if they were not requested.

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
    except Exception as error:  # the converters raise many types
        raise UserError(
            f"The model cannot be converted: {one_line(error)}. Received: --also={received}. Leave it out"
        ) from error
    return written


def _onnx_graphs(signatures: dict[str, Signature]) -> Iterator[tuple[str, bytes]]:
    """Yields name and serialized ONNX model of each signature."""
    import tf2onnx  # takes seconds to import

    # tf2onnx 1.17 warns, with a traceback, of each optimization that it skips: its optimize_transpose fails on the sum
    # of an image and a number (https://github.com/onnx/tensorflow-onnx/issues/1729). To be removed once it does not.
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
