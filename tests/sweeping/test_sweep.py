"""A sweep: what its command means, which runs it leaves alone, what it says, and how it ends. No run gets far here."""

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import filelock
import pytest
import rich.console

from amr_tf import sweep
from amr_tf.config import Config, command_line, flag_name
from amr_tf.runs.folder import write_rows
from amr_tf.runtime import files
from amr_tf.sweeping import conduct, executors, jobs, status, worker
from amr_tf.sweeping.jobs import State

RECIPE = "--dataset=spiral\n--depth=2\n--steps_per_epoch=2\n"


@pytest.fixture
def presets(tmp_path, monkeypatch):
    """The working directory, with a folder of two presets."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for name in ("one", "two"):
        (tmp_path / "mine" / f"{name}.flags").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def default_signals():
    """Puts back the handlers that a job's process sets."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def one_job(*words: str) -> jobs.Job:
    return sweep.parse(["mine/one.flags", *words]).jobs[0]


def finished_run(job: jobs.Job, epochs: int) -> None:
    """What a run of the job leaves after so many epochs."""
    folder = job.folder
    (folder.checkpoints / "step_0000000002").mkdir(parents=True)
    folder.flags.write_text(command_line.flagfile_text(job.config, dict.fromkeys(vars(job.config), "flag")))
    rows = [
        {"epoch": n, "step": 2 * n, "val_probe_accuracy": 0.5, "test_probe_accuracy": 0.5}
        for n in range(1, epochs + 1)
    ]
    write_rows(folder.metrics, rows)
    files.write_json(folder.results, {})


def test_there_is_a_run_for_each_preset_and_seed_with_the_flags_that_are_not_the_sweeps(presets):
    words = [
        "mine",
        "--seeds=3,1",
        "--out=out",
        "--epochs=7",
        "--noprojector",
        "--executor=slurm",
        "--parallel=4",
    ]
    options = sweep.parse(words)
    assert [job.name for job in options.jobs] == ["one/s3", "two/s3", "one/s1", "two/s1"]
    assert [(job.config.seed, job.config.epochs, job.config.run_dir) for job in options.jobs[1:3]] == [
        (3, 7, "out/two/s3"),
        (1, 7, "out/one/s1"),
    ]
    assert options.jobs[0].command[1:] == [
        "-m", "amr_tf.train", "--flagfile=mine/one.flags", "--epochs=7", "--noprojector", "--seed=3",
        "--run_dir=out/one/s3",
    ]  # fmt: skip
    assert (options.executor, options.parallel, str(options.out)) == ("slurm", 4, "out")
    assert not (presets / "out").exists()


def test_no_flag_of_a_sweep_is_one_of_a_run():
    assert not set(sweep.define_flags()) & {flag_name(field.name) for field in dataclasses.fields(Config)}


@pytest.mark.parametrize(
    ("words", "jobs_of", "out", "table"),
    [
        (["flags/table1"], ["table1/*"], "runs/sweeps/table1", "1"),
        (["flags/table2/"], ["table2/*"], "runs/sweeps/table2", "2"),
        (["flags/low_data"], ["low_data/*"], "runs/sweeps/low_data", "low_data"),
        (["flags/table1/svhn_aegan.flags"], ["table1/svhn_aegan.flags"], "runs/sweeps/svhn_aegan", "1"),
        (["flags/fast"], ["fast/*"], "runs/sweeps/fast", None),
        (["flags/fast", "--table=1"], ["fast/*"], "runs/sweeps/fast", "1"),
        (["flags/table1", "flags/table3", "--out=x"], ["table1/*", "table3/*"], "x", None),
    ],
)
def test_presets_are_found_from_anywhere_and_their_folder_names_the_table(
    presets, words, jobs_of, out, table
):
    options = sweep.parse(words)
    flags = command_line.PACKAGE.parent / "flags"
    expected = [f"{path.stem}/s0" for pattern in jobs_of for path in sorted(flags.glob(pattern))]
    assert [job.name for job in options.jobs] == expected
    assert (str(options.out), options.table) == (out, table)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "No preset to train"),
        (["nowhere"], "--flagfile names no readable file. Received: --flagfile=nowhere"),
        (["empty"], "No preset (*.flags) in this folder. Received: empty"),
        (["mine", "mine/one.flags", "--out=x"], "of which two cannot share a name: one"),
        (["mine", "flags/fast"], "--out=runs/sweeps/NAME"),
        (["mine", "--epochs=0"], "one: --epochs must be at least 1. Received: --epochs=0"),
        (["mine", "--epoch=1"], "Unknown command line flag 'epoch'"),
        (["mine", "--seed=1"], "--seed is not for a sweep: use --seeds"),
        (["mine", "--run_dir=x"], "--run_dir is not for a sweep: use --out"),
        (["mine", "--flagfile=flags/lambda_walk.flags"], "--lambdas is not for a sweep"),
        (["mine", "--smoke"], "--smoke is not for a sweep"),
        (["mine", "--seeds=1,b"], "--seeds takes whole numbers, such as 1,2,3. Received: '1,b'"),
        (["mine", "--seeds=1,01"], "--seeds names each once"),
        (["mine", "--seeds", "1"], "Flags are written --name=value. Received: --seeds"),
        (["mine", "--executor=cloud"], "should be one of"),
        (["mine", "--parallel=0"], "parallel"),
        (["mine", "--slurm_extra=qos"], "--slurm_extra takes name=value,..."),
        (["odd\nword"], r"printable text on one line. Received: 'odd\nword'"),
        (["odd"], r"printable text on one line. Received: 'odd/a\n\x1b[2Jb.flags'"),
        (["broken"], "bad: --k must be at least 2. Received: --k=1"),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_nothing_is_started(presets, capsys, words, said):
    (presets / "empty").mkdir()
    (presets / "broken").mkdir()
    (presets / "broken" / "bad.flags").write_text("--k=1\n")
    (presets / "odd").mkdir()
    (presets / "odd" / "a\n\x1b[2Jb.flags").write_text(RECIPE)
    assert sweep.main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("amr_tf.sweep: ")
    assert said in err
    assert sorted(path.name for path in presets.iterdir()) == ["broken", "empty", "mine", "odd"]


def test_a_run_is_finished_when_its_last_epoch_is_there_with_these_settings(presets):
    job = one_job("--epochs=2")
    assert job.look() == (State.WAITING, "")
    finished_run(job, epochs=1)
    assert job.look() == (State.WAITING, "")
    (job.folder.checkpoints / "step_0000000002").rmdir()
    finished_run(job, epochs=2)
    assert job.look() == (State.DONE, "")
    assert one_job("--epochs=3").look() == (State.WAITING, "")
    assert one_job("--epochs=2", "--lambda=3").look() == (State.WAITING, "")
    job.folder.metrics.write_text("epoch,step\nx,y\n")
    assert job.look() == (State.WAITING, "")


def test_a_job_that_another_process_runs_is_seen(presets):
    job = one_job("--epochs=2")
    finished_run(job, epochs=1)
    with filelock.FileLock(job.folder.path / ".lock"):
        state, note = job.look()
        assert state is State.ELSEWHERE
        assert "is in use by another process" in note
    job.prepare()
    with filelock.FileLock(job.place / worker.LOCK):
        assert job.held()
        assert job.look()[0] is State.ELSEWHERE
    assert not job.held()
    assert job.look()[0] is State.WAITING


@pytest.mark.parametrize(
    ("content", "end"),
    [
        ('{"code": 0, "said": "x"}', (State.DONE, "")),
        ('{"code": 143, "said": "saved"}', (State.INTERRUPTED, "saved")),
        ('{"code": 130, "said": "saved"}', (State.INTERRUPTED, "saved")),
        ('{"code": 129, "said": "saved"}', (State.INTERRUPTED, "saved")),
        ('{"code": 2, "said": "amr_tf.train: no"}', (State.FAILED, "amr_tf.train: no")),
        ('{"code": 1, "said": ""}', (State.FAILED, "exit code 1, and no word")),
        ('{"code": -9, "said": "epoch 1"}', (State.FAILED, "killed by SIGKILL")),
        ('{"code": -40}', (State.FAILED, "killed by signal 40")),
        ("{", None),
        ('{"code": null}', None),
        ('{"code": "0"}', None),
        ("[" * 100_000, None),
    ],
)
def test_how_a_job_ended(presets, content, end):
    job = one_job()
    assert job.end() is None
    job.prepare()
    (job.place / worker.END).write_text(content)
    assert job.end() == end
    job.prepare()
    assert job.end() is None


def train(place, code: str) -> worker.Train:
    """A job whose command is a line of Python instead of a training."""
    place.mkdir()
    return worker.Train([sys.executable, "-c", code], place, {"GONE": None, "THERE": "1"})


def test_a_job_says_how_it_ended_and_keeps_what_it_printed(tmp_path, default_signals, monkeypatch):
    monkeypatch.setenv("GONE", "x")
    code = "import os, sys; print(os.environ.get('GONE'), os.environ['THERE']); sys.exit('no data\\n')"
    assert train(tmp_path / "job", code)() == 1
    assert jobs.read_json(tmp_path / "job" / "end.json") == {"code": 1, "said": "no data"}
    log = (tmp_path / "job" / "log.txt").read_text()
    assert re.fullmatch(r"\n# \d{4}-.* on .*: .*\nNone 1\nno data\n\n", log)


WAITS = """import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("saved"))
print("he" + "re", flush=True)  # the command itself stands in the log, too
time.sleep(60)"""


def stop_when_it_prints(job: worker.Train, stop) -> threading.Thread:
    def wait():
        while "here" not in (job.place / "log.txt").read_text():
            time.sleep(0.02)
        stop()

    thread = threading.Thread(target=wait)
    (job.place / "log.txt").touch()
    thread.start()
    return thread


def test_sigterm_reaches_the_training(tmp_path, default_signals):
    job = train(tmp_path / "job", WAITS)
    thread = stop_when_it_prints(job, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert job() == 1
    thread.join()
    assert jobs.read_json(tmp_path / "job" / "end.json")["said"] == "saved"


def test_a_cluster_announcing_the_end_does_not_end_the_training_and_the_same_job_is_queued_again(
    tmp_path, default_signals
):
    job = train(tmp_path / "job", WAITS)
    again = []

    def announce():
        job.process.send_signal(signal.SIGUSR2)  # as Slurm, which signals all processes of a job
        assert job.process.poll() is None
        again.append(job.checkpoint())

    thread = stop_when_it_prints(job, announce)
    assert job() == 1  # by SIGTERM: it could save
    thread.join()
    assert vars(again[0].function) == vars(worker.Train(job.command, job.place, job.environment))


def test_a_job_waits_for_another_start_of_itself(tmp_path, default_signals):
    job = train(tmp_path / "job", "print('ran')")
    with filelock.FileLock(tmp_path / "job" / ".lock"):
        timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM))
        timer.start()
        assert job() == 143
    assert not (tmp_path / "job" / "log.txt").exists()


def test_a_job_that_fails_does_not_stop_the_others(presets, capfd):
    """Real jobs, which their run folders end: one belongs to somebody else, one is finished."""
    options = sweep.parse(["mine", "--out=out", "--epochs=1"])
    one, two = options.jobs
    two.folder.path.mkdir(parents=True)
    (two.folder.path / "notes.txt").write_text("mine")
    finished_run(one, epochs=1)
    (presets / "mine" / "other.flags").write_text(RECIPE)
    (presets / "out" / "other" / "s0").mkdir(parents=True)
    (presets / "out" / "other" / "s0" / "notes.txt").write_text("mine")
    command = [sys.executable, "-m", "amr_tf.sweep", "mine", "--out=out", "--epochs=1", "--parallel=2"]
    environment = os.environ | {"PYTHONPATH": str(command_line.PACKAGE.parent)}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert ended.returncode == 2, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "3 jobs in out, local, 2 at a time at most"
    assert lines[1] == "one/s0    done"
    assert sorted(lines[2:4]) == ["other/s0  running", "two/s0    running"]
    assert "3 jobs: 1 done, 2 failed" in lines
    for name in ("other", "two"):
        complaint = (
            f"{name}/s0 failed: amr_tf.train: out/{name}/s0 contains other files and no run. Received: notes.txt. "
            f"Choose another --run_dir (its log: less out/.sweep/{name}_s0/log.txt)"
        )
        assert complaint in ended.stderr.splitlines()
    assert os.stat(next((presets / "out" / ".sweep").glob("submitted_*"))).st_mode & 0o077 == 0


@pytest.mark.parametrize("out", ["/etc/passwd/x", "/proc/x", "~nosuchuser" + "x" * 300])
def test_a_place_where_no_job_can_be_made_is_one_line(presets, capsys, out):
    assert sweep.main(["mine", f"--out={out}"]) == 2
    said, err = capsys.readouterr()
    assert "jobs: " not in said
    assert err.count("\n") == 1
    assert err.startswith("amr_tf.sweep: A job cannot be started: ")


def test_a_job_that_cannot_be_started_does_not_stop_the_others(presets, monkeypatch):
    """The second one's folder is a file."""
    monkeypatch.setenv("PYTHONPATH", str(command_line.PACKAGE.parent))
    options = sweep.parse(["mine", f"--out={presets / 'out'}"])
    one, two = (Looker(**vars(job)) for job in options.jobs)
    two.place.parent.mkdir(parents=True)
    two.place.write_text("")
    executor = executors.Local(presets / "out", parallel=2)
    standing = conduct.Sweep([one, two], executor, status.Display(rich.console.Console(), [one, two])).run()
    assert standing[one][0] is State.DONE
    assert standing[two][0] is State.FAILED
    assert standing[two][1].startswith("A job cannot be started: ")


class Looker(jobs.Job):
    """A job that prints what it finds instead of training."""

    @property
    def command(self) -> list[str]:
        found = "(signal.SIGINT in signal.pthread_sigmask(0, ()), os.environ.get('CUDA_VISIBLE_DEVICES'))"
        return [sys.executable, "-c", f"import os, signal; print({found})"]


@pytest.mark.parametrize("gpus", [None, "1,3"])
def test_local_jobs_are_out_of_reach_of_ctrl_c_and_see_the_gpus_that_the_sweep_sees(
    presets, monkeypatch, gpus
):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if gpus:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setenv("PYTHONPATH", str(command_line.PACKAGE.parent))
    job = Looker(**vars(one_job()))
    local = executors.Local(presets / "out", parallel=1)
    local.submit([job], under_way=0)
    limit = time.monotonic() + 60
    while local.state(job) and time.monotonic() < limit:
        time.sleep(0.05)
    assert job.end() == (State.DONE, "")
    assert job.log.read_text().splitlines()[-1] == str((True, gpus))


def test_what_a_user_sees(presets, capsys):
    options = sweep.parse(["mine", "--seeds=1,12"])
    a, b, c, d = options.jobs
    console = rich.console.Console(width=60, color_system=None, force_terminal=True)
    display = status.Display(console, options.jobs)
    display.change(a, State.FAILED, "killed [/by] SIGKILL")
    assert capsys.readouterr().out == "one/s1   failed       killed [/by] SIGKILL\n"
    standing = {
        a: (State.FAILED, "killed"),
        b: (State.DONE, ""),
        c: (State.RUNNING, ""),
        d: (State.WAITING, ""),
    }
    finished_run(c, epochs=3)
    with display:
        display.refresh(standing)
        shown = capsys.readouterr().out
    assert "4 jobs: 1 waiting, 1 running, 1 done, 1 failed" in shown
    assert f"one/s12  3 of {c.config.epochs:,} epochs, probe 50.0% validation" in shown
    assert status.complaints(standing) == [
        "one/s1 failed: killed (its log: less runs/sweeps/mine/.sweep/one_s1/log.txt)"
    ]


def test_without_a_slurm_it_says_so(presets, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(presets))
    assert sweep.main(["mine", "--executor=slurm"]) == 2
    assert "--executor=slurm needs a Slurm that answers here: " in capsys.readouterr().err
    assert not (presets / "runs").exists()


@pytest.mark.parametrize("pid", [-1, 0, 1, True, 2.0, "7", None])
def test_a_damaged_number_of_a_process_stops_nobody(presets, monkeypatch, pid):
    """Real signals to -1 would reach every process of this machine, so they are only noted here."""
    job, sent = one_job(), []
    monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
    job.prepare()
    files.write_json(job.place / worker.PROCESS, {"pid": pid, "host": socket.gethostname()})
    with filelock.FileLock(job.place / worker.LOCK):
        job.ask_to_stop()
    assert sent == []
