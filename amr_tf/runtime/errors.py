"""Errors that a user can cause or fix, their exit codes, and their report on standard error."""

import re
import signal
import sys
import traceback

KEPT = "\n\t\r"  # control characters that text for a terminal may contain
tracebacks = False  # True with --debug: `report` prints the traceback before the message


class UserError(Exception):
    """Expected failure. The message says what is wrong, what was received and what to do.

    Attributes:
        exit_code: exit code of a command that fails with this error.
    """

    exit_code = 2


class ConfigError(UserError, ValueError):
    """An invalid setting, or settings that cannot be combined."""


class DataError(UserError):
    """Missing or damaged data, or data that do not match the settings."""


class DivergedError(UserError):
    """Divergence of training: a loss or a weight is no longer finite."""


class LostWorkerError(UserError):
    """Failure of another worker of the run, or of the connection to it. The same command resumes the run."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: a scheduler can start the command again


class Interrupted(BaseException):
    """End of a run before its last step, after SIGINT, SIGTERM or SIGHUP, or at the caller's request.

    Like KeyboardInterrupt, this class does not derive from Exception, so that `except Exception` does not catch it.

    Attributes:
        number: the received signal; None if there was no signal.
        exit_code: 128 + the signal's number, as in a shell: 130, 143 or 129. 0 if there was no signal.
    """

    def __init__(self, message: str, number: signal.Signals | None = None):
        super().__init__(message)
        self.number = number
        self.exit_code = 128 + number if number else 0


def report(program: str, error: UserError) -> int:
    """Prints the error on standard error and returns its exit code."""
    if tracebacks:
        traceback.print_exception(error)
    print(f"{program}: {printable(str(error), KEPT)}", file=sys.stderr)
    return error.exit_code


def one_line(error: BaseException, longest: int = 300) -> str:
    """Shortens the message of another library's error to one line. The middle of a long message is left out.

    TensorFlow's messages begin with the name of a graph node and end with the name of an operation. Both are removed.
    """
    text = re.sub(r"^\{\{.*?\}\} | \[Op:\w+\].*$", "", " ".join(str(error).split())) or type(error).__name__
    head, tail = longest * 3 // 4, longest // 4
    return text if len(text) <= longest else f"{text[:head]} ... {text[-tail:]}"


def printable(text: str, kept: str = "") -> str:
    """Replaces characters that are not printable (`str.isprintable`) by question marks, except those in `kept`."""
    return "".join(char if char.isprintable() or char in kept else "?" for char in text)
