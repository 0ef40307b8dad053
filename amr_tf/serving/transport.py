"""A connection to a model in TensorFlow Serving: the part that does not depend on the protocol.

Versions and signatures are the same messages over REST, as JSON, and over gRPC, where `grpc` turns them into JSON.
"""

import abc
import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from amr_tf.runtime.errors import UserError, one_line

AVAILABLE = "AVAILABLE"  # the state of a version that answers
# Types of the outputs that the client uses.
_NUMPY_TYPES = {"DT_FLOAT": np.float32, "DT_UINT8": np.uint8}

TIMEOUT = "No answer from {url} within {timeout:g} s. Raise --timeout"
UNREACHABLE = "The server cannot be reached at {url}. Received: {received}. Check --url"
FOREIGN = (
    "The answer of {url} is not TensorFlow Serving's. Received: {received}. By default --url=http://HOST:8501 is its "
    "REST interface and --url=grpc://HOST:8500 its gRPC interface"
)
UNKNOWN_MODEL = "The server at {url} does not know the model {model!r}. Received: {received}. Check --model"
REFUSED = "The server refused the request. Received: {received}. The command `status` lists the signatures"


class ServingError(UserError):
    """A server that cannot be reached, refuses a request or gives an invalid answer."""


class Tensor(NamedTuple):
    """An input or output of a signature.

    Attributes:
        dtype: TensorFlow's name of the type, such as DT_FLOAT.
        shape: None in place of a free size; None itself where the number of dimensions is free.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


class Signature(NamedTuple):
    """A request that a model answers: inputs and outputs by name."""

    name: str
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Version(NamedTuple):
    """A version of the model, its state in the server, and the error that the server met with it."""

    number: int
    state: str
    message: str


class Server(abc.ABC):
    """A model of a server. Every method may raise ServingError.

    Args:
        url: address of the server.
        model: name of the model in the server.
        timeout: seconds that an answer may take.
    """

    def __init__(self, url: str, model: str, timeout: float):
        self.url, self.model, self.timeout = url, model, timeout

    def versions(self) -> list[Version]:
        """Lists the versions that the server knows."""
        answer = self._status()
        with self._reading():
            return sorted(
                Version(
                    int(one["version"]),
                    str(one["state"]),
                    str(one.get("status", {}).get("error_message", "")),
                )
                for one in answer["model_version_status"]
            )

    def signatures(self) -> dict[str, Signature]:
        """Lists the signatures of the newest version that answers, by name."""
        answer = self._metadata()
        with self._reading():
            return {
                name: Signature(name, *(_tensors(one.get(side, {})) for side in ("inputs", "outputs")))
                for name, one in answer["signature_def"].items()
            }

    def predict(self, signature: Signature, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Sends inputs to a signature; returns the outputs by name, of the types and shapes that it declares."""
        return checked(self._predict(signature, inputs), signature, len(next(iter(inputs.values()))))

    @abc.abstractmethod
    def _status(self) -> Any:
        """Asks for the GetModelStatusResponse, as JSON."""

    @abc.abstractmethod
    def _metadata(self) -> Any:
        """Asks for the SignatureDefMap, as JSON."""

    @abc.abstractmethod
    def _predict(self, signature: Signature, inputs: dict[str, np.ndarray]) -> Any:
        """Asks for the outputs by name, as arrays or lists in lists. Anything that is received is returned."""

    def _error(self, message: str, received: object = "") -> ServingError:
        """The error of one of the messages above."""
        return ServingError(message.format(received=brief(received), **vars(self)))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Raises ServingError where an answer has an unexpected form."""
        try:
            yield
        except Exception as error:  # hostile or foreign data, whose readers raise many types
            received = f"an unexpected answer ({type(error).__name__}: {error})"
            raise self._error(FOREIGN, received) from error


def _tensors(entries: dict[str, Any]) -> dict[str, Tensor]:
    return {name: Tensor(entry["dtype"], _shape(entry["tensor_shape"])) for name, entry in entries.items()}


def _shape(entry: dict[str, Any]) -> tuple[int | None, ...] | None:
    if entry.get("unknown_rank"):
        return None
    sizes = (int(dimension["size"]) for dimension in entry.get("dim", []))
    return tuple(None if size < 0 else size for size in sizes)


def checked(outputs: Any, signature: Signature, batch: int) -> dict[str, np.ndarray]:
    """Converts the outputs of an answer to arrays of the signature's types.

    Args:
        outputs: arrays, or lists in lists, by name.
        signature: declares types and shapes.
        batch: required first dimension.

    Raises:
        ServingError: an output is missing, or does not have the type and shape of the signature.
    """
    arrays = {}
    for name, tensor in signature.outputs.items():
        try:
            array = np.asarray(outputs[name])
            if array.dtype.kind not in "uif":
                raise ValueError(f"values of type {array.dtype}")
            arrays[name] = array.astype(_NUMPY_TYPES[tensor.dtype])
        except (KeyError, ValueError, TypeError) as error:
            raise ServingError(
                f"The answer lacks a usable output {name!r}. Received: {brief(error)}"
            ) from None
        wanted = (batch, *(tensor.shape or (None,) * array.ndim)[1:])
        sizes = zip(wanted, array.shape, strict=False)
        if array.ndim != len(wanted) or any(size not in (None, found) for size, found in sizes):
            raise ServingError(
                f"The answer does not fit the request: {name!r} must be {shown(wanted)}. Received: {shown(array.shape)}"
            )
    return arrays


def shown(shape: tuple[int | None, ...] | None) -> str:
    """Formats a shape for a message: `[?, 32, 32, 1]`."""
    if shape is None:
        return "[...]"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def brief(message: object) -> str:
    """Puts text of a server or a library on one short line."""
    error = message if isinstance(message, BaseException) else ServingError(message)
    return one_line(error, longest=200).rstrip(".")
