"""Runs forked from the driver, which has TensorFlow imported and has not used it: most of a start is that import.

What such a run does not show is a signal during the import, and how Python itself leaves; real starts are among them.
"""

import io
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence

from tests.reliability.faults.harness import Run


class Forked:
    """What a test asks of `subprocess.Popen`, for a command `python -m MODULE WORDS...`."""

    def __init__(self, command: Sequence[str], stdout, stderr, cwd, env: dict[str, str]):
        self.args, self.returncode = command, None
        self.pid = os.fork()
        if not self.pid:
            self._become(command[2], command[3:], stdout, stderr, cwd, env)

    def _become(self, module: str, words: Sequence[str], stdout, stderr, cwd, env) -> None:
        code = 1
        try:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), line_buffering=True)
            sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), line_buffering=True)
            for number in (signal.SIGCONT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.chdir(cwd)
            os.environ.clear()
            os.environ.update(env)
            sys.argv = [module, *words]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = 600.0) -> int:
        limit = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > limit:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmRun(Run):
    """A run whose process is forked."""

    start = Forked
