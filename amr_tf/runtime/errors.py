"""Errors that a user can cause or fix, their exit codes, and their report on standard error."""

import re
import signal
import sys
import traceback

KEPT = "\n\t\r"  # control characters that text for a terminal may contain
tracebacks = False  # True with --debug: a reported error is preceded by its traceback


class UserError(Exception):
    """Expected failure. The message says what is wrong, what was received and what to do.

    Attributes:
        exit_code: exit code of a command that fails with this error.
    """

    exit_code = 2


class ConfigError(UserError, ValueError):
    """An invalid setting, or settings that cannot be combined."""


class DataError(UserError):
    """Data that is missing, damaged or does not fit the request."""


class DivergedError(UserError):
    """Training whose losses or weights are no longer finite."""


class LostWorkerError(UserError):
    """Loss of another worker of the run. The same command resumes the run."""

    exit_code = 75  # sysexits' EX_TEMPFAIL: a scheduler can start the command again


class Interrupted(BaseException):
    """End of a run before its last step, by SIGINT, SIGTERM, SIGHUP or on request of the caller.

    Like KeyboardInterrupt it is not an Exception: no library's `except Exception` handles it as a failure.

    Attributes:
        number: the signal, None without one.
        exit_code: 128 + the signal's number, as a shell reports it: 130, 143 or 129. 0 without a signal.
    """

    def __init__(self, message: str, number: signal.Signals | None = None):
        super().__init__(message)
        self.number = number
        self.exit_code = 128 + number if number else 0


def report(program: str, error: UserError) -> int:
    """Prints an expected failure on standard error; returns the exit code."""
    if tracebacks:
        traceback.print_exception(error)
    print(f"{program}: {printable(str(error), KEPT)}", file=sys.stderr)
    return error.exit_code


def one_line(error: BaseException, longest: int = 300) -> str:
    """Shortens an error of another library to one line: its beginning and its end.

    TensorFlow's messages begin with the name of a graph node and end with that of an operation, which are cut off.
    """
    text = re.sub(r"^\{\{.*?\}\} | \[Op:\w+\].*$", "", " ".join(str(error).split())) or type(error).__name__
    head, tail = longest * 3 // 4, longest // 4
    return text if len(text) <= longest else f"{text[:head]} ... {text[-tail:]}"


def printable(text: str, kept: str = "") -> str:
    """Replaces control characters and what UTF-8 cannot encode, except those in `kept`, by question marks."""
    return "".join(char if char.isprintable() or char in kept else "?" for char in text)
