"""Text output of all commands: printed text can neither control the terminal nor end the process."""

import contextlib
import datetime
import io
import os
import pathlib
import shlex
import sys
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

import rich.console
from rich.segment import Segment

from amr_tf.runtime.errors import KEPT, UserError, printable


class Output(io.FileIO):
    """Raw stream that never fails: after the first failed write all further output is dropped."""

    failure: OSError | None = None  # of the first failed write

    def write(self, data, /):
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            open_null(self.fileno())
            return len(data)


class Text(io.TextIOWrapper):
    """Text stream in which control characters other than newline, tab and carriage return are replaced.

    A character that the encoding does not have is written as its backslash escape.
    The attribute `unfiltered` is a stream to the same place that passes all characters.
    """

    def __init__(self, output: Output, encoding: str = "utf-8"):
        buffer = io.BufferedWriter(output)
        settings: dict[str, Any] = {
            "errors": "backslashreplace",
            "line_buffering": True,
            "write_through": True,
        }
        super().__init__(buffer, encoding, **settings)
        self.unfiltered = io.TextIOWrapper(buffer, encoding, **settings)

    def write(self, text: str, /) -> int:
        return super().write(printable(text, KEPT))


def open_null(descriptor: int) -> None:
    """Connects a file descriptor to /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)


class Console(rich.console.Console):
    """Console on standard output, `pipe_width` columns wide where that is not a terminal.

    Escape sequences come from Rich alone, never from the text that is printed.
    """

    def __init__(self, pipe_width: int | None = None, **settings: Any):
        width = None if sys.stdout.isatty() else pipe_width
        own: dict[str, Any] = {
            "file": getattr(sys.stdout, "unfiltered", None),
            "width": width,
            "soft_wrap": True,
        }
        super().__init__(highlight=False, markup=False, emoji=False, **own | settings)

    def render(self, renderable, options=None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text, KEPT))


class LoggedConsole(Console):
    """Console whose lines are also appended to a log file, including those printed before it was opened."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._pending = io.StringIO()
        self._log = Console(file=self._pending, force_terminal=False, color_system=None)

    def print(self, *objects: Any, **settings: Any) -> None:
        super().print(*objects, **settings)
        self._log.print(*objects, **settings)

    @contextlib.contextmanager
    def log_to(self, path: pathlib.Path) -> Iterator[None]:
        """Appends time, command line, all lines, and the error that ends the block. Failed writes are ignored."""
        try:
            self._log.file = file = Text(Output(path, "a"))
        except OSError:
            yield
            return
        now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
        file.write(f"\n# {now}: {shlex.join(sys.orig_argv)}\n{self._pending.getvalue()}")
        try:
            yield
        except BaseException as error:
            unexpected = isinstance(error, Exception) and not isinstance(error, UserError)
            file.write(traceback.format_exc() if unexpected else f"{type(error).__name__}: {error}\n")
            raise
        finally:
            self._log.file = self._pending
            file.close()
