"""The executors of a sweep: processes of this machine, or a Slurm cluster."""

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
LINGER = 600.0  # seconds: more than clusters give a job that is preempted
SQUEUE_EVERY = 5.0  # seconds: frequent queries slow the Slurm controller for all users


class Executor(Protocol):
    """Runs the jobs of a sweep.

    Attributes:
        stops: true if its jobs end with the sweep.
        patience: seconds until a file that a job has written is visible here.
    """

    stops: bool
    patience: float

    def batches(self, waiting: list[Job], active: int) -> list[list[Job]]:
        """Returns the waiting jobs to submit now, in groups to submit together."""

    def submit(self, jobs: list[Job], active: int) -> None:
        """Starts or queues all of the jobs.

        Raises:
            UserError: they cannot be submitted.
        """

    def state(self, job: Job) -> tuple[State, str] | None:
        """Returns QUEUED or RUNNING and a note; None for a job that is unknown or has ended."""

    def last_output(self, job: Job) -> str:
        """Returns the last line of the job's own standard error, "" without one."""


class Local:
    """Processes of this machine. They survive a sweep that is killed.

    Args:
        out: the sweep's folder.
        parallel: the number of jobs that run concurrently.
    """

    stops, patience = True, 0.0

    def __init__(self, out: pathlib.Path, parallel: int):
        self.own, self.parallel = out / OWN_FOLDER, parallel
        self._started: dict[Job, submitit.Job] = {}

    def batches(self, waiting: list[Job], active: int) -> list[list[Job]]:
        return [[job] for job in waiting[: max(0, self.parallel - active)]]

    def submit(self, jobs: list[Job], active: int) -> None:
        # submitit hides all GPUs from a job that does not request one.
        gpus = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES")}
        # Ctrl-C and SIGHUP reach all processes of a terminal, and submitit would kill the job within a second. The
        # sweep stops its jobs with SIGTERM.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            for job in jobs:
                job.prepare()
                executor = submitit.LocalExecutor(_submission_folder(self.own))
                executor.update_parameters(timeout_min=NEVER)
                self._started[job] = executor.submit(Train(job.command, job.job_dir.resolve(), gpus))
        except OSError as error:
            raise UserError(
                f"A job cannot be started: {one_line(error)}. Fix the folder, or choose another --out."
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def state(self, job: Job) -> tuple[State, str] | None:
        running = job in self._started and not self._started[job].done()
        return (State.RUNNING, "") if running else None

    def last_output(self, job: Job) -> str:
        return last_line(self._started[job].paths.stderr) if job in self._started else ""


class Slurm:
    """Jobs of a Slurm cluster, an array for each submission. They outlive the sweep, and the next one finds them.

    A job that reaches its time limit or is preempted saves and is queued again.

    Args:
        out: the sweep's folder, on a file system that the nodes share.
        parallel: the number of jobs that run concurrently.
        parameters: of `submitit.SlurmExecutor`.

    Raises:
        UserError: Slurm does not respond.
    """

    stops, patience = False, 20.0

    def __init__(self, out: pathlib.Path, parallel: int, parameters: dict[str, Any]):
        self.own, self.parallel, self.parameters = out / OWN_FOLDER, parallel, parameters
        self._queue: dict[str, tuple[State, str]] = {}
        problem = self._update()
        if problem:
            raise UserError(f"--executor=slurm needs a Slurm that answers here: {problem}")

    def batches(self, waiting: list[Job], active: int) -> list[list[Job]]:
        return [waiting] if waiting else []

    def submit(self, jobs: list[Job], active: int) -> None:
        try:
            for job in jobs:
                job.prepare()
            with contextlib.redirect_stderr(io.StringIO()):  # repeats the error
                submitted = self._submit(jobs, max(1, self.parallel - active))
        except (RuntimeError, OSError, ValueError) as error:
            raise UserError(f"Slurm did not accept the jobs: {one_line(error)}") from error
        for job, known in zip(jobs, submitted, strict=True):
            files.write_json(job.job_dir / QUEUED_AS, {"id": known.job_id, "stderr": str(known.paths.stderr)})
            self._queue[known.job_id] = State.QUEUED, ""

    def _submit(self, jobs: list[Job], concurrent: int) -> list[submitit.Job]:
        executor = submitit.SlurmExecutor(_submission_folder(self.own), max_num_timeout=REQUEUES)
        executor.update_parameters(array_parallelism=concurrent, **self.parameters)
        with executor.batch():
            return [executor.submit(Train(job.command, job.job_dir.resolve(), linger=LINGER)) for job in jobs]

    def state(self, job: Job) -> tuple[State, str] | None:
        if time.monotonic() - self._updated > SQUEUE_EVERY:
            self._update()
        return self._queue.get(read_json(job.job_dir / QUEUED_AS).get("id", ""))

    def last_output(self, job: Job) -> str:
        return last_line(pathlib.Path(read_json(job.job_dir / QUEUED_AS).get("stderr", "")))

    def _update(self) -> str:
        """Updates the queue; if it cannot, keeps the old one and returns the reason."""
        self._updated = time.monotonic()
        # Not sacct, submitit's choice: it does not answer on clusters without accounting.
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
    """Makes a folder that only this user can access: its content is unpickled by the job."""
    own.mkdir(parents=True, exist_ok=True)
    return pathlib.Path(tempfile.mkdtemp(prefix="submitted_", dir=own))
