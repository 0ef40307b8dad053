"""Workers that are killed or terminated: all of them exit, and started again they end like an uninterrupted run.

The workers are processes on this machine, each with its own address.
"""

import signal
import time

import pytest

from tests.reliability.faults.harness import (
    EPOCH_LENGTH,
    POINTS,
    WHOLE,
    assert_ends_like,
    newest,
    tf_configs,
)
from tests.reliability.faults.test_signals import assert_saved_and_left

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
# A batch that two workers can share, and three; the model that compiles fastest.
WORKERS = POINTS | {"model": "ae", "strategy": "multiworker", "batch_size": 12, "steps_per_execution": 1}
LOST = 75


@pytest.fixture
def start(launch):
    """start(folder, count, *settings): starts the workers of a run; returns them, the chief first."""

    def started(folder, count, *settings):
        settings = settings or (WORKERS,) * count
        runs = [
            launch(folder, setting, ("env", f"TF_CONFIG={text}", "TF_NUM_INTRAOP_THREADS=1"))
            for setting, text in zip(settings, tf_configs(count), strict=True)
        ]
        for run in runs:
            run.replicas = count
        for run in runs[1:]:
            run.before = 0  # only the chief reports the step
        return runs

    return started


def assert_all_end(runs):
    for run in runs[1:]:
        code, out, err = run.end()
        assert (code, err) == (0, "")
        assert all(" waits for worker " in line for line in out.splitlines())


def test_terminated_killed_and_one_more_worker_change_nothing(start, tmp_path):
    whole = start(tmp_path / "whole", 2)
    unbroken = whole[0].outcome()
    assert_all_end(whole)

    folder = tmp_path / "run"
    runs = start(folder, 2)
    terminate_after_two_steps(runs)
    runs = start(folder, 2)
    kill_after_two_steps(runs, victim=1)
    runs = start(folder, 2)
    kill_after_two_steps(runs, victim=0)
    runs = start(folder, 2)
    assert_ends_like(runs[0], unbroken)
    assert_all_end(runs)

    runs = start(folder, 3, *[WORKERS | WHOLE | {"epochs": 4}] * 3)
    rows = runs[0].outcome().rows
    assert_all_end(runs)
    assert [row["step"] for row in rows] == [EPOCH_LENGTH * n for n in (1, 2, 3, 4)]


def test_workers_with_different_settings_are_refused(start, tmp_path):
    for run in start(tmp_path / "run", 2, WORKERS, WORKERS | {"seed": 1}):
        assert "different settings or data" in run.refused().err


def test_waiting_worker_can_be_terminated(start, tmp_path):
    waiting, other = start(tmp_path / "run", 2)
    other.kill()
    assert waiting.wait_for(lambda: waiting.printed("worker 0 of 2 waits for worker 1 at 127.0.0.1:"))
    waiting.process.send_signal(signal.SIGTERM)
    assert "before its first step" in waiting.refused(128 + signal.SIGTERM).err
    assert not (tmp_path / "run").exists()


def terminate_after_two_steps(runs) -> None:
    """SIGTERM to both, as a scheduler sends it: they exit after the same step, which is saved."""
    runs[0].wait_for_steps(2)
    for run in reversed(runs):
        run.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    for run in runs:
        assert_saved_and_left(run, signal.SIGTERM)


def kill_after_two_steps(runs, victim: int) -> None:
    """kill -9 of one: the other reports it at once, with the step from which the run resumes."""
    runs[0].wait_for_steps(2)
    runs[victim].kill()
    (other,) = (run for run in runs if run is not runs[victim])
    err = other.refused(LOST).err
    assert f"Lost a worker of the run. Received by worker {1 - victim} of 2: " in err
    assert f"the run resumes from step {newest(other.folder)}." in err
