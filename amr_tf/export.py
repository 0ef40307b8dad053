"""BINARY. Writes a trained run as a SavedModel: python -m amr_tf.export --run_dir=runs/...

The exit code is 0 after success, 2 after an error that the message explains, 130 after Ctrl-C, 143 after SIGTERM, and
129 after the terminal was closed.
"""

import pathlib
import time
from typing import NamedTuple

from absl import flags

from amr_tf.config import command_line
from amr_tf.config.command_line import own_help
from amr_tf.runtime import extras, files, startup
from amr_tf.runtime.errors import UserError
from amr_tf.runtime.interruption import Interruption
from amr_tf.runtime.main import Command

USAGE = "python -m amr_tf.export --run_dir=RUN [FLAGS]"
STOPPED = "interrupted; a version is complete or absent"
PURPOSE = "writes a run as a SavedModel"
ALSO = ("onnx", "litert", "triton", "hub")


class Request(NamedTuple):
    """Parsed command line."""

    run_dir: pathlib.Path
    checkpoint: str
    export_dir: pathlib.Path
    also: list[str]


def define_flags() -> flags.FlagValues:
    """Declares the flags of this binary."""
    values = flags.FlagValues()
    command_line.define_path("run_dir", "run folder; the data are not needed", values)
    flags.DEFINE_string(
        "checkpoint", "best", "best (on the validation split), last, or a number of steps", values
    )
    command_line.define_path("export_dir", "folder of the versions 1, 2, ... (RUN/export)", values)
    flags.DEFINE_list("also", [], f"further formats for other engines: {', '.join(ALSO)}", values)
    values.set_gnu_getopt()
    return values


def parse(arguments: list[str]) -> Request:
    """Parses `arguments` (without the program's name). Raises UserError if they are invalid."""
    values = define_flags()
    stray = command_line.read_own(values, "amr_tf.export", arguments)
    if stray or not values.run_dir:
        raise UserError(
            f"It takes --run_dir=RUN and nothing without a flag. Received: {' '.join(arguments) or 'nothing'}"
        )
    export_dir = values.export_dir or values.run_dir / "export"
    return Request(
        values.run_dir, values.checkpoint, export_dir, command_line.known("also", values.also, ALSO)
    )


def work(request: Request) -> None:
    """Exports the run as the next version and prints the path of the version."""
    begin = time.monotonic()
    extras.require("The export of a run", "tensorflow_serving")
    for name in sorted({"onnx", "triton"} & {*request.also}):
        extras.require(f"--also={name}", "tf2onnx")
    if "litert" in request.also:
        extras.require("--also=litert", "ai_edge_litert")
    with Interruption():
        startup.import_tensorflow()
        from amr_tf.runs.trained import TrainedRun
        from amr_tf.serving import saved_model

        trained = TrainedRun(request.run_dir, request.checkpoint)
        path = saved_model.export(trained, request.export_dir, request.also)
        print(f"exported: {path} (step {trained.step:,}, {trained.chosen}; {time.monotonic() - begin:.0f} s)")
        print(f"model card: {path / saved_model.CARD}")
        if files.PATTERN.search(str(path.absolute())):
            print(
                "warning: TensorFlow reads [ ] * ? and \\ in a path as a pattern: copy the model before loading it"
            )


main = Command("amr_tf.export", PURPOSE, lambda: own_help(USAGE, define_flags()), parse, work, STOPPED)

if __name__ == "__main__":
    main.run()
