"""The failures that a user can cause and mend: reported as one line, and as a traceback only with `--debug`."""

import contextlib
import re
import signal
import sys
import traceback
from collections.abc import Iterator

DEBUG = "--debug"
DEBUG_HELP = "--debug\n    A failure that one line explains shows its traceback before that line."


class UserError(Exception):
    """An expected failure. Its message says what was wrong, what was received and what to do.

    Attributes:
        exit_code: that of a command which fails so.
    """

    exit_code = 2


class DataError(UserError):
    """Data that is missing, damaged or does not fit the request."""


class DivergedError(UserError):
    """Training whose losses or weights are no longer finite."""


class LostWorkerError(UserError):
    """Another worker of the run is gone: nothing is wrong with the command, which goes on when it is started again."""

    exit_code = (
        75  # sysexits' EX_TEMPFAIL, so that a scheduler can tell it from what starting again does not mend
    )


class Interrupted(BaseException):
    """A run was ended before its end, by SIGINT, SIGTERM, SIGHUP or because its caller wanted so.

    Like KeyboardInterrupt it is no Exception, so that nobody's `except Exception` takes it for a failure.

    Attributes:
        number: the signal's, None where there was none.
        exit_code: 128 + the signal's number, as a shell reports it: 130, 143 or 129. 0 without a signal.
    """

    def __init__(self, message: str, number: signal.Signals | None = None):
        super().__init__(message)
        self.number = number
        self.exit_code = 128 + number if number else 0


@contextlib.contextmanager
def out_of_memory_as_user_error() -> Iterator[None]:
    """Within it TensorFlow, which is imported, may run out of memory.

    Raises:
        UserError: it did.
    """
    import tensorflow as tf

    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise UserError(
            f"Out of memory: a lower --batch_size or --depth of the run needs less ({one_line(error)})"
        ) from error


def take_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """The words of a command line without `--debug`, and whether that was among them.

    It is taken out before flags are read: it says how a failure is shown and is no setting of a run.
    """
    return [word for word in arguments if word != DEBUG], DEBUG in arguments


def report(program: str, error: UserError, debug: bool = False) -> int:
    """Prints an expected failure on standard error; returns the exit code."""
    if debug:
        traceback.print_exception(error)
    print(f"{program}: {error}", file=sys.stderr)
    return error.exit_code


def one_line(error: BaseException, longest: int = 300) -> str:
    """What an error of another library says, on one short line: most of its beginning, and its end."""
    # TensorFlow begins with the name of a node in its graph and ends with that of an operation; between them it goes
    # from the cause to what failed because of it, a line each.
    text = re.sub(r"^\{\{.*?\}\} | \[Op:\w+\].*$", "", " ".join(str(error).split())) or type(error).__name__
    head, tail = longest * 3 // 4, longest // 4
    return text if len(text) <= longest else f"{text[:head]} ... {text[-tail:]}"


def printable(text: str) -> str:
    """`text` for one line of any output: what a terminal would obey or UTF-8 cannot hold becomes a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)
