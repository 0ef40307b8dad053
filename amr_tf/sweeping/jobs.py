"""Jobs of a sweep and the files that store their state. There is one job for each preset, grid setting and seed.

OUT/<preset>[/<flag>-<value>...]/s<seed>/    the run folder
OUT/.sweep/<preset>[_<flag>-<value>...]_s<seed>/
    .lock         locked while the job runs      log.txt      the output of the training
    process.json  the process of the job         end.json     exit code and last line of output
    queued.json   the job's ID in Slurm          errors.txt   the output of the job's process
"""

import collections
import contextlib
import dataclasses
import enum
import functools
import itertools
import os
import pathlib
import signal
import socket
import sys
from typing import Any

import filelock

from amr_tf.config import Config, ConfigError, command_line
from amr_tf.runs.best import best_by
from amr_tf.runs.folder import InUseError, RunError, RunFolder, read_rows
from amr_tf.runtime import files
from amr_tf.runtime.errors import one_line
from amr_tf.sweeping import worker

OWN_FOLDER = ".sweep"
QUEUED_AS = "queued.json"
# Training flags that a sweep sets itself or does not support, and the advice for users of such a flag.
NOT_PASSED_ON = {
    "seed": "Use --seeds",
    "run_dir": "Use --out",
    "smoke": "A sweep cannot resume such a run: try one preset with amr_tf.train",
}


class State(enum.StrEnum):
    """The state of a job."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    RUNNING_ELSEWHERE = "in use"
    DONE = "done"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Job:
    """One job of a sweep, which trains one run.

    Attributes:
        name: <preset>[/<setting>]/s<seed>.
        preset: name of the preset file, without its suffix.
        setting: values of the grid's flags, such as "lambda-2_k-3"; "" without a grid.
        flags: flags of the training command.
        config: settings of the run.
        job_dir: folder of the job in OUT/.sweep.
    """

    name: str
    preset: str
    setting: str
    flags: tuple[str, ...]
    config: Config
    job_dir: pathlib.Path

    @functools.cached_property
    def folder(self) -> RunFolder:
        return RunFolder(self.config)

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "amr_tf.train", *self.flags]

    @property
    def log(self) -> pathlib.Path:
        return self.job_dir / worker.LOG

    def poll(self) -> tuple[State, str]:
        """Returns (DONE, RUNNING_ELSEWHERE or WAITING, a note), according to the files of the job and its run.

        This method acquires the locks for a moment. Do not call it while the job's training may be starting, because
        the training could not acquire a lock.
        """
        if self.is_locked():
            return State.RUNNING_ELSEWHERE, "by a job of an earlier start of this sweep: waiting for it"
        try:
            self.folder.check()
            rows = read_rows(self.folder.metrics)
        except InUseError as error:
            return State.RUNNING_ELSEWHERE, str(error)
        except RunError:
            return State.WAITING, ""  # its training reports the error
        finished = rows and rows[-1]["epoch"] >= self.config.epochs and self.folder.results.exists()
        return (State.DONE, "") if finished else (State.WAITING, "")

    def is_locked(self) -> bool:
        """Returns true if a process runs this job, even if another sweep has started the process.

        Raises:
            RunError: the lock cannot be opened.
        """
        lock = filelock.FileLock(self.job_dir / worker.LOCK)
        if not os.path.exists(lock.lock_file):  # pathlib's raises an error in a folder without access
            return False
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return True
        except OSError as error:
            raise RunError(f"The lock of a job cannot be opened: {one_line(error)}") from error
        lock.release()
        return False

    def prepare(self) -> None:
        """Creates the job's folder and deletes the state files of an earlier start of the job."""
        self.job_dir.mkdir(parents=True, exist_ok=True)
        for name in (worker.END, worker.PROCESS, QUEUED_AS):
            (self.job_dir / name).unlink(missing_ok=True)

    def stop(self) -> None:
        """Sends SIGTERM to the process of this job, if the process runs on this machine."""
        process = read_json(self.job_dir / worker.PROCESS)
        pid = process.get("pid")
        # The pid 0 would address all processes of this process's group, and -1 all processes of the user.
        if type(pid) is int and pid > 1 and process.get("host") == socket.gethostname() and self.is_locked():
            with contextlib.suppress(OSError, OverflowError):
                os.kill(pid, signal.SIGTERM)

    def end(self) -> tuple[State, str] | None:
        """Returns the final state and a note, such as the last line of output.

        Returns None if the job has not ended, or if end.json is damaged.
        """
        record = read_json(self.job_dir / worker.END)
        code, line = record.get("code"), str(record.get("said"))
        if not isinstance(code, int):
            return None
        if code == 0:
            return State.DONE, ""
        if code in worker.INTERRUPTED:
            return State.INTERRUPTED, line
        if code < 0:
            return State.FAILED, f"killed by signal {-code} ({signal.strsignal(-code)})"
        return State.FAILED, line or f"exit code {code} without output"

    def last_output(self) -> str:
        """Returns the last line that the job's process, not the training, wrote to standard error, or ""."""
        queued = read_json(self.job_dir / QUEUED_AS)
        return worker.last_line(pathlib.Path(queued.get("stderr", self.job_dir / worker.ERRORS)))

    def progress(self) -> str:
        """Returns a text with the number of finished epochs and the last validation result."""
        try:
            rows, results = read_rows(self.folder.metrics), self.folder.read_results()
        except RunError:
            rows, results = [], {}
        if not rows:
            return f"epoch 1 of {self.config.epochs:,}"
        by, epoch = best_by(results, rows), int(rows[-1]["epoch"])
        return (
            f"{epoch:,} of {self.config.epochs:,} epochs, {by.measure} {by.shown(rows[-1], 'val')} validation"
        )


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Returns the content of a JSON file of a job, or {} if the file is missing or damaged."""
    try:
        return files.read_json(path)
    except (OSError, ValueError):
        return {}


def find_presets(words: list[str]) -> list[str]:
    """Returns preset files as values of `--flagfile`. A word is a preset file, or a folder for all its `*.flags` files.

    Raises:
        ConfigError: a word names no preset, two presets have the same name, or a name is not printable.
    """
    names = []
    for word in words:
        places = [root / files.user_path(word) for root in (pathlib.Path(), *command_line.PRESET_ROOTS)]
        place = next(filter(os.path.exists, places), pathlib.Path(word))
        folder = place if os.path.isdir(place) else None
        found = (
            [os.path.join(word, path.name) for path in sorted(folder.glob("*.flags"))] if folder else [word]
        )
        for name in (word, *found):
            if not name.isprintable():
                raise ConfigError(f"Names of presets are printable text on one line. Received: {name!r}")
        if not found:
            raise ConfigError(f"No preset (*.flags) in this folder. Received: {word}")
        command_line.find_preset(found[0])
        names += found
    (stem, count), *_ = collections.Counter(pathlib.Path(name).stem for name in names).most_common()
    if count > 1:
        raise ConfigError(f"Runs are named after their presets, so names must differ. Received twice: {stem}")
    return names


def grid_settings(axes: list[str]) -> list[tuple[str, ...]]:
    """Returns all combinations of the flags and values of `--grid`, such as ("lambda=2", "k=3").

    Raises:
        ConfigError: an argument of `--grid` does not have the form flag=value,value,...
    """
    product = []
    for axis in axes:
        flag, _, values = axis.partition("=")
        if not (flag and all(values.split(","))):
            raise ConfigError(f"--grid takes a flag and values, such as lambda=2,5,10. Received: {axis!r}")
        product.append([f"{flag}={value}" for value in values.split(",")])
    return list(itertools.product(*product))


def plan(
    presets: list[str], seeds: list[int], out: pathlib.Path, passed_on: list[str], grid: list[tuple[str, ...]]
) -> list[Job]:
    """Returns one job for each preset, grid setting and seed.

    All jobs of a seed come before the jobs of the next seed, so that every row of a table gets a result early.

    Raises:
        ConfigError: the flags of a job are invalid, or the grid contains the same setting twice.
    """
    jobs = []
    for seed, path, settings in itertools.product(seeds, presets, grid):
        preset = pathlib.Path(path).stem
        setting = "_".join(setting.replace("=", "-", 1).replace("/", "_") for setting in settings)
        name = "/".join(part for part in (preset, setting, f"s{seed}") if part)
        flags = [f"--flagfile={path}", *passed_on, *(f"--{setting}" for setting in settings)]
        try:
            sources = command_line.parse(flags)[1]
            for flag, instead in NOT_PASSED_ON.items():
                if sources[flag] != command_line.DEFAULT:
                    raise ConfigError(f"Not for a sweep: --{flag}. {instead}. Received from: {sources[flag]}")
            flags += [f"--seed={seed}", f"--run_dir={out / name}"]
            config, _ = command_line.parse(flags)
        except ConfigError as error:
            raise ConfigError(f"{preset}: {error}") from None
        jobs.append(
            Job(name, preset, setting, tuple(flags), config, out / OWN_FOLDER / name.replace("/", "_"))
        )
    if len({(job.preset, dataclasses.replace(job.config, run_dir="")) for job in jobs}) < len(jobs):
        raise ConfigError("--grid names a setting twice. Name each value once")
    return jobs
