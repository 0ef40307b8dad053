"""BINARY. Writes a trained run as a SavedModel: python -m amr_tf.export --run_dir=runs/...

Exit codes: 0 done, 2 a failure that the message explains, 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by a
closed terminal.
"""

import os
import pathlib
import sys
import time
from typing import NamedTuple

from absl import flags

from amr_tf.config import command_line
from amr_tf.runtime import errors, process, startup
from amr_tf.runtime.errors import Interrupted, UserError
from amr_tf.runtime.interruption import Interruption, ignore_signals

HELP_FLAGS = {"--help", "-help", "-h", "--helpfull", "--helpshort"}
HELP = """python -m amr_tf.export --run_dir=RUN [FLAGS]: writes a run as a SavedModel

--run_dir
    The run folder. All that is needed is in it; the data are not.
--checkpoint
    best (by validation), last, or a number of steps. Default: best.
--export_dir
    Folder of the model's versions 1, 2, ..., as TensorFlow Serving takes it. Default: RUN/export.
--also
    Encoder and decoder for other engines beside the SavedModel, any of: onnx, litert."""
ALSO = ("onnx", "litert")


class Request(NamedTuple):
    """What a command asks for."""

    run_dir: pathlib.Path
    checkpoint: str
    export_dir: pathlib.Path
    also: list[str]


def parse(arguments: list[str]) -> Request:
    """Reads `arguments` (without the program's name).

    Raises:
        UserError: an unknown flag, or no run.
    """
    values = flags.FlagValues()
    flags.DEFINE_string("run_dir", None, "run folder", values)
    flags.DEFINE_string("checkpoint", "best", "best, last or a number of steps", values)
    flags.DEFINE_string("export_dir", None, "folder of the versions", values)
    flags.DEFINE_list("also", [], "further formats", values)
    stray = command_line.read_own(values, "amr_tf.export", arguments)
    if stray or not values.run_dir:
        raise UserError(
            f"It takes --run_dir=RUN and nothing without a flag. Received: {' '.join(arguments) or 'nothing'}"
        )
    for name in values.also:
        if name not in ALSO:
            raise UserError(f"--also takes {', '.join(ALSO)}. Received: {name!r}")
    # Unlike pathlib's, this expanduser takes the name of an unknown user for a folder's.
    run_dir = pathlib.Path(os.path.expanduser(values.run_dir))
    export_dir = (
        pathlib.Path(os.path.expanduser(values.export_dir)) if values.export_dir else run_dir / "export"
    )
    return Request(run_dir, values.checkpoint, export_dir, list(dict.fromkeys(values.also)))


def main(arguments: list[str]) -> int:
    """Exports what `arguments` ask for; returns the exit code."""
    arguments, debug = errors.take_debug(arguments)
    if HELP_FLAGS.intersection(arguments):
        print(f"{HELP}\n\n{errors.DEBUG_HELP}")
        return 0
    try:
        request = parse(arguments)
        with Interruption():
            run(request)
    except UserError as error:
        return errors.report("amr_tf.export", error, debug)
    except Interrupted as interrupted:
        ignore_signals()
        print("amr_tf.export: interrupted; a version is there whole or not at all", file=sys.stderr)
        return interrupted.exit_code
    except KeyboardInterrupt:
        print("amr_tf.export: interrupted before it began", file=sys.stderr)
        return 130
    return 0


def run(request: Request) -> None:
    """Writes the next version and says where it is."""
    begin = time.monotonic()
    startup.import_tensorflow()
    from amr_tf.runs.trained import TrainedRun
    from amr_tf.serving import saved_model

    with errors.out_of_memory_as_user_error():
        trained = TrainedRun(request.run_dir, request.checkpoint)
        path = saved_model.export(trained, request.export_dir, request.also)
    print(f"exported: {path} (step {trained.step:,}, {time.monotonic() - begin:.0f} s)")
    print(f"what it can be asked: {path / saved_model.CARD}")


if __name__ == "__main__":
    process.run("amr_tf.export", main)
