"""SIGTERM and Ctrl-C as a wish: when it is granted at once, when it waits, and whose handlers are there afterwards."""

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
    at_first = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # with nohup they would not listen to it
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before
    signal.signal(signal.SIGHUP, at_first)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_the_first_step_ends_the_run_at_once(number):
    with pytest.raises(Interrupted) as raised, Interruption():
        send(number)
    assert str(raised.value).startswith(f"Interrupted by {number.name} before its first step. ")
    assert (raised.value.number, raised.value.exit_code) == (number, EXIT_CODES[number])


@pytest.mark.parametrize("number", SIGNALS)
def test_between_steps_the_first_signal_is_kept_and_later_ones_change_nothing(number):
    with Interruption() as interruption:
        interruption.stepping = True
        assert not interruption.wanted(3)
        send(number)
        for other in SIGNALS * 2:
            send(other)
        assert interruption.wanted(3)
        assert interruption.signal is number
        raised = interruption.interrupted("at step 3")
    assert str(raised) == f"Interrupted by {number.name} at step 3. The same command goes on from there"
    assert raised.exit_code == EXIT_CODES[number]


def test_a_second_signal_does_not_cut_off_what_the_first_one_started():
    def send_while_leaving():
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)
            send(signal.SIGINT)

    with pytest.raises(Interrupted, match="by SIGTERM before its first step"), Interruption():
        send_while_leaving()


def test_with_nohup_a_closed_terminal_changes_nothing():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interruption() as interruption:
        send(signal.SIGHUP)
        assert not interruption.wanted(1)
    assert signal.signal(signal.SIGHUP, signal.SIG_DFL) is signal.SIG_IGN


def test_libraries_that_catch_every_exception_do_not_catch_this_one():
    """AutoGraph would go on with code that it could not convert, Keras would make another exception of it."""
    assert not issubclass(Interrupted, Exception)


@pytest.mark.parametrize(
    "made_of_it", [None, SystemError("returned a result with an exception set")], ids=str
)
def test_a_signal_counts_whatever_the_code_in_which_it_arrives_makes_of_it(made_of_it):
    """C code reports an error of its own; what runs while an object is deleted drops it."""

    def library():
        with contextlib.suppress(Interrupted):
            send(signal.SIGTERM)
        if made_of_it:
            raise made_of_it

    with pytest.raises(Interrupted, match="by SIGTERM before its first step"), Interruption():
        library()


def test_handlers_are_given_back_also_after_an_error():
    received = []
    before = signal.signal(signal.SIGTERM, lambda *_: received.append("outer"))
    try:
        with pytest.raises(ZeroDivisionError), Interruption():
            1 / 0  # noqa: B018
        send(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == ["outer"]


def test_a_step_to_stop_at_needs_no_signal():
    with Interruption(stop_at=2) as interruption:
        assert [interruption.wanted(step) for step in (1, 2, 3)] == [False, True, False]
        raised = interruption.interrupted("at step 2")
    assert (raised.number, raised.exit_code) == (None, 0)
    assert str(raised).startswith("Stopped as asked at step 2.")


def test_a_thread_trains_without_signals():
    """Python hands signals to the main thread, so a run in another one leaves the handlers as they are."""
    found = []

    def train():
        before = [signal.getsignal(number) for number in SIGNALS]
        with Interruption(stop_at=1) as interruption:
            found.append([signal.getsignal(number) for number in SIGNALS] == before)
            found.append(interruption.wanted(1))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == [True, True]


def test_a_signal_that_a_run_at_its_end_did_not_grant_reaches_what_the_run_is_part_of():
    def run_at_its_end():
        with Interruption() as interruption:
            interruption.stepping = True
            send(signal.SIGTERM)

    with pytest.raises(Interrupted, match="by SIGTERM"), Interruption():
        run_at_its_end()
    run_at_its_end()  # one that is part of nothing just ends


def test_a_signal_does_not_hide_an_error_that_the_user_can_mend():
    def run_on_a_full_disk():
        with Interruption() as interruption:
            interruption.stepping = True
            send(signal.SIGTERM)
            raise UserError("disk full")

    with pytest.raises(UserError, match="disk full"), Interruption():
        run_on_a_full_disk()
