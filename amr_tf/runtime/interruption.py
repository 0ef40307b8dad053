"""SIGTERM, Ctrl-C and a closed terminal as a wish that the training loop grants between two steps."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from amr_tf.runtime.errors import Interrupted, UserError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _listened_to() -> list[signal.Signals]:
    """All of them, but SIGHUP only where nobody wants it ignored, as `nohup` does."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in SIGNALS if number != signal.SIGHUP or not ignored]


def ignore_signals() -> None:
    """For a process that is done: a second signal would only cut off the second that TensorFlow takes to leave.

    Nor does it show what a signal broke off in the middle of TensorFlow's code, which complains when it is deleted.
    """
    sys.unraisablehook = lambda unraisable: None
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Interruption:
    """While it is entered, the first signal is kept for `wanted`; later ones, also during a save, change nothing.

    Until `stepping` is set no step has been taken that could be lost: a signal then raises `Interrupted` at once, from
    whatever Python code is running.

    Args:
        stop_at: number of a step after which the run stops as if a signal had come.
    """

    def __init__(self, stop_at: int | None = None):
        self.stop_at, self.stepping = stop_at, False
        self.signal: signal.Signals | None = None
        self._before: dict = {}

    def __enter__(self) -> "Interruption":
        # Python hands signals to the main thread only and lets no other set a handler.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in _listened_to()}
            self.listen()
        return self

    def listen(self) -> None:
        """Takes the signals, once more where TensorFlow took SIGTERM for itself: when it connects to other workers."""
        for number in self._before:
            signal.signal(number, self._receive)

    def __exit__(self, kind: type | None, error: BaseException | None, _) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if not self.signal or isinstance(error, Interrupted):
            return
        # A run at its very end needs no interruption; what it is one part of, such as a walk, may not go on.
        around = getattr(self._before.get(self.signal), "__self__", None)
        if isinstance(around, Interruption):
            around.signal = around.signal or self.signal
        # Raised within C code or while an object is deleted, `Interrupted` may have become another error or none.
        if not self.stepping and not isinstance(error, UserError):
            raise self.interrupted("before its first step")

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first, self.signal = self.signal is None, self.signal or signal.Signals(number)
        if first and not self.stepping:
            raise self.interrupted("before its first step")

    def wanted(self, step: int, told: Callable[[int], list[int]] = lambda number: [number]) -> bool:
        """Whether the run should save and end now that `step` steps are done.

        Args:
            step: all workers are here.
            told: gives the other workers a number and returns those of all; a signal to one of them is one to all.
        """
        # One that arrives from here on waits for the next time, when it can be told to the others.
        number = max(told(self.signal or 0))
        if number:
            self.signal = self.signal or signal.Signals(number)
        return number > 0 or step == self.stop_at

    def interrupted(self, where: str) -> Interrupted:
        """The exception that ends the run, with a message for the user."""
        by = f"Interrupted by {self.signal.name}" if self.signal else "Stopped as asked"
        return Interrupted(f"{by} {where}. The same command goes on from there", self.signal)
