"""SIGTERM, SIGHUP and Ctrl-C: when they end a run at once, when they wait, and whose handlers remain afterwards."""

import contextlib
import os
import signal
import threading

import pytest

from amr_tf.runtime.errors import Interrupted, UserError
from amr_tf.runtime.interruption import SIGNALS, Interruption

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def _same_handlers_afterwards():
    at_first = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup would have it ignored
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before
    signal.signal(signal.SIGHUP, at_first)


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_before_the_first_step_ends_the_run(number):
    with pytest.raises(Interrupted) as raised, Interruption():
        send(number)
    assert str(raised.value).startswith(f"Interrupted by {number.name} before its first step. ")
    assert not isinstance(raised.value, Exception)  # AutoGraph and Keras would handle it
    assert (raised.value.number, raised.value.exit_code) == (number, EXIT_CODES[number])


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_between_steps_waits_and_later_ones_are_ignored(number):
    with Interruption() as interruption:
        interruption.stepping = True
        assert not interruption.wanted(3)
        for each in (number, *SIGNALS * 2):
            send(each)
        assert interruption.wanted(3)
        assert interruption.signal is number
        raised = interruption.interrupted("at step 3")
    assert str(raised).startswith(f"Interrupted by {number.name} at step 3. ")
    assert raised.exit_code == EXIT_CODES[number]


def test_sighup_ignored_by_nohup_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interruption() as interruption:
        send(signal.SIGHUP)
        assert not interruption.wanted(1)
    assert signal.signal(signal.SIGHUP, signal.SIG_DFL) is signal.SIG_IGN


def ends() -> None:
    """Receives more signals while the first one ends the run."""
    try:
        send(signal.SIGTERM)
    finally:
        send(signal.SIGTERM)
        send(signal.SIGINT)


def drops() -> None:
    """Drops the exception, as a finalizer does."""
    with contextlib.suppress(Interrupted):
        send(signal.SIGTERM)


def replaces() -> None:
    """Replaces the exception, as C code does."""
    drops()
    raise SystemError("returned a result with an exception set")


@pytest.mark.parametrize("library", [ends, drops, replaces])
def test_first_signal_counts_in_any_library(library):
    with pytest.raises(Interrupted, match="by SIGTERM before its first step"), Interruption():
        library()


def test_handlers_are_restored_after_an_error():
    """`_same_handlers_afterwards` compares them."""
    with pytest.raises(ZeroDivisionError), Interruption():
        1 / 0  # noqa: B018


def test_stop_at_needs_no_signal():
    with Interruption(stop_at=2) as interruption:
        assert [interruption.wanted(step) for step in (1, 2, 3)] == [False, True, False]
        raised = interruption.interrupted("at step 2")
    assert (raised.number, raised.exit_code) == (None, 0)
    assert str(raised).startswith("Stopped as requested at step 2.")


def test_thread_leaves_the_handlers_alone():
    """Python runs signal handlers in the main thread only."""
    before, found = [signal.getsignal(number) for number in SIGNALS], []

    def train():
        with Interruption(stop_at=1) as interruption:
            found.extend([[signal.getsignal(number) for number in SIGNALS], interruption.wanted(1)])

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == [before, True]


def at_its_end(*errors: Exception) -> None:
    """Receives a signal after the last step of a run."""
    with Interruption() as interruption:
        interruption.stepping = True
        send(signal.SIGTERM)
        for error in errors:
            raise error


def test_signal_at_the_end_reaches_the_enclosing_runs():
    """But it does not hide an error that a user can fix."""
    with pytest.raises(Interrupted, match="by SIGTERM"), Interruption():
        at_its_end()
    at_its_end()
    with pytest.raises(UserError, match="disk full"), Interruption():
        at_its_end(UserError("disk full"))
