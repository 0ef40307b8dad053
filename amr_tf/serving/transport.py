"""What the client needs of a connection to TensorFlow Serving, whichever protocol it speaks: rest.py or grpc.py."""

from typing import NamedTuple, Protocol

import numpy as np

from amr_tf.runtime.errors import UserError, one_line, printable

AVAILABLE = "AVAILABLE"
# Of the outputs of the signatures that the client knows.
_NUMPY_TYPES = {"DT_FLOAT": np.float32, "DT_UINT8": np.uint8}


class ServingError(UserError):
    """A server that cannot be reached, or that refuses what it was asked."""


class Tensor(NamedTuple):
    """An input or output of a signature: TensorFlow's name of its type, and its shape with None for what is free.

    The shape itself is None where even the number of dimensions is free.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


class Signature(NamedTuple):
    """What a model can be asked: inputs and outputs by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Version(NamedTuple):
    """A version of the model, its state in the server (AVAILABLE: it answers), and what went wrong with it."""

    number: int
    state: str
    message: str


class Server(Protocol):
    """A connection to one model of a server. Every method may raise ServingError."""

    def versions(self) -> list[Version]:
        """The versions that the server knows."""

    def signatures(self) -> dict[str, Signature]:
        """The signatures of the newest version that answers."""

    def predict(
        self, name: str, signature: Signature, inputs: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Asks the signature of that name; outputs by name, of the types and shapes that `signature` has."""


def checked(outputs: dict[str, object], signature: Signature, batch: int) -> dict[str, np.ndarray]:
    """What a server answered, as arrays of the signature's types.

    Args:
        outputs: arrays, or lists in lists, by name.
        signature: says what they have to be.
        batch: the first dimension that they must have.

    Raises:
        ServingError: an output is missing, or is not of the signature's type and shape.
    """
    arrays = {}
    for name, tensor in signature.outputs.items():
        try:
            array = np.asarray(outputs[name])
            if array.dtype.kind not in "uif":
                raise ValueError(f"values of type {array.dtype}")
            arrays[name] = array.astype(_NUMPY_TYPES[tensor.dtype])
        except (KeyError, ValueError, TypeError) as error:
            raise ServingError(f"The server's answer has no usable {name!r}: {brief(error)}") from None
        if not _fits(array.shape, tensor.shape) or len(array) != batch:
            raise ServingError(
                f"The server's answer does not fit the question: {name!r} is {shown(array.shape)}, not "
                f"{shown((batch, *(tensor.shape or (None,))[1:]))}"
            )
    return arrays


def _fits(shape: tuple[int, ...], pattern: tuple[int | None, ...] | None) -> bool:
    if pattern is None:
        return len(shape) > 0
    pairs = zip(shape, pattern, strict=False)
    return len(shape) == len(pattern) > 0 and all(free is None or size == free for size, free in pairs)


def shown(shape: tuple[int | None, ...] | None) -> str:
    """`[?, 32, 32, 1]` for a message."""
    return (
        "[...]" if shape is None else f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
    )


def brief(message: object) -> str:
    """What a server or a library says, on one short line without anything that a terminal would obey."""
    return printable(
        one_line(message if isinstance(message, BaseException) else ServingError(message), longest=200)
    )
