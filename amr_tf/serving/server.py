"""A model in TensorFlow Serving over REST, with the standard library only: the client starts without TensorFlow."""

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

AVAILABLE = "AVAILABLE"  # the state of a version that answers
# Types of the outputs that the client uses.
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
    """A server that cannot be reached, refuses a request or gives an invalid answer."""


class Tensor(NamedTuple):
    """An input or output: TensorFlow's name of its type, such as DT_FLOAT, and its shape, None for a free size."""

    dtype: str
    shape: tuple[int | None, ...]

    def shown(self) -> str:
        """Formats a shape as `[?, 32, 32, 1]`."""
        return f"[{', '.join('?' if size is None else str(size) for size in self.shape)}]"


class Signature(NamedTuple):
    """A request that a model answers: inputs and outputs by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Server:
    """A model of a server at an http:// or https:// address.

    A method raises ServingError if the server gives no answer or refuses, and any exception if the answer has an
    unexpected form, which `reading` reports.

    Args:
        url: address; a path in it precedes the server's own paths, as behind a proxy.
        model: name of the model in the server.
        timeout: seconds that an answer may take.

    Attributes:
        foreign: message of an answer that is not one of the protocol.
        unknown: message of an answer with HTTP status 404.
    """

    foreign, unknown = FOREIGN, UNKNOWN_MODEL

    def __init__(self, url: str, model: str, timeout: float):
        self.url, self.model, self.timeout = url, model, timeout

    def versions(self) -> list[tuple[int | str, str, str]]:
        """Lists number, state and error message of each version that the server knows."""
        return sorted(
            (int(one["version"]), str(one["state"]), str(one.get("status", {}).get("error_message", "")))
            for one in self.ask("")["model_version_status"]
        )

    @functools.cached_property
    def signatures(self) -> dict[str, Signature]:
        """Signatures of the newest version that answers, by name, except TensorFlow's own."""
        definitions = self.ask("/metadata")["metadata"]["signature_def"]["signature_def"]
        return {
            name: Signature(*(_tensors(one.get(side, {})) for side in ("inputs", "outputs")))
            for name, one in sorted(definitions.items())
            if not name.startswith("__")
        }

    def signature(self, name: str) -> Signature:
        """Returns a signature of the newest version that answers."""
        if name not in self.signatures:
            raise self.error(NO_EXPORT, f"no signature {name!r} among {', '.join(self.signatures)}")
        return self.signatures[name]

    def predict(self, name: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Sends inputs to a signature; returns the outputs by name, of the types and shapes that it declares."""
        declared, batch = self.signature(name).outputs, len(next(iter(inputs.values())))
        outputs, arrays = self.ask(":predict", name, inputs)["outputs"], {}
        if len(declared) == 1 and not isinstance(outputs, dict):  # REST leaves a single name away
            outputs = dict.fromkeys(declared, outputs)
        for key, (dtype, shape) in declared.items():
            array = arrays[key] = np.asarray(outputs[key], NUMPY_TYPES[dtype])
            # A free size is compared with itself.
            wanted = (batch, *(size or found for size, found in zip(shape[1:], array.shape[1:], strict=True)))
            if array.shape != wanted:
                raise ValueError(f"{key} of shape {list(array.shape)} instead of {list(wanted)}")
        return arrays

    def ask(self, path: str, signature: str = "", inputs: dict[str, np.ndarray] | None = None) -> Any:
        """Returns the JSON of an answer: of the status (no path), of `/metadata`, or of `:predict` with its inputs."""
        body = None
        if inputs is not None:
            columns = {key: array.tolist() for key, array in inputs.items()}
            body = {"signature_name": signature, "inputs": columns}
        return self.request(f"/v1/models/{urllib.parse.quote(self.model, safe='')}{path}", body)

    def request(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Returns the JSON of an answer.

        Args:
            path: of the server.
            body: of a POST request. Without it the request is a GET.
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
        """Returns HTTP status and content of an answer; takes the arguments of `request`."""
        # The time-out of a socket counts for each packet, and a server can send packets for ever.
        answer: concurrent.futures.Future[tuple[int, bytes]] = concurrent.futures.Future()
        content = None if body is None else json.dumps(body)
        threading.Thread(target=self._exchange, args=(answer, path, content), daemon=True).start()
        try:
            return answer.result(self.timeout)
        except TimeoutError as error:
            raise self.error(TIMEOUT) from error
        except (OSError, http.client.HTTPException, ValueError, OverflowError) as error:  # or an address
            raise self.error(UNREACHABLE, error) from error

    def _exchange(self, answer: concurrent.futures.Future, path: str, body: str | None) -> None:
        """Sends a request; HTTP status and content of the response become the result of `answer`."""
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
        """Returns the error of one of the messages above, with what was received on one short line."""
        cause = received if isinstance(received, BaseException) else ServingError(received)
        text = one_line(cause, longest=200).rstrip(".")
        return ServingError(
            message.format(received=text, url=self.url, model=self.model, timeout=self.timeout)
        )

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Context that raises ServingError if an answer has an unexpected form."""
        try:
            yield
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:  # foreign data, whose readers raise many types
            received = f"an unexpected answer ({type(error).__name__}: {error})"
            raise self.error(self.foreign, received) from error


def _tensors(entries: dict[str, Any]) -> dict[str, Tensor]:
    found = {}
    for name, entry in sorted(entries.items()):
        sizes = [int(one["size"]) for one in entry["tensor_shape"].get("dim", [])]
        found[name] = Tensor(entry["dtype"], tuple(None if size < 0 else size for size in sizes))
    return found
