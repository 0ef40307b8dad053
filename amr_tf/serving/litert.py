"""Conversion of encoder and decoder to LiteRT, as float32, float16 and int8 models. The errors are measured."""

import pathlib
import shutil
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from amr_tf.data import Arrays, pixels
from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime.errors import UserError

FILES = {"float32": "model.tflite", "float16": "model_float16.tflite", "int8": "model_int8.tflite"}
CALIBRATION = 200  # number of training images that calibrate the value ranges of the int8 model
HELD = 256  # number of validation images on which errors are measured
# Operations of normalisation layers, which are not quantised. As an integer, a small variance becomes 0, and LiteRT's
# interpreter (ai-edge-litert 2.3) aborts the process when it computes the inverse square root of 0.
NORMALISATION = ("ADD", "MEAN", "MUL", "RSQRT", "SQUARED_DIFFERENCE", "SUB")


class Nearest(keras.layers.UpSampling2D):
    """Nearest-neighbour upsampling as one TensorFlow operation.

    Keras 3.15 repeats rows and columns with operations whose shapes the converter of TensorFlow 2.21 cannot infer. This
    class can be removed once the converter supports `keras.layers.UpSampling2D`.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        height, width = inputs.shape[1] * self.size[0], inputs.shape[2] * self.size[1]
        return tf.image.resize(inputs, (height, width), method="nearest")


class Error(NamedTuple):
    """Differences between outputs of a LiteRT model and of the Keras model.

    Attributes:
        largest: largest absolute difference.
        mean: mean absolute difference.
        scale: largest absolute output of the Keras model.
    """

    largest: float
    mean: float
    scale: float


class Measured(NamedTuple):
    """A written file: name, size in bytes, and errors. The errors are None if no images of the run could be read."""

    name: str
    size: int
    codes: Error | None
    images: Error | None


class Written(NamedTuple):
    """The written files, and one sentence for each file that was not written."""

    files: list[Measured]
    missing: list[str]


class Samples(NamedTuple):
    """Images of a run, float32 [N, H, W, C]: training images for calibration, and validation images for the errors."""

    calibration: np.ndarray
    held: np.ndarray


def write(target: pathlib.Path, run: TrainedRun) -> Written:
    """Writes the LiteRT models. Each model has the signatures `encode` and `decode` with float32 inputs and outputs.

    Images of the run calibrate `model_int8.tflite`. If the images cannot be read, this file is not written. A model
    whose outputs are not finite is not written either, because float16 weights of some normalisation layers overflow.

    Args:
        target: existing folder for the files.
        run: the run and its checkpoint.

    Returns:
        The written files with sizes and errors, and the reasons for missing files.
    """
    written = Written([], [])
    samples = _samples(run)
    parts = target / "parts"
    _write_parts(parts, run.model)
    for kind, name in FILES.items():
        if kind == "int8" and samples is None:
            written.missing.append(f"{name} is not written: it needs images of the run for calibration.")
            continue
        content = _convert(parts, kind, run.model, samples)
        errors = (None, None) if samples is None else _errors(content, run.model, samples.held)
        if not all(error is None or np.isfinite(error).all() for error in errors):
            written.missing.append(f"{name} is not written: its answers are not finite.")
            print(f"warning: {written.missing[-1]}")
            continue
        (target / name).write_bytes(content)
        written.files.append(Measured(name, len(content), *errors))
    shutil.rmtree(parts)
    return written


def _samples(run: TrainedRun) -> Samples | None:
    """Reads images of the run. If the data cannot be read, prints the reason and returns None."""
    try:
        splits = run.splits
    except UserError as error:
        print(f"warning: no {FILES['int8']} and no errors, since the run's images cannot be read: {error}")
        return None
    return Samples(_some(splits.train, CALIBRATION), _some(splits.validation, HELD))


def _some(arrays: Arrays, count: int) -> np.ndarray:
    """Returns at most `count` images at equally spaced indices, float32 [n, H, W, C]."""
    rows = np.unique(np.linspace(0, len(arrays) - 1, count).astype(int))
    return pixels.to_float(arrays.images[rows])


def _write_parts(folder: pathlib.Path, model) -> None:
    """Writes a SavedModel that has only the signatures `encode` and `decode`.

    If TensorFlow functions are converted directly, the outputs of the LiteRT model are wrong.
    """
    network = model.decoding_network()
    decoder = keras.models.clone_model(network, clone_function=_convertible, recursive=True)
    decoder.set_weights(network.get_weights())
    images = tf.TensorSpec((None, *model.image_shape), tf.float32, name="images")
    codes = tf.TensorSpec((None, *model.code_shape), tf.float32, name="codes")
    archive = keras.export.ExportArchive()
    archive.track(model.encoder)
    archive.track(decoder)
    archive.add_endpoint("encode", lambda images: {"codes": model.encode(images)}, [images])
    archive.add_endpoint("decode", lambda codes: {"images": tf.cast(decoder(codes), tf.float32)}, [codes])
    archive.write_out(str(folder), verbose=False)


def _convertible(layer: keras.layers.Layer) -> keras.layers.Layer:
    nearest = isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation == "nearest"
    return (Nearest if nearest else type(layer)).from_config(layer.get_config())


def _convert(parts: pathlib.Path, kind: str, model, samples: Samples | None) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(parts), signature_keys=["encode", "decode"])
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8" and samples is not None:
        return _convert_to_integers(converter, model, samples.calibration)
    return converter.convert()


def _convert_to_integers(converter: tf.lite.TFLiteConverter, model, images: np.ndarray) -> bytes:
    """Quantises all operations that LiteRT supports with integers, except NORMALISATION.

    Only `QuantizationDebugger` can exclude operations from quantisation.
    """
    codes = model.encode(images).numpy()

    def examples() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for row in range(len(images)):
            yield "encode", {"images": images[row : row + 1]}
            yield "decode", {"codes": codes[row : row + 1]}

    converter.representative_dataset = examples
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=list(NORMALISATION))
    with warnings.catch_warnings():
        # TensorFlow 2.21 calibrates with `tf.lite.Interpreter` and warns that this class is deprecated.
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated", UserWarning)
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=examples, debug_options=options
        )
        return debugger.get_nondebug_quantized_model()


def _errors(content: bytes, model, images: np.ndarray) -> tuple[Error, Error]:
    """Returns the errors of the codes and of the decoded images. Both models decode the codes of the Keras model."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=content).get_signature_runner
    codes = model.encode(images).numpy()
    return (
        _error(runner("encode")(images=images)["codes"], codes),
        _error(runner("decode")(codes=codes)["images"], model.decode(codes).numpy()),
    )


def _error(found: np.ndarray, expected: np.ndarray) -> Error:
    differences = np.abs(found - expected)
    return Error(float(differences.max()), float(differences.mean()), float(np.abs(expected).max()))
