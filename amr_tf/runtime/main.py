"""The `main` function that all commands share: help, --debug, errors on one line, signals and exit codes."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from amr_tf.runtime import errors, process
from amr_tf.runtime.errors import Interrupted, UserError
from amr_tf.runtime.interruption import ignore_signals

DEBUG = "--debug"
DEBUG_HELP = "--debug\n    Show the traceback of an error that is reported on one line."
HELP_FLAGS = {"--help", "-help", "-h", "--helpfull", "--helpshort"}
Request = TypeVar("Request")


@dataclasses.dataclass(frozen=True)
class Command(Generic[Request]):
    """A command-line program. An instance is the `main` function of its module.

    Attributes:
        program: name of the module, with which the command's messages begin.
        purpose: what the command does, for the list of commands.
        help_text: returns usage and flags for `--help`.
        parse: converts the words of the command line to a request.
        work: runs the request and returns the exit code; None means 0.
        interrupted: message after a signal. If it is empty, the message of the exception is printed.
    """

    program: str
    purpose: str
    help_text: Callable[[], str]
    parse: Callable[[list[str]], Request]
    work: Callable[[Request], int | None]
    interrupted: str = ""

    def __call__(self, arguments: list[str]) -> int:
        """Runs the command with the words of a command line after the program's name, and returns the exit code."""
        errors.tracebacks = DEBUG in arguments
        arguments = [word for word in arguments if word != DEBUG]
        if HELP_FLAGS.intersection(arguments):
            print(f"{self.program}: {self.purpose}\n\n{self.help_text()}\n{DEBUG_HELP}")
            return 0
        try:
            return self.work(self.parse(arguments)) or 0
        except UserError as error:
            return errors.report(self.program, error)
        except Interrupted as interrupted:
            ignore_signals()
            print(f"{self.program}: {self.interrupted or interrupted}", file=sys.stderr)
            return interrupted.exit_code
        except KeyboardInterrupt:
            print(f"{self.program}: interrupted before the work began", file=sys.stderr)
            return 130
        except Exception as error:
            tf: Any = sys.modules.get("tensorflow")
            if not isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError) if tf else MemoryError):
                raise
            refusal = UserError(
                f"Out of memory. Received: {errors.one_line(error)}. Lower --batch_size or --depth."
            )
            refusal.__cause__ = error
            return errors.report(self.program, refusal)

    def run(self) -> NoReturn:
        """Runs the command with the process's command line, and exits with the command's exit code."""
        process.run(self.program, self)
