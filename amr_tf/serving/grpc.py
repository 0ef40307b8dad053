"""TensorFlow Serving over gRPC. Its messages hold TensorFlow's own, so this imports TensorFlow: seconds, not more."""

import urllib.parse
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from amr_tf.serving.transport import ServingError, Signature, Tensor, Version, brief, checked

# gRPC's own limit is 4 MiB an answer, a few hundred pictures.
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class GrpcServer:
    """A model of a server at a grpc://HOST:PORT address. It implements `transport.Server`.

    Args:
        url: where the server is.
        model: the name under which the model is served.
        timeout: seconds that an answer may take.
    """

    def __init__(self, url: str, model: str, timeout: float):
        self.url, self.model, self.timeout = url, model, timeout
        channel = grpc.insecure_channel(urllib.parse.urlsplit(url).netloc, options=_OPTIONS)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(channel)

    def versions(self) -> list[Version]:
        """ModelService.GetModelStatus."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self.model
        answer = self._ask(self._models.GetModelStatus, request)
        states = get_model_status_pb2.ModelVersionStatus.State
        return sorted(
            Version(entry.version, states.Name(entry.state), entry.status.error_message)
            for entry in answer.model_version_status
        )

    def signatures(self) -> dict[str, Signature]:
        """PredictionService.GetModelMetadata."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = self.model
        answer = self._ask(self._predictions.GetModelMetadata, request)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        try:
            answer.metadata["signature_def"].Unpack(definitions)
            return {
                name: Signature(_tensors(definition.inputs), _tensors(definition.outputs))
                for name, definition in definitions.signature_def.items()
            }
        except (DecodeError, ValueError) as error:
            raise self._foreign(error) from error

    def predict(
        self, name: str, signature: Signature, inputs: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """PredictionService.Predict."""
        answer = self._ask(self._predictions.Predict, predict_request(self.model, name, inputs))
        try:
            outputs = {key: tf.make_ndarray(tensor) for key, tensor in answer.outputs.items()}
        except (TypeError, ValueError, MemoryError) as error:  # a tensor that is none
            raise self._foreign(error) from error
        return checked(outputs, signature, len(next(iter(inputs.values()))))

    def _ask(self, method: grpc.UnaryUnaryMultiCallable, request: Any) -> Any:
        try:
            return method(request, timeout=self.timeout)
        except grpc.RpcError as error:
            raise self._error(error.code(), brief(error.details())) from error

    def _foreign(self, error: Exception) -> ServingError:
        return ServingError(f"What answers at {self.url} is not TensorFlow Serving: {brief(error)}")

    def _error(self, code: grpc.StatusCode, details: str) -> ServingError:
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return ServingError(
                f"No answer from {self.url} within {self.timeout:g} s. Give it longer with --timeout"
            )
        if code == grpc.StatusCode.UNAVAILABLE:
            return ServingError(f"Nothing that can be talked to at {self.url}: {details}")
        if code == grpc.StatusCode.NOT_FOUND:
            return ServingError(f"No model {self.model!r} at {self.url}: {details}")
        if code == grpc.StatusCode.UNIMPLEMENTED:
            return ServingError(f"What answers at {self.url} is not TensorFlow Serving: {details}")
        return ServingError(f"The server refuses: {details}")


def predict_request(model: str, name: str, inputs: dict[str, np.ndarray]) -> predict_pb2.PredictRequest:
    """The message that asks the signature `name` of `model`."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = name
    for key, array in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
    return request


def _tensors(infos: dict[str, Any]) -> dict[str, Tensor]:
    return {
        name: Tensor(types_pb2.DataType.Name(info.dtype), _shape(info.tensor_shape))
        for name, info in infos.items()
    }


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    if shape.unknown_rank:
        return None
    return tuple(None if dimension.size < 0 else dimension.size for dimension in shape.dim)
