"""The services of TensorFlow Serving that amr_tf asks, over real gRPC, answered by TensorFlow in this process.

It stands in for the server's program where only an export and its messages are under test: nothing here joins requests,
loads newer versions or limits sizes.
"""

import concurrent.futures
import contextlib
import pathlib
from collections.abc import Iterator

import grpc
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

MODEL = "amr"


class _Services(
    prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer
):
    """One version of one model."""

    def __init__(self, version: pathlib.Path):
        self.version, self.loaded = int(version.name), tf.saved_model.load(str(version))
        message = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
        self.definitions = message.meta_graphs[0].signature_def

    def Predict(self, request, context):
        _served(request, context)
        name = request.model_spec.signature_name
        if name not in self.loaded.signatures:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f'Serving signature name: "{name}" not found')
        inputs = {key: tf.constant(tf.make_ndarray(tensor)) for key, tensor in request.inputs.items()}
        try:
            outputs = self.loaded.signatures[name](**inputs)
        except (TypeError, ValueError, tf.errors.OpError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        answer = predict_pb2.PredictResponse()
        for key, value in outputs.items():
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return answer

    def GetModelMetadata(self, request, context):
        _served(request, context)
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=dict(self.definitions))
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    def GetModelStatus(self, request, context):
        _served(request, context)
        available = get_model_status_pb2.ModelVersionStatus(
            version=self.version, state=get_model_status_pb2.ModelVersionStatus.AVAILABLE
        )
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[available])


def _served(request, context) -> None:
    if request.model_spec.name != MODEL:
        context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request.model_spec.name}")


@contextlib.contextmanager
def serving(version: pathlib.Path) -> Iterator[str]:
    """Serves the folder of an exported version under the name "amr"; HOST:PORT of where."""
    services = _Services(version)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(services, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(services, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(grace=None).wait()
