"""Warm-up requests. TensorFlow Serving replays them while loading a version, because the first requests are slow."""

import pathlib

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from amr_tf.serving.signatures import Signature

FILE = "assets.extra/tf_serving_warmup_requests"
PARENTS = 2  # number of images for each mix in the warm-up requests; other requests may use other numbers


def write(folder: pathlib.Path, signatures: dict[str, Signature], image_shape: tuple[int, ...]) -> None:
    """Writes one request with one example for each signature.

    Args:
        folder: folder of the SavedModel.
        signatures: signatures by name.
        image_shape: shape of the model's images. Inputs for image files get a black image of this shape.
    """
    path = folder / FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, one in signatures.items():
            spec = model_pb2.ModelSpec(signature_name=signature)
            request = predict_pb2.PredictRequest(model_spec=spec)
            for name, value in one.input_specs().items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(_example(value, image_shape)))
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def _example(spec: tf.TensorSpec, image_shape: tuple[int, ...]) -> np.ndarray:
    if spec.dtype == tf.string:
        return np.array([tf.io.encode_png(tf.zeros(image_shape, tf.uint8)).numpy()])
    shape = [PARENTS if size is None else size for size in spec.shape[1:]]
    return np.zeros([1, *shape], spec.dtype.as_numpy_dtype)
