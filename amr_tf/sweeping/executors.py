"""The executors of a sweep: processes of this machine, or a Slurm cluster."""

import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import submitit

from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError, one_line
from amr_tf.sweeping.jobs import OWN_FOLDER, QUEUED_AS, Job, State, read_json
from amr_tf.sweeping.worker import ERRORS, Train, last_line

REQUEUES = 10_000  # a run of many days may need many times its limit
LINGER = 600.0  # seconds: more than clusters give a job that is preempted
SQUEUE_EVERY = 5.0  # seconds: frequent queries slow the Slurm controller for all users


class Local:
    """Processes of this machine. They survive a sweep that is killed.

    Args:
        parallel: the number of jobs that run concurrently.

    Attributes:
        stops: true if the jobs end with the sweep.
        patience: seconds until a file that a job has written is visible here.
    """

    stops, patience = True, 0.0

    def __init__(self, parallel: int):
        self.parallel = parallel
        self._started: dict[Job, subprocess.Popen] = {}

    def batches(self, waiting: list[Job], active: int) -> list[list[Job]]:
        """Returns the waiting jobs to submit now, in groups to submit together."""
        return [[job] for job in waiting[: max(0, self.parallel - active)]]

    def submit(self, jobs: list[Job], active: int) -> None:
        """Starts or queues all of the jobs.

        Raises:
            UserError: they cannot be submitted.
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
                with open(job.job_dir / ERRORS, "wb") as errors:
                    # In a session without a terminal, which would send Ctrl-C and SIGHUP to the job, too.
                    self._started[job] = subprocess.Popen(  # noqa: S603 (this package's own command)
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=errors,
                        stderr=errors,
                        start_new_session=True,
                    )
            except OSError as error:
                raise UserError(
                    f"A job cannot be started: {one_line(error)}. Fix the folder, or choose another --out."
                ) from error

    def state(self, job: Job) -> tuple[State, str] | None:
        """Returns QUEUED or RUNNING and a note; None for a job that is unknown or has ended."""
        running = job in self._started and self._started[job].poll() is None
        return (State.RUNNING, "") if running else None

    def last_output(self, job: Job) -> str:
        """Returns the last line of standard error around the training, "" without one."""
        return last_line(job.job_dir / ERRORS)


class Slurm:
    """Jobs of a Slurm cluster, with the methods of `Local`. They outlive the sweep, and the next one finds them.

    Jobs that are submitted together are an array.

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
        self.own.mkdir(parents=True, exist_ok=True)
        # A folder that only this user can access: its content is unpickled by the job.
        folder = tempfile.mkdtemp(prefix="submitted_", dir=self.own)
        executor = submitit.SlurmExecutor(folder, max_num_timeout=REQUEUES)
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


Executor = Local | Slurm
