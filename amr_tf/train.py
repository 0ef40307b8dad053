"""BINARY. Trains one model: python -m amr_tf.train --dataset=svhn --mixer=mixup --k=4

Without any flag it runs the demonstration, flags/demo.flags. Exit codes: 0 done, 2 an error that the message explains,
75 another worker of the run is lost (start all again), 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by a closed
terminal.
"""

from amr_tf import data
from amr_tf.config import Config, command_line
from amr_tf.distributed import cluster
from amr_tf.runs.folder import RunFolder
from amr_tf.runtime import startup
from amr_tf.runtime.interruption import Interruption
from amr_tf.runtime.main import Command
from amr_tf.training import smoke

DEMO = "--flagfile=flags/demo.flags"
PURPOSE = "trains an autoencoder whose mixed codes must decode into realistic images"


def parse(arguments: list[str]) -> tuple[Config, dict[str, str]]:
    """Reads `arguments` (without the program's name), by default those of the demonstration."""
    return command_line.parse(arguments or [DEMO])


def work(request: tuple[Config, dict[str, str]]) -> None:
    """Trains as requested, or tries the command with `--smoke`."""
    config, sources = request
    if config.smoke:
        smoke.run(train, config, sources)
    else:
        train(config, sources)


def train(config: Config, sources: dict[str, str], stop_at: int | None = None) -> None:
    """Checks the folder and the data before TensorFlow is imported, which takes seconds, and runs the experiment."""
    if cluster.this_task(config).is_chief:
        RunFolder(config).check()
    data.check(config)
    with Interruption():
        startup.import_tensorflow()
        from amr_tf.training import experiment
    experiment.run(config, sources, stop_at)


main = Command("amr_tf.train", PURPOSE, command_line.train_help, parse, work)

if __name__ == "__main__":
    main.run()
