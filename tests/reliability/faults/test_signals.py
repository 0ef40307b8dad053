"""SIGTERM, Ctrl-C and a closed terminal: the run saves, loses no step and reports it on one line."""

import re
import signal
import time

import numpy as np
import pytest

from tests.reliability.faults.harness import (
    EPOCH_LENGTH,
    LONGER,
    POINTS,
    TWO_REPLICAS,
    Run,
    assert_ends_like,
    newest,
)

EXIT_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}
# Under nohup SIGHUP is ignored.
HEEDED = [number for number in EXIT_CODES if signal.getsignal(number) is not signal.SIG_IGN]


def test_sigterm_in_an_epoch_loses_no_step(launch, unbroken, tmp_path):
    """Signals that follow while it saves and exits are ignored."""
    run = launch(tmp_path / "run", POINTS)
    run.wait_for_steps(2)
    run.process.send_signal(signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
        time.sleep(0.02)
        run.process.send_signal(number)
    assert_saved_and_left(run, signal.SIGTERM)
    assert_ends_like(launch(run.folder, POINTS), unbroken(POINTS))


@pytest.mark.parametrize(
    ("begun", "seconds", "number"),
    [
        (lambda run: run.printed("run folder: "), 0.2, signal.SIGTERM),
        pytest.param(Run.imports_tensorflow, 1.9, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(Run.imports_tensorflow, 0.7, signal.SIGINT, marks=pytest.mark.slow),
    ],
    ids=["compiling", "starting", "importing"],
)
def test_signal_before_the_first_step_ends_it_at_once(launch, tmp_path, begun, seconds, number):
    run = launch(tmp_path / "run", POINTS)
    assert run.wait_for(lambda: begun(run))
    time.sleep(seconds)
    run.process.send_signal(number)
    assert "before its first step" in run.refused(EXIT_CODES[number]).err
    assert newest(run.folder) == 0


@pytest.mark.parametrize(
    ("numbers", "replicas"),
    [
        pytest.param(HEEDED, {}, id="1_replica", marks=pytest.mark.slow),
        pytest.param([signal.SIGTERM], TWO_REPLICAS, id="2_replicas", marks=pytest.mark.soak),
    ],
)
def test_signals_at_random_moments_lose_no_step(launch, unbroken, tmp_path, numbers, replicas):
    settings, rng = LONGER | replicas, np.random.default_rng(8)
    for number in numbers:
        signal_twice(launch(tmp_path / "run", settings), number, rng)
    assert_ends_like(launch(tmp_path / "run", settings), unbroken(settings))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_interrupted_evaluation_is_repeated(launch, unbroken, tmp_path, number):
    run = launch(tmp_path / "run", POINTS)
    assert run.wait_for(lambda: newest(run.folder) == EPOCH_LENGTH)
    run.process.send_signal(number)
    if number == signal.SIGKILL:
        assert run.end().code == -number
    else:
        assert_saved_and_left(run, number)
    assert not (run.folder / "metrics.csv").exists()
    again = launch(run.folder, POINTS)
    assert_ends_like(again, unbroken(POINTS))
    assert f"resuming after step {EPOCH_LENGTH}, in epoch 1\n" in again.out.read_text()


def signal_twice(run, number, rng) -> float:
    """Sends a signal at a random time after the first step, and again; returns the seconds until the run has left."""
    run.wait_for_steps(1)
    time.sleep(rng.uniform(0, 0.3))
    begin = time.monotonic()
    for _ in range(2):
        run.process.send_signal(number)
        time.sleep(rng.uniform(0, 0.3))
    assert_saved_and_left(run, number)
    return time.monotonic() - begin


def assert_saved_and_left(run, number) -> None:
    err = run.refused(EXIT_CODES[number]).err
    said = re.search(rf"Interrupted by {number.name} at step (\d+) of \d+, which is saved", err)
    assert int(said[1]) == newest(run.folder)
