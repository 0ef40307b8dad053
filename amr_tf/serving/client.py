"""BINARY. Asks a model server: python -m amr_tf.serving.client interpolate a.png b.png --out=strip.png

Over REST it needs no TensorFlow. Exit codes: 0 done, 2 an error that the message explains, 130 interrupted.
"""

import math
import urllib.parse
from typing import Any, NamedTuple

from absl import flags

from amr_tf.config import command_line
from amr_tf.config.command_line import own_help
from amr_tf.runtime import startup
from amr_tf.runtime.errors import UserError
from amr_tf.runtime.main import Command
from amr_tf.serving import rest
from amr_tf.serving.commands import COMMANDS, Request
from amr_tf.serving.transport import Server

USAGE = (
    "python -m amr_tf.serving.client COMMAND [PICTURES...] [--url=URL] [--model=NAME]\n\ncommands:"
    + "".join(f"\n  {name}: {command.help}" for name, command in COMMANDS.items())
)
PURPOSE = "asks a model that TensorFlow Serving serves, see docs/serving.md"
SCHEMES = ("http", "https", "grpc")
MOST_STEPS, MOST_SECONDS = 1000, 86_400


class Connection(NamedTuple):
    """Address of a server, and the name of a model there."""

    url: str
    model: str
    timeout: float


def define_flags() -> flags.FlagValues:
    """Declares the flags of this binary."""
    values = flags.FlagValues()
    own: dict[str, Any] = {"flag_values": values}
    flags.DEFINE_string("url", "http://localhost:8501", "address; grpc://localhost:8500 for gRPC", **own)
    flags.DEFINE_string("model", "amr", "name of the model on the server", **own)
    flags.DEFINE_float("timeout", 10.0, "seconds that an answer may take", **own)
    out = "picture to write (COMMAND.png); with encode, a NumPy file instead of printed codes"
    flags.DEFINE_string("out", None, out, **own)
    flags.DEFINE_integer("steps", 9, "interpolate: points on the way, with both ends", 2, MOST_STEPS, **own)
    flags.DEFINE_list("weights", None, "mix: shares of the pictures, which sum to 1", **own)
    values.set_gnu_getopt()
    return values


def parse(arguments: list[str]) -> tuple[Connection, Request]:
    """Reads `arguments` (without the program's name).

    Raises:
        UserError: an unknown command or flag, a flag of another command, or a number of pictures that does not fit.
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
    weights = None if values.weights is None else _weights(values.weights, len(pictures))
    connection = Connection(_url(values.url), values.model, values.timeout)
    return connection, Request(name, pictures, values.steps, weights, values.out)


def _weights(words: list[str], count: int) -> list[float]:
    try:
        weights = [float(word) for word in words]
    except ValueError:
        weights = []
    if len(weights) != count or not math.isclose(sum(weights), 1, abs_tol=1e-3):
        raise UserError(f"--weights takes {count} numbers that sum to 1. Received: {','.join(words)}")
    return weights


def _url(url: str) -> str:
    """Returns the address of a server.

    Raises:
        UserError: another kind of address, or more than the address of a server.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in SCHEMES and parts.hostname and (parts.port or parts.scheme != "grpc")
    except ValueError:  # a port that is not a number
        usable = False
    if not usable or "@" in parts.netloc or parts.query or parts.fragment or not url.isascii():
        raise UserError(
            f"--url takes http://HOST:PORT, https://HOST:PORT or grpc://HOST:PORT. Received: {url!r}"
        )
    return url


def connect(connection: Connection) -> Server:
    """Returns the server by the protocol of its address. Nothing is sent yet."""
    if connection.url.startswith("grpc:"):
        startup.import_tensorflow()
        from amr_tf.serving import grpc

        return grpc.GrpcServer(*connection)
    return rest.RestServer(*connection)


def work(addressed: tuple[Connection, Request]) -> None:
    """Carries out the command."""
    connection, request = addressed
    COMMANDS[request.command].run(connect(connection), request)


main = Command("amr_tf.serving.client", PURPOSE, lambda: own_help(USAGE, define_flags()), parse, work)

if __name__ == "__main__":
    main.run()
