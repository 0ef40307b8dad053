"""What every binary is as a process: streams that may be missing or lost, the signals of its end, its exit code."""

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from amr_tf.runtime import errors
from amr_tf.runtime.errors import UserError
from amr_tf.runtime.interruption import ignore_signals

# The reader of a pipe has left, or the terminal was closed.
NOBODY_READS = (errno.EPIPE, errno.EIO)


class Output(io.FileIO):
    """A stream of the process that never fails: what cannot be written is dropped, and so is all that follows.

    Attributes:
        failure: why the first of it could not be written; None while all is well.
    """

    failure: OSError | None = None

    def write(self, data, /):
        """Writes all of `data`, or some, and returns how much as `io.RawIOBase` does."""
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            _to_nowhere(self.fileno())
            return len(data)


def run(program: str, main: Callable[[list[str]], int]) -> NoReturn:
    """Calls `main` with the words of the command line and ends the process with the exit code that it returns.

    A binary does its work to the end although nobody reads what it prints: training is not to be lost to a closed
    window. Where output was lost otherwise, as on a full disk, the last line says so and success becomes exit code 2.

    Args:
        program: as its messages name it.
        main: the binary's.
    """
    output = _take_streams()
    code = main(sys.argv[1:])
    ignore_signals()
    sys.stdout.flush()
    if output.failure and output.failure.errno not in NOBODY_READS:
        error = UserError(f"Not all of the output could be written: {output.failure.strerror}")
        code = code or errors.report(program, error)
    sys.exit(code)


def _take_streams() -> Output:
    """Opens those of descriptors 0 to 2 that are closed, on nothing, and has output that never fails; returns that."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file to be opened would be taken for a standard stream.
            _to_nowhere(descriptor)
    sys.stdout, output = _lasting(sys.stdout, 1)
    sys.stderr, _ = _lasting(sys.stderr, 2)
    return output


def _lasting(stream, descriptor: int) -> tuple[io.TextIOWrapper, Output]:
    """A text stream like `stream`, None where there was none, and what is beneath it."""
    output = Output(descriptor, "w", closefd=False)
    if stream is None:
        return io.TextIOWrapper(io.BufferedWriter(output), "utf-8"), output
    return io.TextIOWrapper(
        output if stream.write_through else io.BufferedWriter(output),
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    ), output


def _to_nowhere(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing != descriptor:
        os.dup2(nothing, descriptor)
        os.close(nothing)
