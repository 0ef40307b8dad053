"""TensorFlow Serving over gRPC. Its messages contain TensorFlow's own, so this module imports TensorFlow: seconds."""

import urllib.parse
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from amr_tf.serving.transport import FOREIGN, REFUSED, TIMEOUT, UNKNOWN_MODEL, UNREACHABLE, Server, Signature

# gRPC's own limit is 4 MiB an answer, a few hundred pictures.
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_MESSAGES = {
    grpc.StatusCode.DEADLINE_EXCEEDED: TIMEOUT,
    grpc.StatusCode.UNAVAILABLE: UNREACHABLE,
    grpc.StatusCode.NOT_FOUND: UNKNOWN_MODEL,
    grpc.StatusCode.UNIMPLEMENTED: FOREIGN,
}


class GrpcServer(Server):
    """A model of a server at a grpc://HOST:PORT address."""

    def __init__(self, url: str, model: str, timeout: float):
        super().__init__(url, model, timeout)
        channel = grpc.insecure_channel(urllib.parse.urlsplit(url).netloc, options=_OPTIONS)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(channel)

    def _status(self):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self.model
        return as_json(self._ask(self._models.GetModelStatus, request))

    def _metadata(self):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = self.model
        answer = self._ask(self._predictions.GetModelMetadata, request)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        with self._reading():
            answer.metadata["signature_def"].Unpack(definitions)
            return as_json(definitions)

    def _predict(self, signature: Signature, inputs: dict[str, np.ndarray]):
        answer = self._ask(self._predictions.Predict, predict_request(self.model, signature.name, inputs))
        with self._reading():
            return {key: tf.make_ndarray(tensor) for key, tensor in answer.outputs.items()}

    def _ask(self, method: grpc.UnaryUnaryMultiCallable, request: Any) -> Any:
        try:
            return method(request, timeout=self.timeout)
        except grpc.RpcError as error:
            raise self._error(_MESSAGES.get(error.code(), REFUSED), error.details()) from error


def as_json(message: Any) -> dict[str, Any]:
    """Converts a message to the JSON that the REST interface has for it."""
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def predict_request(model: str, name: str, inputs: dict[str, np.ndarray]) -> predict_pb2.PredictRequest:
    """Returns the message of a predict request to the signature `name` of `model`."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = name
    for key, array in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
    return request
