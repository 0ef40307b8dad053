"""BINARY. Lists the commands, or runs one: python -m amr_tf train --dataset=svhn"""

import importlib
from typing import NoReturn

from amr_tf.runtime import errors, process
from amr_tf.runtime.errors import UserError
from amr_tf.runtime.main import HELP_FLAGS, Command

COMMANDS = {
    "train": "amr_tf.train",
    "evaluate": "amr_tf.evaluate",
    "report": "amr_tf.report",
    "sweep": "amr_tf.sweep",
    "export": "amr_tf.export",
    "client": "amr_tf.serving.client",
}


def load(name: str) -> Command:
    """Imports a command's module and returns its `main`."""
    return importlib.import_module(COMMANDS[name]).main


def main(arguments: list[str]) -> int:
    """Runs the command that the first argument names, and returns the exit code."""
    name, *words = arguments or ["--help"]
    if name in HELP_FLAGS:
        print("python -m amr_tf COMMAND [FLAGS] (COMMAND --help lists its flags)\n")
        for known in COMMANDS:
            print(f"  {known:<10}{load(known).purpose}")
        return 0
    if name not in COMMANDS:
        return errors.report(
            "amr_tf", UserError(f"Unknown command. Received: {name!r}. Use {', '.join(COMMANDS)}")
        )
    return load(name)(words)


def run() -> NoReturn:
    """Entry point of the console script `amr-tf`."""
    process.run("amr_tf", main)


if __name__ == "__main__":
    run()
