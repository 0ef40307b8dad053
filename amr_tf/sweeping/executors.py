"""Where the jobs of a sweep run: processes of this machine, or a Slurm cluster."""

import contextlib
import io
import os
import pathlib
import signal
import subprocess
import tempfile
import time
from typing import Any, Protocol

import submitit

from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError, one_line
from amr_tf.sweeping.jobs import OWN_FOLDER, QUEUED_AS, Job, State, read_json
from amr_tf.sweeping.worker import Train, last_line

NEVER = 60 * 24 * 3650  # minutes
REQUEUES = 10_000  # a run of many days may need many times its limit
LINGER = 600.0  # seconds: more than clusters give a job that must make room
SQUEUE_EVERY = 5.0  # seconds: who asks often slows the scheduler for everyone


class Executor(Protocol):
    """What a sweep asks of a place where jobs run.

    Attributes:
        stops: whether its jobs end with the sweep; else they stay.
        patience: seconds after which what a job has written is visible here.
    """

    stops: bool
    patience: float

    def room(self, under_way: int, waiting: int) -> int:
        """How many of the waiting jobs to submit now."""

    def submit(self, jobs: list[Job], under_way: int) -> None:
        """Starts or queues jobs.

        Raises:
            UserError: one cannot be; those before it may have been.
        """

    def state(self, job: Job) -> tuple[State, str] | None:
        """QUEUED or RUNNING, and why; None for a job that it does not know, or that is over."""

    def said(self, job: Job) -> str:
        """The last line of what was said around a job; "" where there is none."""


class Local:
    """Processes of this machine. They outlive a sweep that is killed.

    Args:
        out: the sweep's folder.
        parallel: how many at a time.
    """

    stops, patience = True, 0.0

    def __init__(self, out: pathlib.Path, parallel: int):
        self.own, self.parallel = out / OWN_FOLDER, parallel
        self._started: dict[Job, submitit.Job] = {}

    def room(self, under_way: int, waiting: int) -> int:
        return max(0, min(waiting, self.parallel - under_way))

    def submit(self, jobs: list[Job], under_way: int) -> None:
        # Where no GPU is asked of it, submitit hides all of them.
        gpus = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES")}
        # Ctrl-C and SIGHUP go to all processes of a terminal, and submitit would kill the job within a second. Jobs
        # hear of it from the sweep, by SIGTERM.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            for job in jobs:
                job.prepare()
                executor = submitit.LocalExecutor(_submission_folder(self.own))
                executor.update_parameters(timeout_min=NEVER)
                self._started[job] = executor.submit(Train(job.command, job.place.resolve(), gpus))
        except OSError as error:
            raise UserError(
                f"A job cannot be started: {one_line(error)}. Set it right or choose another --out"
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def state(self, job: Job) -> tuple[State, str] | None:
        running = job in self._started and not self._started[job].done()
        return (State.RUNNING, "") if running else None

    def said(self, job: Job) -> str:
        return last_line(self._started[job].paths.stderr) if job in self._started else ""


class Slurm:
    """Jobs of a Slurm cluster, an array at each submission. They stay when the sweep ends, and are found again.

    At the end of its time, and where it must make room, a job saves and is queued again.

    Args:
        out: the sweep's folder, on a file system that the nodes share.
        parallel: how many at a time.
        parameters: of `submitit.SlurmExecutor`.

    Raises:
        UserError: no Slurm here.
    """

    stops, patience = False, 20.0

    def __init__(self, out: pathlib.Path, parallel: int, parameters: dict[str, Any]):
        self.own, self.parallel, self.parameters = out / OWN_FOLDER, parallel, parameters
        self._queue: dict[str, tuple[State, str]] = {}
        problem = self._ask()
        if problem:
            raise UserError(f"--executor=slurm needs a Slurm that answers here: {problem}")

    def room(self, under_way: int, waiting: int) -> int:
        return waiting

    def submit(self, jobs: list[Job], under_way: int) -> None:
        try:
            for job in jobs:
                job.prepare()
            with contextlib.redirect_stderr(io.StringIO()):  # the error says the same
                submitted = self._submit(jobs, max(1, self.parallel - under_way))
        except (RuntimeError, OSError, ValueError) as error:
            raise UserError(f"Slurm did not take the jobs: {one_line(error)}") from error
        for job, known in zip(jobs, submitted, strict=True):
            files.write_json(job.place / QUEUED_AS, {"id": known.job_id, "stderr": str(known.paths.stderr)})
            self._queue[known.job_id] = State.QUEUED, ""

    def _submit(self, jobs: list[Job], at_a_time: int) -> list[submitit.Job]:
        executor = submitit.SlurmExecutor(_submission_folder(self.own), max_num_timeout=REQUEUES)
        executor.update_parameters(array_parallelism=at_a_time, **self.parameters)
        with executor.batch():
            return [executor.submit(Train(job.command, job.place.resolve(), linger=LINGER)) for job in jobs]

    def state(self, job: Job) -> tuple[State, str] | None:
        if time.monotonic() - self._asked > SQUEUE_EVERY:
            self._ask()
        return self._queue.get(read_json(job.place / QUEUED_AS).get("id", ""))

    def said(self, job: Job) -> str:
        return last_line(pathlib.Path(read_json(job.place / QUEUED_AS).get("stderr", "")))

    def _ask(self) -> str:
        """Brings the queue up to date. Where it cannot, what is known stays, and it says why."""
        self._asked = time.monotonic()
        # Not sacct, as submitit does: it has no answer where the cluster keeps no accounts.
        command = ["squeue", "--me", "--noheader", "--array", "--format=%i|%T|%r"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
        except (OSError, subprocess.SubprocessError) as error:
            return one_line(UserError(getattr(error, "stderr", None) or error))
        rows = [line.split("|", 2) for line in answer.stdout.splitlines()]
        self._queue = {
            number: (State.QUEUED, reason) if state == "PENDING" else (State.RUNNING, "")
            for number, state, reason in rows
        }
        return ""


def _submission_folder(own: pathlib.Path) -> pathlib.Path:
    """A new one, which nobody else can read or write: what lies in it is unpickled where the job runs."""
    own.mkdir(parents=True, exist_ok=True)
    return pathlib.Path(tempfile.mkdtemp(prefix="submitted_", dir=own))
