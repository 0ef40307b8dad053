"""The failures that a user can cause and mend: reported as one line, never as a traceback."""

import signal


class UserError(Exception):
    """An expected failure. Its message says what was wrong, what was received and what to do."""


class DataError(UserError):
    """Data that is missing, damaged or does not fit the request."""


class DivergedError(UserError):
    """Training whose losses or weights are no longer finite."""


class Interrupted(Exception):
    """A run was ended before its end, by SIGINT, SIGTERM or because its caller wanted so; its state is saved.

    Attributes:
        by_signal: whether a signal was the cause.
        exit_code: 128 + the signal's number, as a shell reports it: 130 or 143. 0 without a signal.
    """

    def __init__(self, message: str, number: signal.Signals | None = None):
        super().__init__(message)
        self.by_signal = number is not None
        self.exit_code = 128 + number if number else 0


def one_line(error: BaseException, longest: int = 200) -> str:
    """What an error of another library says, on one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= longest else f"{text[:longest]}..."
