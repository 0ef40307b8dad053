"""BINARY. Sends requests to a model server: python -m amr_tf.serving.client interpolate a.png b.png --out=strip.png

Connections over REST do not need TensorFlow. The exit code is 0 after success, 2 after an error that the message
explains, and 130 after Ctrl-C.
"""

import contextlib
import io
import json
import math
import pathlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from amr_tf.config import command_line
from amr_tf.config.command_line import own_help
from amr_tf.data import decoding, pixels
from amr_tf.plotting import canvas
from amr_tf.runtime import extras, files, startup
from amr_tf.runtime.errors import UserError
from amr_tf.runtime.main import Command
from amr_tf.serving import v2
from amr_tf.serving.server import AVAILABLE, Server, ServingError

PURPOSE = "asks a model of TensorFlow Serving or Triton, see docs/serving.md and docs/triton.md"
HOST = r"//(\[[0-9a-fA-F:.]+\]|[\w.-]+)"
ADDRESS = re.compile(rf"(?:v2\+)?https?:{HOST}(:\d+)?(/[\w./~%!$&'()*+,;=:@-]*)?|grpc:{HOST}:\d+/?", re.ASCII)
MODEL = "amr"  # the model's name in docs/serving/models.config
MOST_STEPS, MOST_SECONDS = 1000, 86_400
MOST_CLASSES = 3  # number of classes that `classify` prints for each image


class Request(NamedTuple):
    """Parsed command line. `weights` and `out` are None by default."""

    command: str
    pictures: list[pathlib.Path]
    url: str
    model: str
    timeout: float
    steps: int
    white: int
    weights: list[float] | None
    out: pathlib.Path | None


def status(server: Server, request: Request) -> None:
    """Prints the versions, and the signatures of the model. Raises ServingError if no version is available."""
    versions = server.versions()
    for number, state, message in versions:
        print(" ".join(f"version {number}: {state} {message}".split()))
    if not any(state == AVAILABLE for _, state, _ in versions):
        raise ServingError("No version of the model answers")
    for name, sides in server.signatures.items():
        taken, given = (", ".join(f"{key} {one.shown()}" for key, one in side.items()) for side in sides)
        print(" ".join(f"{name}: {taken} -> {given}".split()))


def reconstruct(server: Server, request: Request) -> None:
    """Writes an image with two rows: the input images and their reconstructions."""
    x = _read(server, request)
    _write_picture(request, x, server.predict("reconstruct_uint8", {"images": x})["reconstructions"])


def interpolate(server: Server, request: Request) -> None:
    """Writes a row of images: the first image, `steps` decoded points of the path, and the second image.

    The first and the last point of the path are the reconstructions of the two images.
    """
    x = _read(server, request)
    first, second = (np.repeat(image[None], request.steps, axis=0) for image in x)
    alpha = np.linspace(1, 0, request.steps, dtype=np.float32)
    inputs = {"first": first, "second": second, "alpha": alpha}
    path = server.predict("interpolate_uint8", inputs)["images"]
    _write_picture(request, np.concatenate([x[:1], path, x[1:]]))


def mix(server: Server, request: Request) -> None:
    """Writes a row of images: the input images and their mix. By default, all weights are equal."""
    x = _read(server, request)
    weights = np.array([request.weights or [1 / len(x)] * len(x)], np.float32)
    mixed = server.predict("mix_uint8", {"images": x[None], "weights": weights})["images"]
    _write_picture(request, np.concatenate([x, mixed]))


def encode(server: Server, request: Request) -> None:
    """Prints one line of JSON for each image. With --out, writes all codes as one NumPy array [N, ...] instead."""
    codes = server.predict("encode_uint8", {"images": _read(server, request)})["codes"]
    if request.out is None:
        for path, code in zip(request.pictures, codes, strict=True):
            print(json.dumps({"picture": str(path), "code": code.tolist()}))
    else:
        buffer = io.BytesIO()
        np.save(buffer, codes, allow_pickle=False)
        _write(request.out, buffer.getvalue())


def classify(server: Server, request: Request) -> None:
    """Prints the most probable classes of each image, as predicted by the probe."""
    answer = server.predict("classify_uint8", {"images": _read(server, request)})
    for path, row in zip(request.pictures, answer["probabilities"], strict=True):
        best = np.argsort(-row, kind="stable")[:MOST_CLASSES]
        print(f"{path}: " + ", ".join(f"class {number} {row[number]:.1%}" for number in best))


def discriminate(server: Server, request: Request) -> None:
    """Prints the discriminator's score of each image."""
    answer = server.predict("discriminate_uint8", {"images": _read(server, request)})
    for path, score in zip(request.pictures, answer["scores"], strict=True):
        print(f"{path}: {score:.4f}")


class Task(NamedTuple):
    """A command of the client.

    Attributes:
        run: function that executes the command.
        least: smallest number of images.
        most: largest number of images, or None if there is no limit.
        flags: names of the flags, among `out`, `steps` and `weights`, that the command accepts.
        help: a noun phrase for the help of the command line.
    """

    run: Callable[[Server, Request], None]
    least: int
    most: int | None
    flags: tuple[str, ...]
    help: str


COMMANDS = {
    "status": Task(status, 0, 0, (), "the model's versions and signatures"),
    "reconstruct": Task(reconstruct, 1, None, ("out",), "pictures above their reconstructions"),
    "interpolate": Task(interpolate, 2, 2, ("out", "steps"), "the path from one picture to another"),
    "mix": Task(mix, 2, None, ("out", "weights"), "pictures and their mix"),
    "encode": Task(encode, 1, None, ("out",), "codes, printed as JSON or written as a NumPy file"),
    "classify": Task(classify, 1, None, (), "classes of pictures"),
    "discriminate": Task(discriminate, 1, None, (), "the discriminator's scores"),
}
USAGE = (
    "python -m amr_tf.serving.client COMMAND [PICTURES...] [--url=URL] [--model=NAME]\n\ncommands:"
    + "".join(f"\n  {name}: {command.help}" for name, command in COMMANDS.items())
)


def _read(server: Server, request: Request) -> np.ndarray:
    """Reads the image files in the size that the model expects, uint8 [N, H, W, C].

    Requests with uint8 images are smaller than requests with float images.
    """
    height, width, channels = server.signature("encode_uint8").inputs["images"].shape[1:]
    if not height or width != height or channels not in (1, 3):
        raise ValueError(f"images of {height} x {width} x {channels}")
    return np.stack(
        [decoding.read(str(path), (height, width, channels), request.white) for path in request.pictures]
    )


def _write_picture(request: Request, *rows: np.ndarray) -> None:
    """Writes one PNG file that shows rows of images, uint8 [N, H, W, C] each."""
    picture = canvas.grid([pixels.to_float(row) for row in rows])
    enlarged = canvas.enlarge(picture, canvas.factor(rows[0].shape[2]))
    _write(request.out or pathlib.Path(f"{request.command}.png"), canvas.png(enlarged))


def _write(out: pathlib.Path, content: bytes) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        files.write(out, content)
    except (OSError, ValueError) as error:  # ValueError: for example, the path has no file name
        raise UserError(f"The result cannot be written: {error}. Choose another --out") from error
    print(f"written: {out}")


def define_flags() -> flags.FlagValues:
    """Declares the flags of this binary."""
    values = flags.FlagValues()
    own: dict[str, Any] = {"flag_values": values}
    url = "address; grpc://localhost:8500 for gRPC, v2+http://localhost:8000 for Triton and KServe"
    flags.DEFINE_string("url", "http://localhost:8501", url, **own)
    model = f"name of the model on the server ({MODEL}); with v2+, text before the signature in a model's name (none)"
    flags.DEFINE_string("model", None, model, **own)
    flags.DEFINE_float("timeout", 10.0, "seconds that an answer may take", **own)
    out = "picture to write (COMMAND.png); with encode, a NumPy file instead of printed codes"
    command_line.define_path("out", out, values)
    flags.DEFINE_integer("steps", 9, "interpolate: points on the way, with both ends", 2, MOST_STEPS, **own)
    white = "value of 16-bit grey pictures that is white; the card of a model trained with --pixel_range=auto has it"
    flags.DEFINE_integer("white", decoding.DEEP, white, 1, decoding.DEEP, **own)
    flags.DEFINE_list("weights", None, "mix: shares of the pictures, which sum to 1", **own)
    values.set_gnu_getopt()
    return values


def parse(arguments: list[str]) -> Request:
    """Parses `arguments` (without the program's name).

    Raises:
        UserError: an unknown command or flag, a flag of another command, an invalid value, or a wrong number of images.
    """
    values = define_flags()
    name, *pictures = command_line.read_own(values, "amr_tf.serving.client", arguments) or [""]
    if name not in COMMANDS:
        raise UserError(f"A command is needed, one of {', '.join(COMMANDS)}. Received: {name!r}")
    command = COMMANDS[name]
    for flag in ("out", "steps", "weights"):
        if values[flag].present and flag not in command.flags:
            raise UserError(f"--{flag} is of no use to {name}")
    if len(pictures) < command.least or (command.most is not None and len(pictures) > command.most):
        wanted = str(command.least) if command.least == command.most else f"{command.least} or more"
        raise UserError(f"{name} takes {wanted} pictures. Received: {len(pictures)}")
    if not 0 < values.timeout <= MOST_SECONDS:
        raise UserError(f"--timeout takes seconds, {MOST_SECONDS:,} at most. Received: {values.timeout:g}")
    if not ADDRESS.fullmatch(values.url):
        addresses = "http://HOST:PORT, https://HOST:PORT, grpc://HOST:PORT or v2+http://HOST:PORT"
        raise UserError(f"--url takes {addresses}. Received: {values.url!r}")
    weights = None if values.weights is None else _weights(values.weights, len(pictures))
    default = "" if values.url.startswith(v2.SCHEME) else MODEL
    connection = (values.url, default if values.model is None else values.model, values.timeout)
    return Request(
        name, [*map(files.user_path, pictures)], *connection, values.steps, values.white, weights, values.out
    )


def _weights(words: list[str], count: int) -> list[float]:
    with contextlib.suppress(ValueError):
        weights = [float(word) for word in words]
        if len(weights) == count and math.isclose(sum(weights), 1, abs_tol=1e-3):
            return weights
    raise UserError(f"--weights takes {count} numbers that sum to 1. Received: {','.join(words)}")


def connect(url: str, model: str, timeout: float) -> Server:
    """Returns a client for the protocol of the address. This function sends no request."""
    if url.startswith(v2.SCHEME):
        return v2.V2Server(url, model, timeout)
    if not url.startswith("grpc:"):
        return Server(url, model, timeout)
    extras.require("A connection over gRPC", "tensorflow_serving")
    startup.import_tensorflow()
    from amr_tf.serving import grpc

    return grpc.GrpcServer(url, model, timeout)


def work(request: Request) -> None:
    """Runs the command."""
    server = connect(request.url, request.model, request.timeout)
    with server.reading():
        COMMANDS[request.command].run(server, request)


main = Command("amr_tf.serving.client", PURPOSE, lambda: own_help(USAGE, define_flags()), parse, work)

if __name__ == "__main__":
    main.run()
