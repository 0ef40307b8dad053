"""Real sweeps of short runs that a test kills, and their processes."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import psutil

from tests.reliability.faults.harness import POINTS, ROOT

TIMEOUT = 240.0
RECIPES = {"one": {}, "two": {"lambda": 5}, "three": {"k": 3, "epochs": 6}}
JOBS = [f"{name}/s{seed}" for seed in (1, 2) for name in RECIPES]


def write_presets(folder: pathlib.Path) -> pathlib.Path:
    """Three recipes for runs of some seconds."""
    folder.mkdir()
    for name, own in RECIPES.items():
        settings = POINTS | {"epochs": 1} | own
        (folder / f"{name}.flags").write_text("".join(f"--{flag}={v}\n" for flag, v in settings.items()))
    return folder


class Sweep:
    """A process of `python -m amr_tf.sweep`, two jobs at a time."""

    def __init__(self, out: pathlib.Path, *words: str):
        self.out = out
        self.printed = out.parent / f"printed_{time.monotonic_ns()}.txt"
        with open(self.printed, "wb") as printed:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "amr_tf.sweep", *words, f"--out={out}", "--parallel=2"],
                stdout=printed, stderr=printed, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )  # fmt: skip

    @property
    def lines(self) -> list[str]:
        """The lines that it printed, with single blanks."""
        return [" ".join(line.split()) for line in self.printed.read_text().splitlines()]

    def wait_for(self, condition, pause: float = 0.05) -> None:
        limit = time.monotonic() + TIMEOUT
        while not condition():
            assert self.process.poll() is None, f"ended before: {self.printed.read_text()}"
            assert time.monotonic() < limit, f"waited for too long: {self.printed.read_text()}"
            time.sleep(pause)

    def end(self) -> int:
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        """kill -9 of the sweep alone."""
        self.process.kill()
        self.process.wait()


def starts(out: pathlib.Path, jobs: list[str] = JOBS) -> dict[str, int]:
    """Counts the starts of each job's training, by its log."""
    logs = {job: out / ".sweep" / job.replace("/", "_") / "log.txt" for job in jobs}
    return {job: log.read_text().count("\n# 2") for job, log in logs.items() if log.exists()}


def processes_of(out: pathlib.Path) -> list[psutil.Process]:
    """Returns the processes whose command names the folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(out) in word for word in process.cmdline()):
                found.append(process)
    return found


def end_all(out: pathlib.Path) -> None:
    for process in processes_of(out):
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
