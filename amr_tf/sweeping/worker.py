"""Process of a job, which starts `python -m amr_tf.train` as a child process and forwards SIGTERM to the child.

python -m amr_tf.sweeping.worker JOB_DIR COMMAND...
"""

import contextlib
import datetime
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import filelock

from amr_tf.runtime import files

if TYPE_CHECKING:
    import submitit

LOCK, LOG, ERRORS, END, PROCESS = ".lock", "log.txt", "errors.txt", "end.json", "process.json"
INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGHUP)
# Signals that a cluster sends shortly before a job's time limit. The training blocks them, because they would kill it.
ANNOUNCEMENTS = (signal.SIGUSR1, signal.SIGUSR2)


class Train:
    """Callable that runs the training of one job. A cluster unpickles and calls this object on a node.

    The job is locked during the call, so that no two processes run a job concurrently. A second process waits for the
    lock and then resumes the run. SIGTERM is forwarded to the training, which saves a checkpoint and stops.

    Args:
        command: the training command.
        job_dir: folder of the job, for its lock, log and exit code.
        linger: seconds to wait after an interruption. A cluster queues a preempted job again at the end of the grace
            time, but only if the job's process still runs.
    """

    def __init__(self, command: list[str], job_dir: pathlib.Path, linger: float = 0.0):
        self.command, self.job_dir, self.linger = command, job_dir, linger
        self.process: subprocess.Popen | None = None
        self.stopped = False

    def __call__(self) -> int:
        """Trains, stores the exit code in end.json and returns it. Returns 143 if stopped before the training."""
        signal.signal(signal.SIGTERM, self._stop)
        lock = filelock.FileLock(self.job_dir / LOCK)
        code = INTERRUPTED[1]
        while not self.stopped:
            with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=1):
                code = self._train()
                break
        if code in INTERRUPTED:
            time.sleep(self.linger)
        return code

    def checkpoint(self) -> "submitit.helpers.DelayedSubmission":
        """Stops the training, which saves a checkpoint, and returns the same job, to be queued again.

        submitit calls this method at the job's time limit or when the job is preempted.
        """
        from submitit.helpers import DelayedSubmission

        self._stop()
        if self.process is not None:
            # This method runs in a signal handler, which may have interrupted `Popen.wait`. A second `Popen.wait` would
            # wait forever for the lock of the first one.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Train(self.command, self.job_dir, self.linger))

    def _stop(self, *_) -> None:
        self.stopped = True
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()

    def _train(self) -> int:
        (self.job_dir / END).unlink(missing_ok=True)
        files.write_json(self.job_dir / PROCESS, {"pid": os.getpid(), "host": socket.gethostname()})
        with open(self.job_dir / LOG, "ab", buffering=0) as log:
            now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
            log.write(f"\n# {now} on {socket.gethostname()}: {shlex.join(self.command)}\n".encode())
            begin = log.tell()
            before = signal.pthread_sigmask(signal.SIG_BLOCK, ANNOUNCEMENTS)
            unbuffered = os.environ | {"PYTHONUNBUFFERED": "1"}
            try:
                self.process = subprocess.Popen(  # noqa: S603 (this package's own command)
                    self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=unbuffered
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            if self.stopped:
                self._stop()
            code = self.process.wait()
        output = last_line(self.job_dir / LOG, begin)
        if code == -signal.SIGTERM:  # the training had not installed its signal handler yet
            code, output = INTERRUPTED[1], "interrupted before it began"
        files.write_json(self.job_dir / END, {"code": code, "said": output})
        return code


def last_line(file: pathlib.Path, begin: int = 0) -> str:
    """Returns the last non-empty line of a file after the byte `begin`, or "" if there is no such line."""
    try:
        with open(file, "rb") as log:
            log.seek(max(begin, file.stat().st_size - 10_000))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


if __name__ == "__main__":
    sys.exit(Train(sys.argv[2:], pathlib.Path(sys.argv[1]))())
