"""A sweep's command, its jobs, its output and its end. No run is trained for long here."""

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

from amr_tf import sweep
from amr_tf.config import Config, command_line, flag_name
from amr_tf.runs.best import RECONSTRUCTION
from amr_tf.runs.folder import write_rows
from amr_tf.runtime import files
from amr_tf.runtime.console import Console
from amr_tf.sweeping import executors, jobs, runner, worker
from amr_tf.sweeping.jobs import State
from amr_tf.sweeping.scheduler import Scheduler

RECIPE = "--dataset=spiral\n--depth=2\n--steps_per_epoch=2\n"


@pytest.fixture
def presets(tmp_path, monkeypatch):
    """The working directory, with a folder of two presets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(command_line.PACKAGE.parent))
    (tmp_path / "mine").mkdir()
    for name in ("one", "two"):
        (tmp_path / "mine" / f"{name}.flags").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def default_signals():
    """Restores the handlers that a job's process installs."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def one_job(*words: str) -> jobs.Job:
    return sweep.parse(["mine/one.flags", *words]).jobs[0]


def finished_run(
    job: jobs.Job, epochs: int, validation: float = 0.5, recon: float = 0.1, results: dict | None = None
) -> None:
    """Writes what a run of the job leaves after some epochs."""
    folder = job.folder
    (folder.checkpoints / "step_0000000002").mkdir(parents=True, exist_ok=True)
    folder.flags.write_text(command_line.flagfile_text(job.config, dict.fromkeys(vars(job.config), "flag")))
    accuracies = {"val_probe_accuracy": validation, "test_probe_accuracy": 0.5}
    accuracies |= {"val_recon": recon, "test_recon": 2 * recon}
    write_rows(folder.metrics, [{"epoch": n, "step": 2 * n} | accuracies for n in range(1, epochs + 1)])
    files.write_json(folder.results, results or {})


def test_parse_gives_a_job_for_each_preset_and_seed(presets):
    words = "mine --seeds=3,1 --out=out --epochs=7 --noprojector --executor=slurm --parallel=4"
    options = sweep.parse(words.split())
    assert [job.name for job in options.jobs] == ["one/s3", "two/s3", "one/s1", "two/s1"]
    settings = [(job.config.seed, job.config.epochs, job.config.run_dir) for job in options.jobs[1:3]]
    assert settings == [(3, 7, "out/two/s3"), (1, 7, "out/one/s1")]
    flags = "--flagfile=mine/one.flags --epochs=7 --noprojector --seed=3 --run_dir=out/one/s3"
    assert options.jobs[0].command[1:] == ["-m", "amr_tf.train", *flags.split()]
    assert (options.executor, options.parallel, str(options.out)) == ("slurm", 4, "out")
    assert not (presets / "out").exists()


def test_parse_grid_gives_a_job_for_each_combination(presets):
    words = ["mine/one.flags", "--seeds=0,1", "--grid", "lambda=2,0.5", "--grid=arch=mlp", "--out=out"]
    planned = sweep.parse(words).jobs
    settings = ["lambda-2_arch-mlp", "lambda-0.5_arch-mlp"]
    assert [job.name for job in planned] == [f"one/{one}/s{seed}" for seed in (0, 1) for one in settings]
    assert [job.config.lambda_ for job in planned] == [2.0, 0.5, 2.0, 0.5]
    flags = (
        "--flagfile=mine/one.flags --lambda=0.5 --arch=mlp --seed=0 --run_dir=out/one/lambda-0.5_arch-mlp/s0"
    )
    assert planned[1].command[3:] == flags.split()


def test_flags_of_sweep_are_not_flags_of_a_run():
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
def test_parse_finds_presets_from_anywhere(presets, words, jobs_of, out, table):
    options = sweep.parse(words)
    flags = command_line.PACKAGE.parent / "flags"
    expected = [f"{path.stem}/s0" for pattern in jobs_of for path in sorted(flags.glob(pattern))]
    assert [job.name for job in options.jobs] == expected
    assert (str(options.out), options.table) == (out, table)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "No preset to train"),
        (["nowhere"], "Received: --flagfile=nowhere"),
        (["empty"], "No preset (*.flags) in this folder. Received: empty"),
        (["mine", "mine/one.flags", "--out=x"], "Received twice: one"),
        (["mine", "flags/fast"], "--out=runs/sweeps/NAME"),
        (["mine", "--epochs=0"], "one: --epochs must be at least 1. Received: --epochs=0"),
        (["mine", "--epoch=1"], "Unknown command line flag 'epoch'"),
        (["mine", "--seed=1"], "--seed. Use --seeds"),
        (["mine", "--run_dir=x"], "--run_dir. Use --out"),
        (["mine", "--smoke"], "--smoke. "),
        (["mine", "--seeds=1,b"], "--seeds takes whole numbers, such as 1,2,3. Received: '1,b'"),
        (["mine", "--seeds=1,01"], "--seeds names a seed twice"),
        (["mine", "--seeds"], "--seeds takes whole numbers, such as 1,2,3. Received: ''"),
        (["mine", "--grid"], "--grid takes a flag and values, such as lambda=2,5,10. Received: ''"),
        (["mine", "--grid", "lambda=2,"], "Received: 'lambda=2,'"),
        (["mine", "--grid=lambda=2,2.0"], "--grid names a setting twice"),
        (["mine", "--grid=lambda=-1"], "one: --lambda must be at least 0.0. Received: --lambda=-1.0"),
        (["mine", "--grid=seed=1,2"], "--seed. Use --seeds"),
        (["mine", "--grid=colour=1"], "Unknown command line flag 'colour'"),
        (["mine", "--executor=cloud"], "should be one of"),
        (["mine", "--parallel=0"], "parallel"),
        (["mine", "--slurm_extra=qos"], "--slurm_extra takes name=value,..."),
        (["odd\nword"], r"printable text on one line. Received: 'odd\nword'"),
        (["odd"], r"printable text on one line. Received: 'odd/a\n\x1b[2Jb.flags'"),
        (["broken"], "bad: --k must be at least 2. Received: --k=1"),
    ],
)
def test_invalid_command_is_one_line(presets, refused, words, expected):
    (presets / "empty").mkdir()
    (presets / "broken").mkdir()
    (presets / "broken" / "bad.flags").write_text("--k=1\n")
    (presets / "odd").mkdir()
    (presets / "odd" / "a\n\x1b[2Jb.flags").write_text(RECIPE)
    assert expected in refused(sweep.main, *words)
    assert sorted(path.name for path in presets.iterdir()) == ["broken", "empty", "mine", "odd"]


def test_job_is_done_after_the_last_epoch_of_the_same_settings(presets):
    job = one_job("--epochs=2")
    assert job.poll() == (State.WAITING, "")
    finished_run(job, epochs=1)
    assert job.poll() == (State.WAITING, "")
    finished_run(job, epochs=2)
    assert job.poll() == (State.DONE, "")
    assert one_job("--epochs=3").poll() == (State.WAITING, "")
    assert one_job("--epochs=2", "--lambda=3").poll() == (State.WAITING, "")
    job.folder.metrics.write_text("epoch,step\nx,y\n")
    assert job.poll() == (State.WAITING, "")


def test_job_of_another_process_is_running_elsewhere(presets):
    job = one_job("--epochs=2")
    finished_run(job, epochs=1)
    with filelock.FileLock(job.folder.path / ".lock"):
        state, note = job.poll()
        assert state is State.RUNNING_ELSEWHERE
        assert "is in use by another process" in note
    job.prepare()
    with filelock.FileLock(job.job_dir / worker.LOCK):
        assert job.is_locked()
        assert job.poll()[0] is State.RUNNING_ELSEWHERE
    assert not job.is_locked()
    assert job.poll()[0] is State.WAITING


@pytest.mark.parametrize(
    ("content", "end"),
    [
        ('{"code": 0, "said": "x"}', (State.DONE, "")),
        *((f'{{"code": {code}, "said": "saved"}}', (State.INTERRUPTED, "saved")) for code in (129, 130, 143)),
        ('{"code": 2, "said": "amr_tf.train: no"}', (State.FAILED, "amr_tf.train: no")),
        ('{"code": 1, "said": ""}', (State.FAILED, "exit code 1 without output")),
        ('{"code": -9, "said": "epoch 1"}', (State.FAILED, "killed by signal 9 (Killed)")),
        ("{", None),
        ('{"code": "0"}', None),
        ("[" * 100_000, None),
    ],
)
def test_job_end_is_that_of_its_record(presets, content, end):
    job = one_job()
    assert job.end() is None
    job.prepare()
    (job.job_dir / worker.END).write_text(content)
    assert job.end() == end
    job.prepare()
    assert job.end() is None


@pytest.mark.parametrize("pid", [-1, 0, 1, True, 2.0, "7", None])
def test_job_stop_ignores_a_damaged_process_number(presets, monkeypatch, pid):
    """A real signal to -1 would reach every process of this machine, so signals are only recorded here."""
    job, sent = one_job(), []
    monkeypatch.setattr(os, "kill", lambda *call: sent.append(call))
    job.prepare()
    files.write_json(job.job_dir / worker.PROCESS, {"pid": pid, "host": socket.gethostname()})
    with filelock.FileLock(job.job_dir / worker.LOCK):
        job.stop()
    assert sent == []


def train(job_dir, code: str) -> worker.Train:
    """A job whose command is a line of Python instead of a training."""
    job_dir.mkdir()
    return worker.Train([sys.executable, "-c", code], job_dir)


def test_worker_records_output_and_end(tmp_path, default_signals):
    code = "import sys; print('epoch 1'); sys.exit('no data\\n')"
    assert train(tmp_path / "job", code)() == 1
    assert jobs.read_json(tmp_path / "job" / "end.json") == {"code": 1, "said": "no data"}
    log = (tmp_path / "job" / "log.txt").read_text()
    assert re.fullmatch(r"\n# \d{4}-.* on .*: .*\nepoch 1\nno data\n\n", log)


WAITS = """import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("saved"))
print("he" + "re", flush=True)  # the log contains the command itself, too
time.sleep(60)"""


def run_until_it_prints(job: worker.Train, stop) -> int:
    """Runs a job that prints "here", and then calls `stop` in another thread; returns the exit code."""

    def wait():
        while "here" not in (job.job_dir / "log.txt").read_text():
            time.sleep(0.02)
        stop()

    thread = threading.Thread(target=wait)
    (job.job_dir / "log.txt").touch()
    thread.start()
    code = job()
    thread.join()
    return code


def test_worker_forwards_sigterm(tmp_path, default_signals):
    job = train(tmp_path / "job", WAITS)
    assert run_until_it_prints(job, lambda: os.kill(os.getpid(), signal.SIGTERM)) == 1
    assert jobs.read_json(tmp_path / "job" / "end.json")["said"] == "saved"


def test_worker_at_its_time_limit_saves_and_is_queued_again(tmp_path, default_signals):
    job, again = train(tmp_path / "job", WAITS), []

    def announce():
        job.process.send_signal(signal.SIGUSR2)  # as Slurm, which signals all processes of a job
        assert job.process.poll() is None
        again.append(job.checkpoint())

    assert run_until_it_prints(job, announce) == 1  # by SIGTERM: it could save
    assert vars(again[0].function) == vars(worker.Train(job.command, job.job_dir))


def test_worker_waits_for_another_start_of_its_job(tmp_path, default_signals):
    job = train(tmp_path / "job", "print('ran')")
    with filelock.FileLock(tmp_path / "job" / ".lock"):
        timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGTERM))
        timer.start()
        assert job() == 143
    assert not (tmp_path / "job" / "log.txt").exists()


def test_sweep_failed_job_does_not_affect_the_others(presets):
    """Real jobs that their run folders end: two belong to somebody else, one is finished."""
    (presets / "mine" / "other.flags").write_text(RECIPE)
    words = ["mine", "--out=out", "--epochs=1", "--parallel=2"]
    one, other, two = sweep.parse(words).jobs
    finished_run(one, epochs=1)
    for job in (other, two):
        job.folder.path.mkdir(parents=True)
        (job.folder.path / "notes.txt").write_text("mine")
    command = [sys.executable, "-m", "amr_tf.sweep", *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "3 jobs in out, local, 2 at a time"
    assert lines[1] == "one/s0    done"
    assert sorted(lines[2:4]) == ["other/s0  running", "two/s0    running"]
    assert "3 jobs: 1 done, 2 failed" in lines
    for name in ("other", "two"):
        (complaint,) = (line for line in ended.stderr.splitlines() if line.startswith(f"{name}/s0 failed: "))
        assert f"amr_tf.train: out/{name}/s0 " in complaint
        assert "Received: notes.txt. " in complaint
        assert complaint.endswith(f"(its log: less out/.sweep/{name}_s0/log.txt)")


def test_find_presets_file_before_a_folder_elsewhere(presets):
    """A file in the working folder has the name of the project's folder of presets."""
    (presets / "flags").write_text("--dataset=spiral\n--batch_size=8\n")
    (job,) = sweep.parse(["flags", "--out=o"]).jobs
    assert (job.config.dataset, job.name) == ("spiral", "flags/s0")


@pytest.mark.parametrize("out", ["/etc/passwd/x", "/proc/x", "x" * 300])
def test_sweep_unusable_out_is_one_line(presets, capsys, out):
    assert sweep.main(["mine", f"--out={out}"]) == 2
    printed, err = capsys.readouterr()
    assert "jobs: " not in printed
    assert err.count("\n") == 1
    assert err.startswith("amr_tf.sweep: A job cannot be started: ")


class Looker(jobs.Job):
    """A job that prints its session instead of training."""

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-c", "import os; print(os.getsid(0))"]


def test_scheduler_refused_job_does_not_affect_the_others(presets):
    """The second one's folder is a file."""
    one, two = (Looker(**vars(job)) for job in sweep.parse(["mine", f"--out={presets / 'out'}"]).jobs)
    two.job_dir.parent.mkdir(parents=True)
    two.job_dir.write_text("")
    states = Scheduler([one, two], executors.Local(parallel=2), Console()).run()
    assert states[one][0] is State.DONE
    assert states[two][0] is State.FAILED
    assert states[two][1].startswith("A job cannot be started: ")


def test_local_job_is_out_of_reach_of_ctrl_c(presets):
    job = Looker(**vars(one_job()))
    local = executors.Local(parallel=1)
    local.submit([job], active=0)
    limit = time.monotonic() + 60
    while local.state(job) and time.monotonic() < limit:
        time.sleep(0.05)
    assert job.end() == (State.DONE, "")
    assert int(job.log.read_text().split()[-1]) != os.getsid(0)


def test_local_job_killed_with_its_worker_shows_the_error(presets):
    """The worker cannot write the log, which is a folder."""
    job = Looker(**vars(one_job()))
    job.log.mkdir(parents=True)
    states = Scheduler([job], executors.Local(parallel=1), Console()).run()
    assert states[job][0] is State.FAILED
    assert "Is a directory" in states[job][1]


def test_slurm_that_is_missing_is_refused(presets, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(presets))
    assert sweep.main(["mine", "--executor=slurm"]) == 2
    assert "--executor=slurm needs a Slurm that answers here: " in capsys.readouterr().err
    assert not (presets / "runs").exists()


def test_terminal_shows_changes_and_progress(presets, capsys):
    planned = sweep.parse(["mine", "--seeds=1,12"]).jobs
    console = Console(width=60, color_system=None, force_terminal=True)
    watched = Scheduler(planned, executors.Local(parallel=1), console)
    watched.change(planned[0], State.FAILED, "killed [/by] SIGKILL")
    assert capsys.readouterr().out == "one/s1   failed       killed [/by] SIGKILL\n"
    watched.states |= {planned[1]: (State.DONE, ""), planned[2]: (State.RUNNING, "")}
    finished_run(planned[2], epochs=3)
    with watched._live:
        watched.refresh()
        shown = capsys.readouterr().out
    assert "4 jobs: 1 waiting, 1 running, 1 done, 1 failed" in shown
    assert f"one/s12  3 of {planned[2].config.epochs:,} epochs, probe accuracy 50.00% validation" in shown


def test_comparison_names_the_best_by_mean_validation(presets):
    """The best single run, 90 %, has a worse second seed; the best of `two` is not done."""
    words = ["mine", "--out=out", "--seeds=0,1", "--epochs=1", "--grid=lambda=2,5,10"]
    planned = sweep.parse(words).jobs
    validation = dict(zip(planned, [0.3, 0.9, 0.7, 0.2, 0.1, 0.4, 0.3, 0.1, 0.6, 0.2, 0.9, 0.4], strict=True))
    for job, accuracy in validation.items():
        finished_run(job, 1, accuracy)
    states = {job: (State.DONE, "") for job in planned} | {planned[10]: (State.FAILED, "diverged")}
    assert [" ".join(line.split()) for line in runner.comparison(states)] == [
        "setting validation test runs",
        "one lambda-2 30.00% 50.00% out/one/lambda-2",
        "one lambda-5 50.00% 50.00% out/one/lambda-5",
        "one lambda-10 65.00% 50.00% out/one/lambda-10 <- best by validation probe accuracy",
        "two lambda-2 20.00% 50.00% out/two/lambda-2",
        "two lambda-5 not done out/two/lambda-5",
        "two lambda-10 40.00% 50.00% out/two/lambda-10 <- best by validation probe accuracy",
    ]


def test_comparison_without_labels_is_by_reconstruction(presets):
    """Every probe is right; the means over two seeds of 0.2 and 0.4, 0.25 and 0.3."""
    words = ["mine/one.flags", "--out=out", "--seeds=0,1", "--epochs=1", "--grid=lambda=2,5"]
    planned = sweep.parse(words).jobs
    for job, recon in zip(planned, [0.2, 0.25, 0.4, 0.3], strict=True):
        finished_run(job, 1, 1.0, recon, {"best_by": RECONSTRUCTION.name})
    assert planned[0].progress().endswith("1 of 1 epochs, reconstruction 0.2000 validation")
    assert [" ".join(line.split()) for line in runner.comparison(dict.fromkeys(planned, (State.DONE, "")))][
        1:
    ] == [
        "one lambda-2 0.3000 0.6000 out/one/lambda-2",
        "one lambda-5 0.2750 0.5500 out/one/lambda-5 <- best by validation reconstruction",
    ]


def test_comparison_of_different_losses_names_no_best(presets):
    planned = sweep.parse(["mine/one.flags", "--out=out", "--epochs=1", "--grid=recon_loss=l1,l2"]).jobs
    for job in planned:
        finished_run(job, 1, 1.0, 0.2, {"best_by": RECONSTRUCTION.name})
    lines = runner.comparison(dict.fromkeys(planned, (State.DONE, "")))
    assert not [line for line in lines if "<-" in line]
    assert lines[-1] == "no best setting of one: no number compares all of them"


def test_comparison_equal_accuracies_go_by_reconstruction(presets):
    planned = sweep.parse(["mine/one.flags", "--out=out", "--epochs=1", "--grid=lambda=2,5,10"]).jobs
    for job, recon in zip(planned, (0.3, 0.1, 0.2), strict=True):
        finished_run(job, 1, 0.5, recon)
    lines = runner.comparison(dict.fromkeys(planned, (State.DONE, "")))
    assert ["<- best by validation probe accuracy" in line for line in lines[1:]] == [False, True, False]


def test_sweep_grid_ends_with_the_comparison(presets, capfd):
    words = ["mine/one.flags", "--out=out", "--epochs=1", "--grid", "lambda=2,5"]
    for job, accuracy in zip(sweep.parse(words).jobs, (0.6, 0.4), strict=True):
        finished_run(job, 1, accuracy)
    sweep.main(words)
    lines = [" ".join(line.split()) for line in capfd.readouterr().out.splitlines()]
    assert "one lambda-2 60.00% 50.00% out/one/lambda-2 <- best by validation probe accuracy" in lines
    assert lines[-1] == "2 jobs: 2 done"


def test_flags_without_an_equals_sign_take_the_next_word(refused):
    """Of this binary and of its runs, except switches; an unknown flag is named, not the word after it."""
    words = ["a.flags", "--epochs", "3", "--seeds", "1,2", "--nosmoke", "b.flags", "--k=4"]
    own, passed_on, presets = sweep._sort(words, {"seeds"})
    assert (own, passed_on) == (["--seeds=1,2"], ["--epochs=3", "--nosmoke", "--k=4"])
    assert presets == ["a.flags", "b.flags"]
    assert "Received: --epoch. " in refused(sweep.main, "a.flags", "--epoch", "3")
