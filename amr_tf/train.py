"""BINARY. Trains one model: python -m amr_tf.train --dataset=svhn --mixer=mixup --k=4

Without flags, the command trains the demonstration, flags/demo.flags. The exit code is 0 after success, 2 after an
error that the message explains, 130 after Ctrl-C, 143 after SIGTERM, and 129 after the terminal was closed. The exit
code is 75 if another worker of the run was lost. In this case, start all workers again.
"""

import sys
import types
from typing import Any

from amr_tf import training
from amr_tf.config import Config, command_line
from amr_tf.runtime import startup
from amr_tf.runtime.main import Command
from amr_tf.training import smoke

PURPOSE = "trains an autoencoder whose mixed codes must decode into realistic images"


def parse(arguments: list[str]) -> tuple[Config, dict[str, str]]:
    """Parses `arguments` (without the program's name). If the list is empty, the demonstration's flags apply."""
    return command_line.parse(arguments or [command_line.DEMO])


def work(request: tuple[Config, dict[str, str]]) -> None:
    """Trains the requested run or, with `--smoke`, executes a short trial run."""
    config, sources = request
    if config.smoke:
        smoke.run(training.start, config, sources)
    else:
        training.start(config, sources)


class _CallableModule(types.ModuleType):
    """Type of the module `amr_tf.train`, which makes the module callable like a function."""

    def __call__(self, preset: str = "", **settings: Any) -> Any:
        """Trains and returns a run. See `amr_tf.api.train`."""
        startup.import_tensorflow()
        from amr_tf import api

        return api.train(preset, **settings)


sys.modules[__name__].__class__ = _CallableModule

main = Command("amr_tf.train", PURPOSE, command_line.train_help, parse, work)

if __name__ == "__main__":
    main.run()
