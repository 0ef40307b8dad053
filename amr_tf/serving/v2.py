"""Client of the Open Inference Protocol v2 over REST, for Triton, KServe and OpenVINO Model Server.

The protocol has no signatures, so each signature is a separate model on the server. This module needs only NumPy
and the standard library.
"""

import functools
import http.client
import urllib.parse
from typing import Any

import numpy as np

from amr_tf.serving import names
from amr_tf.serving.server import AVAILABLE, NUMPY_TYPES, Server, Signature, Tensor

SCHEME = "v2+"  # prefix of http:// or https:// in the client's --url
FOREIGN = (
    "The answer of {url} is not one of the Open Inference Protocol v2. Received: {received}. With "
    "--url=v2+http://HOST:8000 the server is Triton, KServe or OpenVINO Model Server"
)
UNKNOWN_MODEL = (
    "The server at {url} has no model for the signature. Received: {received}. Serve amr_tf's export, and check "
    "--model, which precedes the signature in the names of the models: {model!r}"
)
UNNAMED = "unnamed"  # name of the version if the server does not report versions
_TYPES = {"FP32": "DT_FLOAT", "UINT8": "DT_UINT8"}  # TensorFlow's name of a type, by the protocol's name
_SENT = {"float32": "FP32", "uint8": "UINT8"}  # the protocol's name of a type, by NumPy's name


class V2Server(Server):
    """Client for the models of an export on a server at a v2+http:// or v2+https:// address.

    Args:
        url: address of the server. If the address contains a path, the path is put before the paths of the protocol.
        model: prefix of the models' names, such as "" or "lines_". The name of the signature follows.
        timeout: maximum time for a response, in seconds.
    """

    foreign, unknown = FOREIGN, UNKNOWN_MODEL

    def __init__(self, url: str, model: str, timeout: float):
        super().__init__(url.removeprefix(SCHEME), model, timeout)
        self._known: dict[str, Signature] = {}

    def versions(self) -> list[tuple[int | str, str, str]]:
        """Returns the number, the state and an empty message for each version of the model for `encode`.

        Every export has a model for `encode`. The same state is returned for all versions.
        """
        numbers = self._metadata("encode").get("versions") or [UNNAMED]
        state = AVAILABLE if self._ready("encode") else "UNAVAILABLE"
        return [(str(number), state, "") for number in numbers]

    @functools.cached_property
    def signatures(self) -> dict[str, Signature]:
        """Signatures whose models are ready, by name.

        The protocol cannot list models. So this property sends a request for each signature that an export can have.
        """
        known = (name + ending for name in sorted(names.DESCRIPTIONS) for ending in ("", names.BYTES))
        return {name: self.signature(name) for name in known if self._ready(name)}

    def signature(self, name: str) -> Signature:
        """Returns the inputs and outputs of a signature, by their names in the SavedModel."""
        if name not in self._known:
            found = self._metadata(name)
            inputs = {one["name"]: _tensor(one) for one in found["inputs"]}
            outputs = {names.from_onnx(one["name"]): _tensor(one) for one in found["outputs"]}
            self._known[name] = Signature(inputs, outputs)
        return self._known[name]

    def ask(self, path: str, signature: str = "", inputs: dict[str, np.ndarray] | None = None) -> Any:
        """Sends inputs to a signature. The argument `path` has no effect.

        Returns the response in the form of TensorFlow Serving's `:predict`, but with arrays as outputs.
        """
        tensors = [
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": _SENT[array.dtype.name],
                "data": array.ravel().tolist(),
            }
            for name, array in (inputs or {}).items()
        ]
        answer = self.request(f"{self._path(signature)}/infer", {"inputs": tensors})
        outputs = {}
        for one in answer["outputs"]:
            array = np.asarray(one["data"], NUMPY_TYPES[_TYPES[one["datatype"]]])
            outputs[names.from_onnx(one["name"])] = array.reshape(one["shape"])
        return {"outputs": outputs}

    def _metadata(self, signature: str) -> dict[str, Any]:
        return self.request(self._path(signature))

    def _ready(self, signature: str) -> bool:
        return self.exchange(f"{self._path(signature)}/ready")[0] == http.client.OK

    def _path(self, signature: str) -> str:
        return f"/v2/models/{urllib.parse.quote(self.model + signature, safe='')}"


def _tensor(described: dict[str, Any]) -> Tensor:
    sizes = (int(size) for size in described["shape"])
    return Tensor(_TYPES[described["datatype"]], tuple(None if size < 0 else size for size in sizes))
