"""Client of TensorFlow Serving over gRPC.

The messages contain message types of TensorFlow. So this module imports TensorFlow, which takes seconds.
"""

import urllib.parse
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from amr_tf.serving.server import FOREIGN, REFUSED, TIMEOUT, UNKNOWN_MODEL, UNREACHABLE, Server

# No size limits. By default, gRPC limits a response to 4 MiB, which is a few hundred images.
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_MESSAGES = {
    grpc.StatusCode.DEADLINE_EXCEEDED: TIMEOUT,
    grpc.StatusCode.UNAVAILABLE: UNREACHABLE,
    grpc.StatusCode.NOT_FOUND: UNKNOWN_MODEL,
    grpc.StatusCode.UNIMPLEMENTED: FOREIGN,
}


class GrpcServer(Server):
    """Client for a model on a server at a grpc://HOST:PORT address."""

    def __init__(self, url: str, model: str, timeout: float):
        super().__init__(url, model, timeout)
        channel = grpc.insecure_channel(urllib.parse.urlsplit(url).netloc, options=_OPTIONS)
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        self._methods: dict[str, Any] = {
            "": (models.GetModelStatus, get_model_status_pb2.GetModelStatusRequest),
            "/metadata": (predictions.GetModelMetadata, get_model_metadata_pb2.GetModelMetadataRequest),
            ":predict": (predictions.Predict, predict_pb2.PredictRequest),
        }

    def ask(self, path: str, signature: str = "", inputs: dict[str, np.ndarray] | None = None) -> Any:
        """Sends a request. Returns the response in the form of the REST interface, but with arrays as outputs."""
        method, request = self._methods[path]
        fields: dict[str, Any] = {"metadata_field": ["signature_def"]} if path == "/metadata" else {}
        if inputs is not None:
            fields["inputs"] = {key: tf.make_tensor_proto(array) for key, array in inputs.items()}
        spec = model_pb2.ModelSpec(name=self.model, signature_name=signature)
        try:
            answer = method(request(model_spec=spec, **fields), timeout=self.timeout)
        except grpc.RpcError as error:
            raise self.error(_MESSAGES.get(error.code(), REFUSED), error.details()) from error
        if inputs is not None:
            return {"outputs": {key: tf.make_ndarray(tensor) for key, tensor in answer.outputs.items()}}
        return json_format.MessageToDict(
            answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
