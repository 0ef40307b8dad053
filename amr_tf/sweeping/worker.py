"""The process of a job: starts `python -m amr_tf.train` and forwards signals to it.

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
# Signals that a cluster sends shortly before a job's time limit; the training would die of them.
ANNOUNCEMENTS = (signal.SIGUSR1, signal.SIGUSR2)


class Train:
    """One job. On a cluster it is pickled, sent to a machine and called there.

    It locks the job while it lives, so that a job is never run twice concurrently: a second one waits, and then
    resumes the run. SIGTERM is forwarded to the training, which saves and stops.

    Args:
        command: the training command.
        job_dir: the job's own folder, for its lock, log and end.
        linger: seconds to stay alive after a stop. A cluster queues a preempted job again at the end of its grace time,
            but only if it is still alive.
    """

    def __init__(self, command: list[str], job_dir: pathlib.Path, linger: float = 0.0):
        self.command, self.job_dir, self.linger = command, job_dir, linger
        self.process: subprocess.Popen | None = None
        self.stopped = False

    def __call__(self) -> int:
        """Trains, records the end and returns the exit code; 143 if it was stopped before."""
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
        """Saves and returns the same job again; submitit calls it at the time limit or a preemption."""
        from submitit.helpers import DelayedSubmission

        self._stop()
        if self.process is not None:
            # Not `Popen.wait`, which this call may have interrupted and which would wait for itself.
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
        if code == -signal.SIGTERM:  # Python had not installed its handler yet
            code, output = INTERRUPTED[1], "interrupted before it began"
        files.write_json(self.job_dir / END, {"code": code, "said": output})
        return code


def last_line(file: pathlib.Path, begin: int = 0) -> str:
    """Returns the last non-empty line of a file after the byte `begin`, "" without one."""
    try:
        with open(file, "rb") as log:
            log.seek(max(begin, file.stat().st_size - 10_000))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


if __name__ == "__main__":
    sys.exit(Train(sys.argv[2:], pathlib.Path(sys.argv[1]))())
