"""Six runs by a sweep that is killed and interrupted: each is trained once, and all are done in the end."""

import signal

import pytest

from tests.sweeping.real import JOBS, Sweep, end_all, processes_of, starts, write_presets


@pytest.fixture
def out(tmp_path):
    yield tmp_path / "out"
    end_all(tmp_path / "out")


@pytest.mark.slow
def test_sweep_killed_and_interrupted_ends_complete(tmp_path, out):
    """Besides them, two jobs that fail: their run folders contain somebody else's files."""
    recipes = write_presets(tmp_path / "recipes")
    foreign = tmp_path / "recipes" / "foreign.flags"
    foreign.write_text("--dataset=spiral\n")
    for seed in (1, 2):
        (out / "foreign" / f"s{seed}").mkdir(parents=True)
        (out / "foreign" / f"s{seed}" / "notes.txt").write_text("mine")

    sweep = Sweep(out, str(recipes), "--seeds=1,2")
    sweep.wait_for(lambda: "one/s1 running" in sweep.lines and "one/s1" in starts(out))
    sweep.kill()
    assert starts(out)["one/s1"] == 1

    sweep = Sweep(out, str(recipes), "--seeds=1,2")
    in_use = "one/s1 in use by a job of an earlier start of this sweep: waiting for it"
    log = out / ".sweep" / "three_s1" / "log.txt"
    sweep.wait_for(lambda: log.exists() and "run folder: " in log.read_text())
    assert in_use in sweep.lines
    sweep.process.send_signal(signal.SIGTERM)
    assert sweep.end() == 128 + signal.SIGTERM
    assert sweep.lines[-1].startswith("amr_tf.sweep: Interrupted by SIGTERM with ")
    assert " of 8 jobs done. " in sweep.lines[-1]
    interrupted = "three/s1 interrupted amr_tf.train: Interrupted by SIGTERM"
    assert any(line.startswith(interrupted) for line in sweep.lines)
    assert processes_of(out) == []
    assert (starts(out)["one/s1"], starts(out)["three/s1"]) == (1, 1)
    assert not (out / "report.md").exists()

    sweep = Sweep(out, str(recipes), "--seeds=1,2")
    assert sweep.end() == 2
    assert "8 jobs: 6 done, 2 failed" in sweep.lines
    complaints = [line.split(": ")[0] for line in sweep.lines if "its log: less" in line]
    assert complaints == ["foreign/s1 failed", "foreign/s2 failed"]
    counts = starts(out)
    assert counts["three/s1"] == 2
    assert set(counts) >= set(JOBS)
    assert all((out / job / "results.json").exists() for job in JOBS)

    # Finished runs are not trained again, and reported.
    (out / "report.md").unlink()
    foreign.unlink()
    sweep = Sweep(out, str(recipes), "--seeds=1,2")
    assert sweep.end() == 0
    assert sweep.lines[1:7] == [f"{job} done" for job in sorted(JOBS, key=lambda job: (job[-1], job))]
    assert starts(out) == counts
    assert "1, 2" in (out / "report.md").read_text()
