"""BINARY. Trains one model: python -m amr_tf.train --dataset=svhn --mixer=mixup --k=4

Without any flag it runs the demonstration, flags/demo.flags. Exit codes: 0 done, 2 an error that the message explains,
75 another worker of the run is lost (start all again), 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by a closed
terminal.
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
    """Reads `arguments` (without the program's name), by default those of the demonstration."""
    return command_line.parse(arguments or [command_line.DEMO])


def work(request: tuple[Config, dict[str, str]]) -> None:
    """Trains as requested or, with `--smoke`, makes a short trial run."""
    config, sources = request
    if config.smoke:
        smoke.run(training.start, config, sources)
    else:
        training.start(config, sources)


class _CallableModule(types.ModuleType):
    """Type of this module, so that the module `amr_tf.train` can also be called as a function."""

    def __call__(self, preset: str = "", **settings: Any) -> Any:
        """Trains a run and returns it: see `amr_tf.api.train`."""
        startup.import_tensorflow()
        from amr_tf import api

        return api.train(preset, **settings)


sys.modules[__name__].__class__ = _CallableModule

main = Command("amr_tf.train", PURPOSE, command_line.train_help, parse, work)

if __name__ == "__main__":
    main.run()
