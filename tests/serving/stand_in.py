"""A stand-in for TensorFlow Serving: TensorFlow's C++ loader, the code that the server runs, behind REST and gRPC.

It answers the Open Inference Protocol v2 too, with a model for each signature as in the exported Triton repository.

    python stand_in.py VERSION     serves the folder of a version until its input ends; prints the URLs as JSON

It joins no requests, loads no newer versions and limits no sizes. Like the server it feeds what it is given without
comparing it with the declared shapes.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

MODEL = "amr"
DATATYPES = {tf.float32: "FP32", tf.uint8: "UINT8"}


class Refused(Exception):
    """A request that the server refuses, and the reason."""


class Model:
    """One version of a model, with the answers that both interfaces give."""

    def __init__(self, version: pathlib.Path):
        self.version, self.callables = int(version.name), {}
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            loaded = tf.compat.v1.saved_model.loader.load(self.session, ["serve"], str(version))
        self.definitions = dict(loaded.signature_def)

    def status(self):
        state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        one = get_model_status_pb2.ModelVersionStatus(version=self.version, state=state)
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[one])

    def metadata(self):
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=self.definitions)
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    def predict(self, name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if name not in self.definitions:
            raise Refused(f'Serving signature name: "{name}" not found')
        declared = self.definitions[name]
        if set(inputs) != set(declared.inputs):
            raise Refused(f"input keys {sorted(inputs)}, expected {sorted(declared.inputs)}")
        if name not in self.callables:
            feed, fetch = (
                [side[key].name for key in sorted(side)] for side in (declared.inputs, declared.outputs)
            )
            options = config_pb2.CallableOptions(feed=feed, fetch=fetch)
            self.callables[name] = self.session._make_callable_from_options(options)
        try:
            values = self.callables[name](*(inputs[key] for key in sorted(inputs)))
        except (TypeError, ValueError, tf.errors.OpError) as error:
            raise Refused(str(error)) from error
        return dict(zip(sorted(declared.outputs), values, strict=True))


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
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(refused))
        return answer

    def GetModelMetadata(self, request, context):
        self._check(request, context)
        return self.model.metadata()

    def GetModelStatus(self, request, context):
        self._check(request, context)
        return self.model.status()

    def _check(self, request, context) -> None:
        if request.model_spec.name != MODEL:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found: {request.model_spec.name}")


class _Rest(http.server.BaseHTTPRequestHandler):
    model: Model

    def do_GET(self):
        if self.path.startswith("/v2/"):
            return self._v2()
        model = f"/v1/models/{MODEL}"
        answer = {model: self.model.status, f"{model}/metadata": self.model.metadata}.get(self.path)
        if not answer:
            return self._answer(404, {"error": f"Servable not found for request: {self.path}"})
        # As the C++ code of the server prints it.
        form = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
        return self._answer(200, json_format.MessageToDict(answer(), **form))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/v2/"):
            return self._v2(json.loads(body))
        assert re.fullmatch(rf"/v1/models/{MODEL}(/versions/\d+)?:predict", self.path)
        try:
            asked = json.loads(body)
            declared, inputs = self.model.definitions[asked["signature_name"]].inputs, {}
            for key, value in asked["inputs"].items():
                data = [base64.b64decode(one["b64"]) if isinstance(one, dict) else one for one in value]
                inputs[key] = np.array(data, tf.as_dtype(dict(declared)[key].dtype).as_numpy_dtype)
            outputs = self.model.predict(asked["signature_name"], inputs)
        except (KeyError, ValueError, TypeError, AttributeError, Refused) as error:
            return self._answer(400, {"error": str(error)})
        lists = {key: value.tolist() for key, value in outputs.items()}
        return self._answer(200, {"outputs": lists if len(lists) > 1 else next(iter(lists.values()))})

    def _v2(self, asked=None):
        _, name, action = re.fullmatch(r"/v2/models/(\w+)(/ready|/infer|)", self.path).group(0, 1, 2)
        if name not in self.model.definitions:
            return self._answer(404, {"error": f"Request for unknown model: '{name}' is not found"})
        if action == "/ready":
            return self._answer(200, {})
        declared = self.model.definitions[name]
        renamed = {key: f"output_{key}" if key in declared.inputs else key for key in declared.outputs}
        if action == "":
            outputs = {renamed[key]: one for key, one in declared.outputs.items()}
            sides = {"inputs": v2_tensors(declared.inputs), "outputs": v2_tensors(outputs)}
            return self._answer(200, {"name": name, "versions": [str(self.model.version)], **sides})
        inputs = {
            one["name"]: np.reshape(one["data"], one["shape"]).astype(
                {"FP32": np.float32, "UINT8": np.uint8}[one["datatype"]]
            )
            for one in asked["inputs"]
        }
        try:
            found = self.model.predict(name, inputs)
        except Refused as error:
            return self._answer(400, {"error": str(error)})
        outputs = [
            {
                "name": renamed[key],
                "datatype": DATATYPES[tf.as_dtype(value.dtype)],
                "shape": value.shape,
                "data": value.ravel().tolist(),
            }
            for key, value in found.items()
        ]
        return self._answer(200, {"model_name": name, "outputs": outputs})

    def _answer(self, status, content):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *words):
        """Prints nothing."""


def v2_tensors(values) -> list[dict]:
    return [
        {
            "name": name,
            "datatype": DATATYPES[tf.as_dtype(one.dtype)],
            "shape": [size.size for size in one.tensor_shape.dim],
        }
        for name, one in values.items()
        if tf.as_dtype(one.dtype) in DATATYPES
    ]


@contextlib.contextmanager
def web_server(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serves HTTP on a free port; gives the URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextlib.contextmanager
def serving(version: pathlib.Path) -> Iterator[dict[str, str]]:
    """Serves the folder of a version as MODEL in this process; gives the URLs by protocol, `rest`, `grpc` and `v2`."""
    model = Model(version)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Grpc(model), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Grpc(model), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    with web_server(type("Rest", (_Rest,), {"model": model})) as url:
        yield {"rest": url, "grpc": f"grpc://localhost:{port}", "v2": f"v2+{url}"}
    server.stop(grace=None).wait()


@contextlib.contextmanager
def process(version: pathlib.Path) -> Iterator[dict]:
    """Serves a version in a process that cannot import this project; gives the URLs and the process's `pid`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # -P: the folder of this file is not a place to import from either.
    command = [sys.executable, "-P", __file__, str(version)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd="/", env=environment, text=True, **pipes) as served:
        yield json.loads(served.stdout.readline()) | {"pid": served.pid}
        served.stdin.close()


if __name__ == "__main__":
    sys.modules["amr_tf"] = None  # an editable install is found in any folder; its import fails from here on
    with serving(pathlib.Path(sys.argv[1])) as urls:
        print(json.dumps(urls), flush=True)
        sys.stdin.read()
