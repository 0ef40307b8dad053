"""What the client can ask a served model: pictures in, pictures or numbers out."""

import io
import json
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from amr_tf.data import decoding, pixels
from amr_tf.plotting import canvas
from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError, printable
from amr_tf.serving.transport import AVAILABLE, Server, ServingError, Signature, brief, shown

SHOWN_WIDTH = 64  # pixels at least of an image in a picture of results
MOST_CLASSES = 3  # that are named for a picture
PICTURES = 4  # dimensions of an output of pictures
WIDEST = 4096  # pixels of an image that a model may ask for


class Request(NamedTuple):
    """A command and what it works on. `weights` and `out` are None where they are not given."""

    command: str
    pictures: list[str]
    steps: int
    weights: list[float] | None
    out: str | None


def status(server: Server, request: Request) -> None:
    """Prints the versions and, where one answers, its signatures."""
    versions = server.versions()
    for version in versions:
        print(printable(" ".join(f"version {version.number}: {version.state} {version.message}".split())))
    if not any(version.state == AVAILABLE for version in versions):
        raise ServingError("No version of the model answers")
    for name, signature in sorted(server.signatures().items()):
        if not name.startswith("__"):  # TensorFlow's own, which initialises the model
            taken, given = (
                ", ".join(f"{key} {shown(tensor.shape)}" for key, tensor in sorted(side.items()))
                for side in signature
            )
            print(printable(f"{name}: {taken} -> {given}"))


def reconstruct(server: Server, request: Request) -> None:
    """A picture of two rows: what was given, and what the model makes of it."""
    name, signature = _signature(server, "reconstruct", ("images",), "reconstructions", PICTURES)
    x = _read(request.pictures, signature, "images")
    answer = server.predict(name, signature, {"images": x})
    _write_picture(request, [x, answer["reconstructions"]])


def interpolate(server: Server, request: Request) -> None:
    """A strip from the first picture to the second: `steps` decoded points, the reconstructed ends among them."""
    name, signature = _signature(server, "interpolate", ("first", "second", "alpha"), "images", PICTURES)
    first, second = _read(request.pictures, signature, "first")
    alpha = np.linspace(1, 0, request.steps, dtype=np.float32)
    question = {
        "first": np.repeat(first[None], request.steps, axis=0),
        "second": np.repeat(second[None], request.steps, axis=0),
        "alpha": alpha,
    }
    way = server.predict(name, signature, question)["images"]
    _write_picture(request, [np.concatenate([first[None], way, second[None]])])


def mix(server: Server, request: Request) -> None:
    """A strip of the pictures and, at its end, their mix. All weigh the same unless `weights` says otherwise."""
    count = len(request.pictures)
    weights = request.weights or [1 / count] * count
    name, signature = _signature(server, "mix", ("images", "weights"), "images", PICTURES)
    x = _read(request.pictures, signature, "images")
    question = {"images": x[None], "weights": np.asarray([weights], np.float32)}
    mixed = server.predict(name, signature, question)["images"]
    _write_picture(request, [np.concatenate([x, mixed])])


def encode(server: Server, request: Request) -> None:
    """Prints a line of JSON for each picture, or writes all codes as one NumPy array [N, ...]."""
    name, signature = _signature(server, "encode", ("images",), "codes")
    x = _read(request.pictures, signature, "images")
    codes = server.predict(name, signature, {"images": x})["codes"]
    if request.out is None:
        for path, code in zip(request.pictures, codes, strict=True):
            print(json.dumps({"picture": path, "code": code.tolist()}))
        return
    buffer = io.BytesIO()
    np.save(buffer, codes, allow_pickle=False)
    _write(request.out, buffer.getvalue())


def classify(server: Server, request: Request) -> None:
    """Prints the likeliest classes of each picture, as the probe sees them."""
    name, signature = _signature(server, "classify", ("images",), "probabilities", 2)
    x = _read(request.pictures, signature, "images")
    probabilities = server.predict(name, signature, {"images": x})["probabilities"]
    for path, row in zip(request.pictures, probabilities, strict=True):
        best = np.argsort(-row, kind="stable")[:MOST_CLASSES]
        print(f"{path}: " + ", ".join(f"class {number} {row[number]:.1%}" for number in best))


def discriminate(server: Server, request: Request) -> None:
    """Prints the discriminator's score of each picture."""
    name, signature = _signature(server, "discriminate", ("images",), "scores", 1)
    x = _read(request.pictures, signature, "images")
    scores = server.predict(name, signature, {"images": x})["scores"]
    for path, score in zip(request.pictures, scores, strict=True):
        print(f"{path}: {score:.4f}")


class Command(NamedTuple):
    """A command: its work, how many pictures it takes, and which flags besides the connection's."""

    run: Callable[[Server, Request], None]
    least: int
    most: int | None
    flags: tuple[str, ...]
    help: str


COMMANDS = {
    "status": Command(status, 0, 0, (), "the model's versions and signatures"),
    "reconstruct": Command(reconstruct, 1, None, ("out",), "pictures above what the model makes of them"),
    "interpolate": Command(interpolate, 2, 2, ("out", "steps"), "the way from one picture to another"),
    "mix": Command(mix, 2, None, ("out", "weights"), "pictures and their mix"),
    "encode": Command(encode, 1, None, ("out",), "codes, printed as JSON or written as a NumPy file"),
    "classify": Command(classify, 1, None, (), "classes of pictures"),
    "discriminate": Command(discriminate, 1, None, (), "the discriminator's scores"),
}


def _signature(
    server: Server, name: str, names: tuple[str, ...], output: str, rank: int | None = None
) -> tuple[str, Signature]:
    """The name and signature that does `name` with bytes as pixels, which are a quarter of floats on the way.

    Raises:
        ServingError: the model has none, or one with other inputs, or without the `output` of that many dimensions.
    """
    found, name = server.signatures(), f"{name}_uint8"
    if name not in found:
        known = ", ".join(sorted(key for key in found if not key.startswith("__")))
        raise ServingError(f"This model has no signature {name!r}. It has: {brief(known)}")
    taken, given = found[name]
    if set(taken) != set(names):
        raise ServingError(
            f"The signature {name!r} is not amr_tf's: it takes {brief(', '.join(sorted(taken)))} instead of "
            f"{', '.join(names)}"
        )
    shape = given[output].shape if output in given else None
    if not shape or rank not in (None, len(shape)):
        raise ServingError(
            f"The signature {name!r} is not amr_tf's: it has no output {output!r}"
            + (f" of {rank} dimensions" if rank else "")
        )
    return name, found[name]


def _read(paths: list[str], signature: Signature, name: str) -> np.ndarray:
    """The pictures as the signature's input `name` takes one: uint8 [N, H, W, C]."""
    shape = signature.inputs[name].shape
    image_shape = tuple(size for size in (shape or ())[-3:] if size is not None)
    if (
        len(image_shape) != 3
        or image_shape[2] not in (1, 3)
        or not 0 < min(image_shape) <= max(image_shape) <= WIDEST
    ):
        raise ServingError(f"This model does not take pictures: its input {name!r} is {shown(shape)}")
    return np.stack([decoding.read(path, image_shape) for path in paths])


def _write_picture(request: Request, rows: list[np.ndarray]) -> None:
    """Rows of images, uint8 [N, H, W, C] each, as a PNG file."""
    widths = sorted({row.shape[1:] for row in rows})
    if len(widths) > 1:
        raise ServingError(f"This model does not give back pictures of the size that it takes: {widths}")
    picture = canvas.grid([pixels.to_float(row) for row in rows])
    factor = max(1, SHOWN_WIDTH // rows[0].shape[2])
    _write(request.out or f"{request.command}.png", canvas.png(canvas.enlarge(picture, factor)))


def _write(out: str, content: bytes) -> None:
    try:
        path = pathlib.Path(out)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, content)
    except (OSError, ValueError) as error:  # a name that is empty or that no file can have
        raise UserError(f"The result cannot be written: {error}. Choose another --out") from error
    print(f"written: {out}")
