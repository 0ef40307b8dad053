"""Text output of all commands. Control characters in the text are replaced, and failed writes raise no error."""

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
    """Raw stream whose writes raise no error. After the first failed write, all further output is discarded."""

    failure: OSError | None = None  # error of the first failed write

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
    The attribute `unfiltered` is a stream to the same output, in which no characters are replaced.
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
    """Rich console on standard output. Its width is `pipe_width` columns if the output is not a terminal.

    Rich itself may write escape sequences. Control characters in the printed text are replaced.
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
    """Console that also appends all lines to a log file, including the lines printed before `log_to`."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._pending = io.StringIO()
        self._log = Console(file=self._pending, force_terminal=False, color_system=None)

    def print(self, *objects: Any, **settings: Any) -> None:
        super().print(*objects, **settings)
        self._log.print(*objects, **settings)

    @contextlib.contextmanager
    def log_to(self, path: pathlib.Path) -> Iterator[None]:
        """Appends the time, the command line, all lines and the error that ends the block. Ignores failed writes."""
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
