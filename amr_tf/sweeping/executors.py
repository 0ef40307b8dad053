"""Executors of a sweep. They start jobs as processes of this machine or on a Slurm cluster."""

import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError, one_line
from amr_tf.sweeping import worker
from amr_tf.sweeping.jobs import OWN_FOLDER, QUEUED_AS, Job, State, read_json

REQUEUES = 10_000  # a run of many days reaches the time limit of a job many times
LINGER = 600.0  # seconds, longer than the grace time of a preempted job on any cluster
SQUEUE_EVERY = 5.0  # seconds: frequent queries slow the Slurm controller for all users


class Local:
    """Executor that runs jobs as processes of this machine. The processes continue if the sweep is killed.

    Attributes:
        parallel: the largest number of jobs that run concurrently.
        queues: true if all waiting jobs are submitted at once and continue after the sweep has stopped.
        patience: seconds to wait for the files of an ended job. On a shared file system they appear with a delay.
    """

    queues, patience = False, 0.0

    def __init__(self, parallel: int):
        self.parallel = parallel
        self._started: dict[Job, subprocess.Popen] = {}

    def submit(self, jobs: list[Job], active: int) -> None:
        """Starts or queues the jobs. `active` is the number of other jobs that are running or queued.

        Raises:
            UserError: a job cannot be submitted.
        """
        for job in jobs:
            command = [
                sys.executable,
                "-m",
                "amr_tf.sweeping.worker",
                str(job.job_dir.resolve()),
                *job.command,
            ]
            try:
                job.prepare()
                with open(job.job_dir / worker.ERRORS, "wb") as errors:
                    # The job gets a new session, because a terminal would send Ctrl-C and SIGHUP to the job, too.
                    streams: dict[str, Any] = {
                        "stdin": subprocess.DEVNULL,
                        "stdout": errors,
                        "stderr": errors,
                    }
                    self._started[job] = subprocess.Popen(command, start_new_session=True, **streams)  # noqa: S603
            except OSError as error:
                raise UserError(
                    f"A job cannot be started: {one_line(error)}. Fix the folder, or choose another --out."
                ) from error

    def state(self, job: Job) -> tuple[State, str] | None:
        """Returns (QUEUED or RUNNING, a note), or None if the job is unknown or has ended."""
        running = job in self._started and self._started[job].poll() is None
        return (State.RUNNING, "") if running else None


class Slurm:
    """Executor that submits jobs to a Slurm cluster. It has the methods of `Local`.

    Jobs that are submitted together are one job array. The jobs continue after the sweep has stopped, and a restarted
    sweep finds its jobs again. At its time limit or when it is preempted, a job saves a checkpoint and is queued again.

    Args:
        out: folder of the sweep, on a file system that all nodes share.
        parallel: the largest number of jobs that run concurrently.
        parameters: arguments of `submitit.SlurmExecutor.update_parameters`.

    Raises:
        UserError: Slurm does not respond.
    """

    queues, patience = True, 20.0

    def __init__(self, out: pathlib.Path, parallel: int, parameters: dict[str, Any]):
        self.own, self.parallel, self.parameters = out / OWN_FOLDER, parallel, parameters
        self._queue: dict[str, tuple[State, str]] = {}
        problem = self._update()
        if problem:
            raise UserError(f"--executor=slurm needs a Slurm that answers here: {problem}")

    def submit(self, jobs: list[Job], active: int) -> None:
        import submitit  # an optional dependency

        try:
            for job in jobs:
                job.prepare()
            # `mkdtemp` makes a folder that only this user can access. The job unpickles the folder's content.
            executor = submitit.SlurmExecutor(
                tempfile.mkdtemp(prefix="submitted_", dir=self.own), max_num_timeout=REQUEUES
            )
            executor.update_parameters(array_parallelism=max(1, self.parallel - active), **self.parameters)
            with (
                contextlib.redirect_stderr(io.StringIO()),
                executor.batch(),
            ):  # submitit prints the error, too
                submitted = [
                    executor.submit(worker.Train(job.command, job.job_dir.resolve(), linger=LINGER))
                    for job in jobs
                ]
        except (RuntimeError, OSError, ValueError) as error:
            raise UserError(f"Slurm did not accept the jobs: {one_line(error)}") from error
        for job, known in zip(jobs, submitted, strict=True):
            files.write_json(job.job_dir / QUEUED_AS, {"id": known.job_id, "stderr": str(known.paths.stderr)})
            self._queue[known.job_id] = State.QUEUED, ""

    def state(self, job: Job) -> tuple[State, str] | None:
        if time.monotonic() - self._updated > SQUEUE_EVERY:
            self._update()
        return self._queue.get(read_json(job.job_dir / QUEUED_AS).get("id", ""))

    def _update(self) -> str:
        """Updates the queue and returns "". If squeue fails, keeps the old queue and returns the error."""
        self._updated = time.monotonic()
        # submitit uses sacct instead, which fails on clusters without accounting.
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


Executor = Local | Slurm
