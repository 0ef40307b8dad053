"""kill -9 at any moment, then the same command: the end is that of a run which was never broken off."""

import signal
import time

import numpy as np
import pytest

from tests.reliability.faults.harness import (
    EPOCH_LENGTH,
    IMAGES,
    LONGER,
    POINTS,
    TWO_REPLICAS,
    assert_ends_like,
    being_saved,
    newest,
)

STARTUP = 5.0  # seconds within which a start has not yet trained


def test_a_killed_run_ends_like_an_unbroken_one(launch, unbroken, tmp_path):
    """Once somewhere in an epoch, once in the middle of a save."""
    folder = tmp_path / "run"
    kill_at_random(launch, folder, POINTS, np.random.default_rng(1), while_starting=False)
    kill_in_a_save(launch, folder, POINTS, np.random.default_rng(2))
    assert_ends_like(launch(folder, POINTS), unbroken(POINTS))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kills", "replicas"), [(10, {}), (10, TWO_REPLICAS)], ids=["1_replica", "2_replicas"]
)
def test_kills_at_random_moments_change_nothing(launch, unbroken, tmp_path, kills, replicas):
    settings, rng = LONGER | replicas, np.random.default_rng(3)
    for number in range(kills):
        kill_at_random(launch, tmp_path / "run", settings, rng, while_starting=number % 5 == 0)
    assert_ends_like(launch(tmp_path / "run", settings), unbroken(settings))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kills", "replicas"), [(4, {}), (4, TWO_REPLICAS)], ids=["1_replica", "2_replicas"])
def test_kills_in_the_middle_of_a_save_change_nothing(launch, unbroken, tmp_path, kills, replicas):
    settings, rng = LONGER | replicas, np.random.default_rng(4)
    for _ in range(kills):
        kill_in_a_save(launch, tmp_path / "run", settings, rng)
    assert_ends_like(launch(tmp_path / "run", settings), unbroken(settings))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_paper_s_networks_go_on_with_the_vectors_of_their_spectral_norm(launch, unbroken, tmp_path):
    folder = tmp_path / "run"
    kill_at_random(launch, folder, IMAGES, np.random.default_rng(5), while_starting=False)
    kill_in_a_save(launch, folder, IMAGES, np.random.default_rng(6))
    expected = unbroken(IMAGES)
    assert sum("/u/" in name for name in expected.state) >= 4
    assert_ends_like(launch(folder, IMAGES), expected)


@pytest.mark.slow
def test_a_kill_in_an_evaluation_costs_the_evaluation_alone(launch, unbroken, tmp_path):
    run = launch(tmp_path / "run", POINTS)
    assert run.wait_for(lambda: newest(run.folder) == EPOCH_LENGTH)
    run.kill()
    assert not (run.folder / "metrics.csv").exists()
    again = launch(run.folder, POINTS)
    assert_ends_like(again, unbroken(POINTS))
    assert f"resuming after step {EPOCH_LENGTH}, in epoch 1\n" in again.out.read_text()


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
