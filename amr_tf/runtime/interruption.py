"""SIGTERM, SIGHUP and Ctrl-C, handled between two training steps."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from amr_tf.runtime.errors import Interrupted, UserError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ignore_signals() -> None:
    """Ignores signals, and errors of objects that a signal left incomplete, during TensorFlow's shutdown."""
    sys.unraisablehook = lambda unraisable: None
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Interruption:
    """Context that records the first signal for `wanted`. Later signals are ignored, also during a save.

    Before `stepping` is set no step can be lost, and a signal raises `Interrupted` at once.

    Args:
        stop_at: number of a step after which the run stops as if a signal had arrived.
    """

    def __init__(self, stop_at: int | None = None):
        self.stop_at, self.stepping = stop_at, False
        self.signal: signal.Signals | None = None
        self._before: dict = {}

    def __enter__(self) -> "Interruption":
        # Python runs signal handlers in the main thread, and only that thread can set them.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in SIGNALS}
            if self._before[signal.SIGHUP] is signal.SIG_IGN:  # as with `nohup`
                del self._before[signal.SIGHUP]
            self.listen()
        return self

    def listen(self) -> None:
        """Sets the handlers. Repeat it after connecting to other workers, when TensorFlow sets its own for SIGTERM."""
        for number in self._before:
            signal.signal(number, self._receive)

    def __exit__(self, kind: type | None, error: BaseException | None, _) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if not self.signal or isinstance(error, Interrupted):
            return
        # A run at its end needs no interruption, but an enclosing one, of several runs, does.
        around = getattr(self._before.get(self.signal), "__self__", None)
        if isinstance(around, Interruption):
            around.signal = around.signal or self.signal
        # Raised within C code or a finalizer, `Interrupted` may have been replaced or dropped.
        if not self.stepping and not isinstance(error, UserError):
            raise self.interrupted("before its first step")

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first, self.signal = self.signal is None, self.signal or signal.Signals(number)
        if first and not self.stepping:
            raise self.interrupted("before its first step")

    def wanted(self, step: int, gather: Callable[[int], list[int]] = lambda number: [number]) -> bool:
        """Returns true if the run should save and end after `step` steps.

        Args:
            step: number of steps, the same on all workers.
            gather: exchanges a number between all workers; a signal to one worker ends all of them.
        """
        if number := max(gather(self.signal or 0)):  # a later signal waits for the next call
            self.signal = self.signal or signal.Signals(number)
        return number > 0 or step == self.stop_at

    def interrupted(self, where: str) -> Interrupted:
        """Returns the exception that ends the run, with a message for the user."""
        by = f"Interrupted by {self.signal.name}" if self.signal else "Stopped as requested"
        return Interrupted(f"{by} {where}. The same command resumes from there", self.signal)
