"""The same sweep on a real cluster: killed and interrupted, and its jobs at their time limit and preempted.

`make test-slurm` makes a cluster of this machine for them.
"""

import os
import shutil
import signal
import subprocess

import pytest

from tests.sweeping.real import JOBS, Sweep, starts, write_presets

pytestmark = pytest.mark.slurm
SLURM = ("--executor=slurm", "--slurm_cpus=1", "--slurm_time=60")


def slurm(*words: str) -> list[str]:
    """The lines that a Slurm command prints."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture
def out(tmp_path):
    if not shutil.which("sbatch"):
        pytest.skip("needs Slurm: make test-slurm")
    yield tmp_path / tmp_path.name
    slurm("scancel", f"--name=amr_tf_{tmp_path.name}")


def saved(out, job: str) -> bool:
    return any((out / job / "checkpoints").glob("step_*"))


def test_slurm_sweep_killed_finds_its_jobs_again(tmp_path, out):
    words = (str(write_presets(tmp_path / "recipes")), "--seeds=1,2", *SLURM)
    sweep = Sweep(out, *words)
    sweep.wait_for(lambda: "one/s1 running" in sweep.lines)
    sweep.kill()

    sweep = Sweep(out, *words)
    sweep.wait_for(lambda: saved(out, "three/s1"))
    assert not any(line.startswith("one/s1 queued") for line in sweep.lines)
    sweep.process.send_signal(signal.SIGTERM)
    assert sweep.end() == 128 + signal.SIGTERM
    assert sweep.lines[-2].startswith("The jobs that are queued or running continue on the cluster")
    assert slurm("squeue", "--me", "--noheader")

    sweep = Sweep(out, *words)
    assert sweep.end() == 0
    assert "6 jobs: 6 done" in sweep.lines
    assert starts(out) == dict.fromkeys(JOBS, 1)
    assert (out / "report.md").exists()
    assert all(os.stat(folder).st_mode & 0o077 == 0 for folder in (out / ".sweep").glob("submitted_*"))


def test_slurm_job_at_its_time_limit_is_queued_again(tmp_path, out):
    recipe = write_presets(tmp_path / "recipes") / "one.flags"
    sweep = Sweep(out, str(recipe), "--seeds=1", *SLURM, "--epochs=30")
    sweep.wait_for(lambda: saved(out, "one/s1"))
    (job,) = slurm("squeue", "--me", "--array", "--noheader", "--format=%i", f"--name=amr_tf_{out.name}")
    slurm("scancel", "--signal=USR2", job)  # as the cluster does before the end
    assert sweep.end() == 0
    log = (out / ".sweep" / "one_s1" / "log.txt").read_text()
    assert starts(out) == {"one/s1": 2}
    assert "amr_tf.train: Interrupted by SIGTERM at step " in log
    assert "\nresuming after step " in log


def test_slurm_preempted_job_is_queued_again(tmp_path, out):
    if "urgent" not in "".join(slurm("sinfo", "--noheader", "--format=%R ")):
        pytest.skip("needs a partition whose jobs push others aside: make test-slurm")
    recipes = write_presets(tmp_path / "recipes")
    sweep = Sweep(out, *(str(recipes / f"{name}.flags") for name in ("one", "two")), *SLURM, "--epochs=30")
    sweep.wait_for(lambda: saved(out, "one/s0"))
    slurm("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    assert sweep.end() == 0
    log = (out / ".sweep" / "one_s0" / "log.txt").read_text()
    assert "amr_tf.train: Interrupted by SIGTERM at step " in log
    assert "\nresuming after step " in log


def test_slurm_refusal_is_one_line(tmp_path, out):
    recipe = write_presets(tmp_path / "recipes") / "one.flags"
    sweep = Sweep(out, str(recipe), *SLURM, "--slurm_partition=nowhere")
    assert sweep.end() == 2
    assert sweep.lines[-1].startswith("amr_tf.sweep: Slurm did not accept the jobs: ")
    assert "nowhere" in sweep.lines[-1] or "partition" in sweep.lines[-1]
    assert len(sweep.lines) == 2
