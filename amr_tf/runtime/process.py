"""Process-level setup of all commands: standard streams, signals during shutdown, and the exit code."""

import codecs
import errno
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from amr_tf.runtime import errors
from amr_tf.runtime.console import Output, Text, open_null
from amr_tf.runtime.errors import UserError
from amr_tf.runtime.interruption import ignore_signals

READER_LEFT = (errno.EPIPE, errno.EIO)  # the reader of a pipe exited, or the terminal was closed


def run(program: str, main: Callable[[list[str]], int]) -> NoReturn:
    """Calls `main` with the words of the command line and exits with the exit code that `main` returns.

    `main` continues if standard output is closed or the reader of a pipe exits, as in `... | head -1`. If output is
    lost for another reason, such as a full disk, an error is reported at the end, and exit code 0 becomes 2.

    Args:
        program: name of the command in its messages.
        main: the command.
    """
    _use_utf8()
    os.environ.pop(
        "MPLBACKEND", None
    )  # may be set for another program, and Matplotlib cannot be imported with an unknown backend
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            open_null(descriptor)  # otherwise the next opened file would become a standard stream
    output = Output(1, "w", closefd=False)
    sys.stdout = Text(output, getattr(sys.stdout, "encoding", "utf-8"))  # a closed stream is None
    sys.stderr = Text(Output(2, "w", closefd=False), getattr(sys.stderr, "encoding", "utf-8"))
    code = main(sys.argv[1:])
    ignore_signals()
    sys.stdout.flush()
    if output.failure and output.failure.errno not in READER_LEFT:
        lost = UserError(f"Not all of the output could be written: {output.failure.strerror}")
        code = code or errors.report(program, lost)
    sys.exit(code)


def _use_utf8() -> None:
    """Restarts this process in Python's UTF-8 mode if the locale encodes file names differently.

    TensorFlow encodes file names as UTF-8 in every locale, so TensorFlow and Python would open different files. In the
    locale C, Python enables UTF-8 mode by itself, unless PYTHONUTF8=0 is set. Printed text keeps the encoding of the
    locale.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name == "utf-8":
        return
    os.environ.setdefault("PYTHONIOENCODING", getattr(sys.stdout, "encoding", "ascii"))
    os.environ["PYTHONUTF8"] = "1"  # for the processes that this process starts
    os.execv(sys.executable, [sys.orig_argv[0], "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 (no shell)
