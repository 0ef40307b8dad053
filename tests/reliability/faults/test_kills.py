"""kill -9 at any moment, then the same command: the results are those of an uninterrupted run.

`make soak BAR=kills` repeats it by the hundred.
"""

import signal
import time

import numpy as np
import pytest

from tests.reliability.faults.harness import (
    IMAGES,
    POINTS,
    TWO_REPLICAS,
    assert_ends_like,
    being_saved,
    newest,
)

STARTUP = 5.0  # seconds within which a start has not yet trained


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "settings",
    [
        POINTS,
        pytest.param(POINTS | TWO_REPLICAS, marks=pytest.mark.slow),
        pytest.param(IMAGES, marks=pytest.mark.soak),
    ],
    ids=["points", "2_replicas", "images"],
)
def test_killed_run_ends_like_an_unbroken_one(launch, unbroken, tmp_path, settings):
    """Killed before the first step, within an epoch and while saving. Images have spectral norm's vectors as state."""
    folder, rng = tmp_path / "run", np.random.default_rng(1)
    if "cpu_devices" in settings:
        kill_at_random(launch, folder, settings, rng, while_starting=True)
    kill_at_random(launch, folder, settings, rng, while_starting=False)
    kill_in_a_save(launch, folder, settings, rng)
    expected = unbroken(settings)
    assert settings != IMAGES or sum("/u/" in name for name in expected.state) >= 4
    assert_ends_like(launch(folder, settings), expected)


def kill_at_random(launch, folder, settings, rng, while_starting: bool) -> None:
    """Kills a start of the command before its first step, or some steps later."""
    run = launch(folder, settings)
    if while_starting:
        time.sleep(rng.uniform(0, STARTUP))
    else:
        run.wait_for_steps(rng.integers(1, 4))
        time.sleep(rng.uniform(0, 0.03))
    assert run.kill().code == -signal.SIGKILL


def kill_in_a_save(launch, folder, settings, rng) -> None:
    """Kills a start of the command while it writes a checkpoint: what was saved before stays the newest."""
    run = launch(folder, settings)
    run.wait_for_steps(1)
    while not being_saved(folder):
        assert run.wait_for(lambda: being_saved(folder), pause=0)
        time.sleep(rng.uniform(0, 0.01))
        run.stop()
        if not being_saved(folder):
            run.process.send_signal(signal.SIGCONT)
    before = being_saved(folder), newest(folder)
    assert run.kill().code == -signal.SIGKILL
    assert (being_saved(folder), newest(folder)) == before
