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
    """Calls `main` with the words of the command line and exits with the exit code that it returns.

    Closed streams and readers that exit, as in `... | head -1`, do not stop the work. Output that was lost otherwise,
    as on a full disk, is reported at the end and turns success into exit code 2.

    Args:
        program: name of the command in its messages.
        main: the command.
    """
    _use_utf8()
    os.environ.pop(
        "MPLBACKEND", None
    )  # of another program: Matplotlib refuses to be imported with an unknown one
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            open_null(descriptor)  # or the next file to be opened would become a standard stream
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

    TensorFlow reads names as UTF-8 in any locale, so it would use other files than Python. Python chooses this
    mode itself in the locale C, unless PYTHONUTF8=0. Output keeps the locale's encoding.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name == "utf-8":
        return
    os.environ.setdefault("PYTHONIOENCODING", getattr(sys.stdout, "encoding", "ascii"))
    os.environ["PYTHONUTF8"] = "1"  # of the processes that this one starts
    os.execv(sys.executable, [sys.orig_argv[0], "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 (no shell)
