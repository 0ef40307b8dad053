"""BINARY. Trains one model: python -m amr_tf.train --dataset=svhn --mixer=mixup --k=4

Without any flag it runs the demonstration, flags/demo.flags. Exit codes: 0 done, 2 a failure that the message
explains, 75 another worker of the run is gone (start all again), 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by a
closed terminal.
"""

import sys

from amr_tf import data
from amr_tf.config import Config, command_line
from amr_tf.distributed import cluster
from amr_tf.runs.folder import RunFolder
from amr_tf.runtime import errors, process, startup
from amr_tf.runtime.errors import Interrupted, UserError
from amr_tf.runtime.interruption import Interruption, ignore_signals
from amr_tf.training import smoke

DEMO = "--flagfile=flags/demo.flags"
PURPOSE = "trains an autoencoder whose mixed codes must decode into realistic images"
HELP_FLAGS = {"--help", "-help", "-h", "--helpfull", "--helpshort"}


def main(arguments: list[str]) -> int:
    """Runs the training that `arguments` ask for; returns the exit code."""
    arguments, debug = errors.take_debug(arguments)
    if HELP_FLAGS.intersection(arguments):
        print(f"{command_line.help_text('python -m amr_tf.train', PURPOSE)}\n{errors.DEBUG_HELP}")
        return 0
    try:
        config, sources = command_line.parse(arguments or [DEMO])
        if config.smoke:
            smoke.run(train, config, sources)
        else:
            train(config, sources)
    except UserError as error:
        return errors.report("amr_tf.train", error, debug)
    except Interrupted as interrupted:
        ignore_signals()
        print(f"amr_tf.train: {interrupted}", file=sys.stderr)
        return interrupted.exit_code
    except KeyboardInterrupt:
        print("amr_tf.train: interrupted before training. The same command goes on", file=sys.stderr)
        return 130
    return 0


def train(config: Config, sources: dict[str, str], stop_at: int | None = None) -> None:
    """Checks the folder and the data before TensorFlow is imported, which takes seconds, and runs the experiment."""
    if cluster.this_task(config).is_chief:
        RunFolder(config).check()
    data.check(config)
    with Interruption():
        startup.import_tensorflow()
        from amr_tf.training import experiment

    with errors.out_of_memory_as_user_error():
        experiment.run(config, sources, stop_at)


if __name__ == "__main__":
    process.run("amr_tf.train", main)
