"""Commands of the client: pictures in, pictures or numbers out."""

import io
import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from amr_tf.data import decoding, pixels
from amr_tf.plotting import canvas
from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError
from amr_tf.serving.transport import AVAILABLE, Server, ServingError, Signature, brief, shown

SHOWN_WIDTH = 64  # smallest width in pixels of an image in a picture of results
MOST_CLASSES = 3  # printed for each picture
PICTURES = 4  # dimensions of an output of pictures
WIDEST = 4096  # largest width and height in pixels that a model may require


class Request(NamedTuple):
    """A command with its pictures and flags. `weights` and `out` are None unless given."""

    command: str
    pictures: list[str]
    steps: int
    weights: list[float] | None
    out: str | None


def status(server: Server, request: Request) -> None:
    """Prints the versions and, if one answers, its signatures."""
    versions = server.versions()
    for version in versions:
        print(" ".join(f"version {version.number}: {version.state} {version.message}".split()))
    if not any(version.state == AVAILABLE for version in versions):
        raise ServingError("No version of the model answers")
    for name, signature in sorted(server.signatures().items()):
        if not name.startswith("__"):  # TensorFlow's own, which initialises the model
            taken, given = (
                ", ".join(f"{key} {shown(tensor.shape)}" for key, tensor in sorted(side.items()))
                for side in (signature.inputs, signature.outputs)
            )
            print(" ".join(f"{name}: {taken} -> {given}".split()))


def reconstruct(server: Server, request: Request) -> None:
    """Writes a picture of two rows: the pictures, and their reconstructions."""
    x, reconstructions = _of_pictures(server, request, "reconstruct", "reconstructions", PICTURES)
    _write_picture(request, [x, reconstructions])


def interpolate(server: Server, request: Request) -> None:
    """Writes a strip from the first picture to the second: `steps` decoded points between both, ends included."""
    signature = _signature(server, "interpolate", ("first", "second", "alpha"), "images", PICTURES)
    first, second = _read(request.pictures, signature, "first")
    question = {
        "first": np.repeat(first[None], request.steps, axis=0),
        "second": np.repeat(second[None], request.steps, axis=0),
        "alpha": np.linspace(1, 0, request.steps, dtype=np.float32),
    }
    path = server.predict(signature, question)["images"]
    _write_picture(request, [np.concatenate([first[None], path, second[None]])])


def mix(server: Server, request: Request) -> None:
    """Writes a strip of the pictures and their mix, with equal weights by default."""
    count = len(request.pictures)
    weights = request.weights or [1 / count] * count
    signature = _signature(server, "mix", ("images", "weights"), "images", PICTURES)
    x = _read(request.pictures, signature, "images")
    question = {"images": x[None], "weights": np.asarray([weights], np.float32)}
    _write_picture(request, [np.concatenate([x, server.predict(signature, question)["images"]])])


def encode(server: Server, request: Request) -> None:
    """Prints a line of JSON for each picture, or writes all codes as one NumPy array [N, ...]."""
    _, codes = _of_pictures(server, request, "encode", "codes")
    if request.out is None:
        for path, code in zip(request.pictures, codes, strict=True):
            print(json.dumps({"picture": path, "code": code.tolist()}))
        return
    buffer = io.BytesIO()
    np.save(buffer, codes, allow_pickle=False)
    _write(request.out, buffer.getvalue())


def classify(server: Server, request: Request) -> None:
    """Prints the probe's most probable classes of each picture."""
    _, probabilities = _of_pictures(server, request, "classify", "probabilities", 2)
    for path, row in zip(request.pictures, probabilities, strict=True):
        best = np.argsort(-row, kind="stable")[:MOST_CLASSES]
        print(f"{path}: " + ", ".join(f"class {number} {row[number]:.1%}" for number in best))


def discriminate(server: Server, request: Request) -> None:
    """Prints the discriminator's score of each picture."""
    _, scores = _of_pictures(server, request, "discriminate", "scores", 1)
    for path, score in zip(request.pictures, scores, strict=True):
        print(f"{path}: {score:.4f}")


class Command(NamedTuple):
    """A command: its function, the number of pictures it takes, and its flags besides those of the connection."""

    run: Callable[[Server, Request], None]
    least: int
    most: int | None
    flags: tuple[str, ...]
    help: str


COMMANDS = {
    "status": Command(status, 0, 0, (), "the model's versions and signatures"),
    "reconstruct": Command(reconstruct, 1, None, ("out",), "pictures above their reconstructions"),
    "interpolate": Command(interpolate, 2, 2, ("out", "steps"), "the path from one picture to another"),
    "mix": Command(mix, 2, None, ("out", "weights"), "pictures and their mix"),
    "encode": Command(encode, 1, None, ("out",), "codes, printed as JSON or written as a NumPy file"),
    "classify": Command(classify, 1, None, (), "classes of pictures"),
    "discriminate": Command(discriminate, 1, None, (), "the discriminator's scores"),
}


def _of_pictures(
    server: Server, request: Request, name: str, output: str, rank: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of a request, and the output of a signature that takes pictures alone."""
    signature = _signature(server, name, ("images",), output, rank)
    x = _read(request.pictures, signature, "images")
    return x, server.predict(signature, {"images": x})[output]


def _signature(
    server: Server, name: str, taken: tuple[str, ...], output: str, rank: int | None = None
) -> Signature:
    """Finds the signature `<name>_uint8`: over REST, bytes take a quarter of the space of floats.

    Raises:
        ServingError: the signature is missing, has other inputs, or lacks the `output` of that many dimensions.
    """
    known, name = server.signatures(), f"{name}_uint8"
    if name not in known:
        names = brief(", ".join(sorted(key for key in known if not key.startswith("__"))))
        raise ServingError(
            f"This model lacks the signature {name!r}. Received: {names}. Serve an export of amr_tf"
        )
    shape = known[name].outputs[output].shape if output in known[name].outputs else None
    if set(known[name].inputs) != set(taken) or not shape or rank not in (None, len(shape)):
        dimensions = f" of {rank} dimensions" if rank else ""
        sides = (
            ", ".join(f"{key} {shown(one.shape)}" for key, one in side.items()) for side in known[name][1:]
        )
        raise ServingError(
            f"The signature {name!r} must take {', '.join(taken)} and give {output}{dimensions}. "
            f"Received: {brief(' -> '.join(sides))}. Serve an export of amr_tf"
        )
    return known[name]


def _read(paths: list[str], signature: Signature, name: str) -> np.ndarray:
    """Reads pictures as the signature's input `name` requires them: uint8 [N, H, W, C]."""
    shape = signature.inputs[name].shape
    sizes = [size or 0 for size in (shape or ())[-3:]]
    height, width, channels = sizes if len(sizes) == 3 else (0, 0, 0)
    if height != width or channels not in (1, 3) or not 0 < width <= WIDEST:
        raise ServingError(
            f"The model must take square pictures. Received: its input {name!r} is {shown(shape)}"
        )
    return np.stack([decoding.read(path, (width, width, channels)) for path in paths])


def _write_picture(request: Request, rows: list[np.ndarray]) -> None:
    """Writes rows of images, uint8 [N, H, W, C] each, as a PNG file."""
    shapes = sorted({row.shape[1:] for row in rows})
    if len(shapes) > 1:
        raise ServingError(f"The model must give pictures of the size that it takes. Received: {shapes}")
    picture = canvas.grid([pixels.to_float(row) for row in rows])
    factor = max(1, SHOWN_WIDTH // rows[0].shape[2])
    _write(request.out or f"{request.command}.png", canvas.png(canvas.enlarge(picture, factor)))


def _write(out: str, content: bytes) -> None:
    try:
        path = files.user_path(out)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, content)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise UserError(f"The result cannot be written: {error}. Choose another --out") from error
    print(f"written: {out}")
