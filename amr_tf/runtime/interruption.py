"""Handling of SIGTERM, SIGHUP and Ctrl-C between two training steps."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from amr_tf.runtime.errors import Interrupted, UserError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ignore_signals() -> None:
    """Ignores further signals while the process ends, and exceptions in finalizers, which a signal may have caused."""
    sys.unraisablehook = lambda unraisable: None
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Interruption:
    """Context manager that records the first signal, which `wanted` reports. Later signals are ignored.

    Until `stepping` is set to True, no training step can be lost, so a signal raises `Interrupted` immediately.

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
        """Sets the signal handlers. Must be repeated after connecting to workers: TensorFlow sets a SIGTERM handler."""
        for number in self._before:
            signal.signal(number, self._receive)

    def __exit__(self, kind: type | None, error: BaseException | None, _) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if not self.signal or isinstance(error, Interrupted):
            return
        # This run has ended, but an enclosing Interruption, of several runs, still has to stop.
        around = getattr(self._before.get(self.signal), "__self__", None)
        if isinstance(around, Interruption):
            around.signal = around.signal or self.signal
        # An `Interrupted` that was raised within C code or a finalizer may have been replaced or dropped.
        if not self.stepping and not isinstance(error, UserError):
            raise self.interrupted("before its first step")

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first, self.signal = self.signal is None, self.signal or signal.Signals(number)
        if first and not self.stepping:
            raise self.interrupted("before its first step")

    def wanted(self, step: int, gather: Callable[[int], list[int]] = lambda number: [number]) -> bool:
        """Returns true if the run should save and end after `step` steps.

        Args:
            step: number of completed steps, equal on all workers.
            gather: sends this worker's number to all workers and returns the numbers of all. A signal to one worker
                thereby stops all workers.
        """
        if number := max(gather(self.signal or 0)):  # the next call handles a signal that arrives later
            self.signal = self.signal or signal.Signals(number)
        return number > 0 or step == self.stop_at

    def interrupted(self, where: str) -> Interrupted:
        """Returns the exception that ends the run, with a message for the user."""
        by = f"Interrupted by {self.signal.name}" if self.signal else "Stopped as requested"
        return Interrupted(f"{by} {where}. The same command resumes from there", self.signal)
