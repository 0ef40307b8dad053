"""TensorFlow Serving over REST, with the standard library: the client starts at once and needs no TensorFlow."""

import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.parse
from typing import Any

import numpy as np

from amr_tf.serving.transport import ServingError, Signature, Tensor, Version, brief, checked

# What reading an answer raises that is no answer of TensorFlow Serving.
FOREIGN = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


class RestServer:
    """A model of a server at an http:// or https:// address. It implements `transport.Server`.

    Args:
        url: where the server is; a path in it goes before the server's own, as behind a proxy.
        model: the name under which the model is served.
        timeout: seconds that an answer may take.
    """

    def __init__(self, url: str, model: str, timeout: float):
        self.url, self.model, self.timeout = url, model, timeout
        self._address = urllib.parse.urlsplit(url)
        self._host = self._address.hostname or ""
        self._path = f"{self._address.path.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}"

    def versions(self) -> list[Version]:
        """GET /v1/models/NAME."""
        answer = self._ask("GET", self._path)
        try:
            found = [
                Version(
                    int(entry["version"]),
                    str(entry["state"]),
                    str(entry.get("status", {}).get("error_message", "")),
                )
                for entry in answer["model_version_status"]
            ]
        except FOREIGN as error:
            raise self._foreign() from error
        return sorted(found)

    def signatures(self) -> dict[str, Signature]:
        """GET /v1/models/NAME/metadata."""
        answer = self._ask("GET", f"{self._path}/metadata")
        try:
            return signatures_of(answer)
        except FOREIGN as error:
            raise self._foreign() from error

    def predict(
        self, name: str, signature: Signature, inputs: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """POST /v1/models/NAME:predict, in the columnar format."""
        answer = self._ask("POST", f"{self._path}:predict", request_body(name, inputs))
        if not isinstance(answer, dict) or "outputs" not in answer:
            raise self._foreign()
        outputs = answer["outputs"]
        if len(signature.outputs) == 1:  # a single output comes without its name
            outputs = {next(iter(signature.outputs)): outputs}
        return checked(outputs, signature, len(next(iter(inputs.values()))))

    def _ask(self, method: str, path: str, body: str | None = None) -> Any:
        """The JSON that the server answers.

        Raises:
            ServingError: no answer in time, none that is JSON, or the server's own refusal.
        """
        try:
            status, data = self._exchange(method, path, body)
        except TimeoutError as error:
            raise ServingError(
                f"No answer from {self.url} within {self.timeout:g} s. Give it longer with --timeout"
            ) from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise ServingError(f"Nothing that can be talked to at {self.url}: {brief(error)}") from error
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._foreign(status) from error
        if status == http.client.OK:
            return answer
        if not isinstance(answer, dict) or "error" not in answer:
            raise self._foreign(status)
        if status == http.client.NOT_FOUND:
            raise ServingError(f"No model {self.model!r} at {self.url}: {brief(answer['error'])}")
        raise ServingError(f"The server refuses: {brief(answer['error'])}")

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        """HTTP status and contents."""
        secure = self._address.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        port = self._address.port or (443 if secure else 80)
        connection = connect(self._host, port, timeout=self.timeout)
        # The time-out of the socket is one of each packet; a server may send them slowly for ever.
        deadline = time.monotonic() + self.timeout
        try:
            connection.connect()
            cut = threading.Timer(deadline - time.monotonic(), _shut, [connection.sock])
            cut.start()
            try:
                connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
                response = connection.getresponse()
                answer = response.status, response.read()
            finally:
                cut.cancel()
        except (OSError, http.client.HTTPException) as error:
            raise (TimeoutError() if time.monotonic() > deadline else error) from error
        finally:
            connection.close()
        if time.monotonic() > deadline:  # what was cut off may look like an end
            raise TimeoutError
        return answer

    def _foreign(self, status: int = http.client.OK) -> ServingError:
        return ServingError(
            f"What answers at {self.url} is not TensorFlow Serving's REST interface (HTTP status {status}). Its "
            "port is 8501 by default; that of gRPC, 8500, is asked with grpc://"
        )


def _shut(connection: socket.socket) -> None:
    """Ends the waiting of whoever reads from it."""
    with contextlib.suppress(OSError):  # it has ended by itself
        connection.shutdown(socket.SHUT_RDWR)


def request_body(name: str, inputs: dict[str, np.ndarray]) -> str:
    """The JSON of a predict request to the signature `name`: every input as lists in lists, by name."""
    return json.dumps(
        {"signature_name": name, "inputs": {key: array.tolist() for key, array in inputs.items()}}
    )


def signatures_of(metadata: dict[str, Any]) -> dict[str, Signature]:
    """The signatures in the JSON of a model's metadata.

    Raises:
        FOREIGN: it is something else.
    """
    definitions = metadata["metadata"]["signature_def"]["signature_def"]
    return {
        name: Signature(_tensors(definition.get("inputs", {})), _tensors(definition.get("outputs", {})))
        for name, definition in definitions.items()
    }


def _tensors(entries: dict[str, Any]) -> dict[str, Tensor]:
    return {name: Tensor(entry["dtype"], _shape(entry["tensor_shape"])) for name, entry in entries.items()}


def _shape(entry: dict[str, Any]) -> tuple[int | None, ...] | None:
    if entry.get("unknown_rank"):
        return None
    sizes = [int(dimension["size"]) for dimension in entry.get("dim", [])]
    return tuple(None if size < 0 else size for size in sizes)
