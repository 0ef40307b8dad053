"""A stand-in for TensorFlow Serving: its REST and gRPC interfaces over real connections, answered by TensorFlow here.

It joins no requests, loads no newer versions and limits no sizes.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import pathlib
import re
import threading
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

from amr_tf.serving.grpc import as_json

MODEL = "amr"


class Refused(Exception):
    """A request that the server refuses: a status of gRPC and a message."""


class Model:
    """One version of a model, with the answers that both interfaces give."""

    def __init__(self, version: pathlib.Path):
        self.version, self.loaded = version, tf.saved_model.load(str(version))
        message = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
        self.definitions = message.meta_graphs[0].signature_def

    def status(self):
        state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        one = get_model_status_pb2.ModelVersionStatus(version=int(self.version.name), state=state)
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[one])

    def metadata(self):
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=dict(self.definitions))
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    def predict(self, name: str, inputs: dict) -> dict:
        """Outputs by name, of inputs that are tensors or what `tf.constant` takes."""
        if name not in self.loaded.signatures:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f'Serving signature name: "{name}" not found')
        try:
            declared = dict(
                self.definitions[name].inputs
            )  # the map itself makes entries that it is asked for
            tensors = {key: tf.constant(value, declared[key].dtype) for key, value in inputs.items()}
            outputs = self.loaded.signatures[name](**tensors)
        except (KeyError, TypeError, ValueError, tf.errors.OpError) as error:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        return {key: value.numpy() for key, value in outputs.items()}


class _Grpc(
    prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer
):
    def __init__(self, model: Model):
        self.model = model

    def Predict(self, request, context):
        self._check(request, context)
        inputs = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
        answer = predict_pb2.PredictResponse()
        try:
            for key, value in self.model.predict(request.model_spec.signature_name, inputs).items():
                answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        except Refused as refused:
            context.abort(*refused.args)
        return answer

    def GetModelMetadata(self, request, context):
        self._check(request, context)
        return self.model.metadata()

    def GetModelStatus(self, request, context):
        self._check(request, context)
        return self.model.status()

    def _check(self, request, context) -> None:
        if request.model_spec.name != MODEL:
            context.abort(
                grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request.model_spec.name}"
            )


class _Rest(http.server.BaseHTTPRequestHandler):
    model: Model

    def do_GET(self):
        answers = {"": self.model.status, "/metadata": self.model.metadata}
        what = self.path.removeprefix(f"/v1/models/{MODEL}")
        if what == self.path or what not in answers:
            return self._answer(404, {"error": f"Servable not found for request: {self.path}"})
        return self._answer(200, as_json(answers[what]()))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert re.fullmatch(rf"/v1/models/{MODEL}(/versions/\d+)?:predict", self.path)
        try:
            asked = json.loads(body)
            inputs = {key: _decoded(value) for key, value in asked["inputs"].items()}
            outputs = self.model.predict(asked["signature_name"], inputs)
        except (KeyError, ValueError, TypeError, AttributeError, Refused) as error:
            return self._answer(400, {"error": str(error)})
        lists = {key: value.tolist() for key, value in outputs.items()}
        return self._answer(200, {"outputs": lists if len(lists) > 1 else next(iter(lists.values()))})

    def _answer(self, status, content):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *words):
        """Prints nothing."""


def _decoded(value):
    return [base64.b64decode(one["b64"]) if isinstance(one, dict) else one for one in value]


@contextlib.contextmanager
def web_server(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serves HTTP on a free port; gives the URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextlib.contextmanager
def serving(version: pathlib.Path) -> Iterator[dict[str, str]]:
    """Serves the folder of an exported version as MODEL; gives the URLs by protocol, `rest` and `grpc`."""
    model = Model(version)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Grpc(model), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Grpc(model), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    with web_server(type("Rest", (_Rest,), {"model": model})) as url:
        yield {"rest": url, "grpc": f"grpc://localhost:{port}"}
    server.stop(grace=None).wait()
