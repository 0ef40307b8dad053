"""What an executor runs for each job: `python -m amr_tf.train`, and who hears of which signal."""

import contextlib
import datetime
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import time

import filelock
import submitit

from amr_tf.runtime import files

LOCK, LOG, END, PROCESS = ".lock", "log.txt", "end.json", "process.json"
INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGHUP)
# By which a cluster announces the end of a job's time. The training does not know them and would die of them.
ANNOUNCEMENTS = (signal.SIGUSR1, signal.SIGUSR2)


class Train:
    """One job. It is pickled, travels to where it runs, and is called there.

    It holds the job's lock while it lives, so that a job is never run twice at a time: a second one waits, and then
    finds the run as the first one left it. SIGTERM is handed on to the training, which saves and leaves.

    Args:
        command: the words of the training command.
        place: the job's own folder, for its lock, its log and its end.
        environment: variables that the executor sets otherwise than they were; None: not set.
        linger: seconds to stay when it was stopped and all is saved. A cluster that stops a job to make room queues it
            again when the time it gave is over, but only if the job has not left before.
    """

    def __init__(
        self,
        command: list[str],
        place: pathlib.Path,
        environment: dict[str, str | None] | None = None,
        linger: float = 0.0,
    ):
        self.command, self.place, self.environment = command, place, environment or {}
        self.linger = linger
        self.process: subprocess.Popen | None = None
        self.stopped = False

    def __call__(self) -> int:
        """Trains, writes down how that ended and returns the exit code; 143 where it was stopped before."""
        signal.signal(signal.SIGTERM, self._stop)
        lock = filelock.FileLock(self.place / LOCK)
        code = INTERRUPTED[1]
        while not self.stopped:
            with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=1):
                code = self._train()
                break
        if code in INTERRUPTED:
            time.sleep(self.linger)
        return code

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Called by submitit when the job's time is up or it must make room: the same once more, when all is saved."""
        self._stop()
        if self.process is not None:
            # `Popen.wait` may be what this interrupted, and would wait for itself.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        return submitit.helpers.DelayedSubmission(
            Train(self.command, self.place, self.environment, self.linger)
        )

    def _stop(self, *_) -> None:
        self.stopped = True
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()

    def _train(self) -> int:
        (self.place / END).unlink(missing_ok=True)
        files.write_json(self.place / PROCESS, {"pid": os.getpid(), "host": socket.gethostname()})
        with open(self.place / LOG, "ab", buffering=0) as log:
            now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
            log.write(f"\n# {now} on {socket.gethostname()}: {shlex.join(self.command)}\n".encode())
            begin = log.tell()
            before = signal.pthread_sigmask(signal.SIG_BLOCK, ANNOUNCEMENTS)
            try:
                self.process = subprocess.Popen(  # noqa: S603 (the words are ours)
                    self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment()
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            if self.stopped:
                self._stop()
            code = self.process.wait()
        said = last_line(self.place / LOG, begin)
        if code == -signal.SIGTERM:  # it came before Python was ready for it
            code, said = INTERRUPTED[1], "interrupted before it began"
        files.write_json(self.place / END, {"code": code, "said": said})
        return code

    def _environment(self) -> dict[str, str]:
        changed = os.environ | {"PYTHONUNBUFFERED": "1"} | self.environment
        return {name: value for name, value in changed.items() if value is not None}


def last_line(file: pathlib.Path, begin: int = 0) -> str:
    """The last line of a file that is not empty, from the byte `begin` on; "" where there is none."""
    try:
        with open(file, "rb") as log:
            log.seek(max(begin, file.stat().st_size - 10_000))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
