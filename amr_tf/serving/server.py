"""Client of TensorFlow Serving over REST.

This module needs only NumPy and the standard library. So the client starts without importing TensorFlow.
"""

import concurrent.futures
import contextlib
import functools
import http.client
import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from amr_tf.runtime.errors import UserError, one_line

AVAILABLE = "AVAILABLE"  # state of a version that can answer requests
# NumPy's types for TensorFlow's names of the output types that the client supports.
NUMPY_TYPES = {"DT_FLOAT": np.float32, "DT_UINT8": np.uint8}

TIMEOUT = "No answer from {url} within {timeout:g} s. Raise --timeout"
UNREACHABLE = "The server cannot be reached at {url}. Received: {received}. Check --url"
FOREIGN = (
    "The answer of {url} is not TensorFlow Serving's. Received: {received}. By default --url=http://HOST:8501 is its "
    "REST interface and --url=grpc://HOST:8500 its gRPC interface"
)
UNKNOWN_MODEL = "The server at {url} does not know the model {model!r}. Received: {received}. Check --model"
REFUSED = "The server refused the request. Received: {received}. The command `status` lists the signatures"
NO_EXPORT = (
    "The model {model!r} is not one that this client can use. Received: {received}. Serve amr_tf's export"
)


class ServingError(UserError):
    """The server cannot be reached, refuses a request, or sends an invalid response."""


class Tensor(NamedTuple):
    """An input or output of a signature.

    Attributes:
        dtype: TensorFlow's name of the type, such as DT_FLOAT.
        shape: sizes of the dimensions, with None for a dimension of variable size.
    """

    dtype: str
    shape: tuple[int | None, ...]

    def shown(self) -> str:
        """Returns the shape as text, such as `[?, 32, 32, 1]`."""
        return f"[{', '.join('?' if size is None else str(size) for size in self.shape)}]"


class Signature(NamedTuple):
    """The inputs and outputs, by name, of one kind of request to a model."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Server:
    """Client for a model on a server at an http:// or https:// address.

    Methods raise ServingError if the server does not respond or refuses a request. If a response has an unexpected
    form, methods can raise any exception. The context manager `reading` replaces such an exception by a ServingError.

    Args:
        url: address of the server. If the address contains a path, as with a proxy, the path is put before the paths of
            the protocol.
        model: name of the model on the server.
        timeout: maximum time for a response, in seconds.

    Attributes:
        foreign: error message for a response that does not follow the protocol.
        unknown: error message for a response with HTTP status 404.
    """

    foreign, unknown = FOREIGN, UNKNOWN_MODEL

    def __init__(self, url: str, model: str, timeout: float):
        self.url, self.model, self.timeout = url, model, timeout

    def versions(self) -> list[tuple[int | str, str, str]]:
        """Returns the number, the state and the error message of each version that the server knows."""
        return sorted(
            (int(one["version"]), str(one["state"]), str(one.get("status", {}).get("error_message", "")))
            for one in self.ask("")["model_version_status"]
        )

    @functools.cached_property
    def signatures(self) -> dict[str, Signature]:
        """Signatures of the newest available version by name, without TensorFlow's internal signatures."""
        definitions = self.ask("/metadata")["metadata"]["signature_def"]["signature_def"]
        return {
            name: Signature(*(_tensors(one.get(side, {})) for side in ("inputs", "outputs")))
            for name, one in sorted(definitions.items())
            if not name.startswith("__")
        }

    def signature(self, name: str) -> Signature:
        """Returns a signature of the newest available version. Raises ServingError if the signature does not exist."""
        if name not in self.signatures:
            raise self.error(NO_EXPORT, f"no signature {name!r} among {', '.join(self.signatures)}")
        return self.signatures[name]

    def predict(self, name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Sends inputs to a signature and returns the outputs by name.

        Each output is converted to the type that the signature declares.

        Raises:
            ServingError: the signature does not exist, or the server does not respond or refuses the request.
            ValueError: the shape of an output differs from the declared shape.
        """
        declared, batch = self.signature(name).outputs, len(next(iter(inputs.values())))
        outputs, arrays = self.ask(":predict", name, inputs)["outputs"], {}
        if len(declared) == 1 and not isinstance(outputs, dict):  # REST omits the name of a single output
            outputs = dict.fromkeys(declared, outputs)
        for key, (dtype, shape) in declared.items():
            array = arrays[key] = np.asarray(outputs[key], NUMPY_TYPES[dtype])
            # A dimension of variable size, apart from the batch, may have any size.
            wanted = (batch, *(size or found for size, found in zip(shape[1:], array.shape[1:], strict=True)))
            if array.shape != wanted:
                raise ValueError(f"{key} of shape {list(array.shape)} instead of {list(wanted)}")
        return arrays

    def ask(self, path: str, signature: str = "", inputs: dict[str, np.ndarray] | None = None) -> Any:
        """Sends a request about the model and returns the JSON of the response.

        Args:
            path: "" for the status of the versions, "/metadata" for the signatures, ":predict" for outputs.
            signature: name of the signature, for ":predict".
            inputs: arrays by name, for ":predict".
        """
        body = None
        if inputs is not None:
            columns = {key: array.tolist() for key, array in inputs.items()}
            body = {"signature_name": signature, "inputs": columns}
        return self.request(f"/v1/models/{urllib.parse.quote(self.model, safe='')}{path}", body)

    def request(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Sends a request and returns the JSON of the response.

        Args:
            path: path on the server.
            body: content of a POST request. If None, a GET request is sent.
        """
        status, data = self.exchange(path, body)
        try:
            found = json.loads(data)
            if status == http.client.OK:
                return found
            refusal = found["error"]
        except (ValueError, RecursionError, LookupError, TypeError) as error:
            raise self.error(self.foreign, f"HTTP status {status}") from error
        raise self.error(self.unknown if status == http.client.NOT_FOUND else REFUSED, refusal)

    def exchange(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """Sends a request with the arguments of `request`. Returns the HTTP status and the content of the response."""
        # A socket's time-out applies to each packet, so a slow response could take forever. Therefore a thread reads
        # the response, and this method waits at most `timeout` seconds for the thread.
        answer: concurrent.futures.Future[tuple[int, bytes]] = concurrent.futures.Future()
        content = None if body is None else json.dumps(body)
        threading.Thread(target=self._exchange, args=(answer, path, content), daemon=True).start()
        try:
            return answer.result(self.timeout)
        except TimeoutError as error:
            raise self.error(TIMEOUT) from error
        except (OSError, http.client.HTTPException, ValueError, OverflowError) as error:
            # ValueError and OverflowError mean that the address is invalid.
            raise self.error(UNREACHABLE, error) from error

    def _exchange(self, answer: concurrent.futures.Future, path: str, body: str | None) -> None:
        """Sends a request. Stores the HTTP status and the content of the response, or the exception, in `answer`."""
        address = urllib.parse.urlsplit(self.url)
        connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            with contextlib.closing(connect(address.netloc, timeout=self.timeout)) as connection:
                connection.request("POST" if body else "GET", address.path.rstrip("/") + path, body, headers)
                with connection.getresponse() as response:
                    answer.set_result((response.status, response.read()))
        except Exception as error:
            answer.set_exception(error)

    def error(self, message: str, received: object = "") -> ServingError:
        """Returns an error with one of the messages of this module. `received` is shortened to one line."""
        cause = received if isinstance(received, BaseException) else ServingError(received)
        text = one_line(cause, longest=200).rstrip(".")
        return ServingError(
            message.format(received=text, url=self.url, model=self.model, timeout=self.timeout)
        )

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Context manager that raises ServingError if a response has an unexpected form."""
        try:
            yield
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:  # unexpected data cause exceptions of many types
            received = f"an unexpected answer ({type(error).__name__}: {error})"
            raise self.error(self.foreign, received) from error


def _tensors(entries: dict[str, Any]) -> dict[str, Tensor]:
    found = {}
    for name, entry in sorted(entries.items()):
        sizes = [int(one["size"]) for one in entry["tensor_shape"].get("dim", [])]
        found[name] = Tensor(entry["dtype"], tuple(None if size < 0 else size for size in sizes))
    return found
