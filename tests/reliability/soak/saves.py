"""Bars of single saves: killed or refused by the system at each system call."""

import collections
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from typing import NamedTuple

from amr_tf.runs.folder import LEFTOVERS
from tests.reliability.faults.harness import ROOT, assert_intact
from tests.reliability.soak.tally import Bar, Outcome, Skipped
from tests.reliability.soak.victim import REFUSED, SAVED
from tests.runs import test_checkpoints as known

CALLS = "openat,write,pwrite64,rename,renameat,renameat2,mkdir,mkdirat,fsync,unlink,unlinkat,rmdir"
ERRORS = {
    "ENOSPC": "No space left on device",
    "EIO": "Input/output error",
    "EACCES": "Permission denied",
}
KILLED = str(-signal.SIGKILL)


class Point(NamedTuple):
    """One system call of a save."""

    call: str
    count: int  # of this call, from 1
    shown: str  # by strace


class Victim:
    """A running process that saves checkpoints on request, with one thread.

    Args:
        folder: for the checkpoints; what lies there is deleted.
    """

    def __init__(self, folder: pathlib.Path):
        if not shutil.which("strace"):
            raise Skipped("no strace here (Debian: apt install strace)")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self.log, self.step = folder, folder.with_suffix(".strace"), 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.soak.victim", str(folder)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {"TF_NUM_INTEROP_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"},
        )  # fmt: skip
        self.traced_process = self.process.pid
        assert self.process.stdout.readline() == "ready\n"
        for _ in range(4):  # from the fourth on a save deletes the oldest
            assert self.save() == SAVED
        self.points = self._rehearse()

    def save(self) -> str:
        """Saves the next step; what came of it: of a child that was killed, its exit code."""
        self.step += 1
        return self._ask(str(self.step))

    def fork(self) -> None:
        """From now on a child saves, until it is killed."""
        self.traced_process = int(self._ask("fork"))

    def _ask(self, words: str) -> str:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{words}\n")
            self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    @contextlib.contextmanager
    def traced(self, *words: str):
        """Lets strace watch meanwhile; what it saw is in `log`."""
        command = ["strace", "-y", "-o", str(self.log), "-p", str(self.traced_process), *words]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            said = tracer.stderr.readline()
            if " attached" not in said:
                raise Skipped(f"strace may not attach here: {said.strip()}")
            yield
        finally:
            tracer.terminate()
            tracer.communicate()

    def _rehearse(self) -> list[Point]:
        """The calls of a save that concern the folder, in their order."""
        with self.traced("-f", f"--trace={CALLS}"):
            assert self.save() == SAVED
        counts: collections.Counter[str] = collections.Counter()
        points = []
        for line in self.log.read_text().splitlines():
            thread, _, shown = line.partition(" ")
            call = shown.strip().partition("(")[0]
            counts[call] += 1
            if str(self.folder) in line:
                assert int(thread) == self.process.pid, "strace counts the calls of each thread apart"
                points.append(Point(call, counts[call], shown.strip()))
        return points

    def meet(self, point: Point, what: str) -> str:
        """Saves with `what`, such as `error=EIO`, happening at a point; what came of it."""
        with self.traced(f"--trace={point.call}", f"--inject={point.call}:{what}:when={point.count}"):
            answer = self.save()
        calls = [line for line in self.log.read_text().splitlines() if line.startswith(f"{point.call}(")]
        met = calls[point.count - 1]
        assert str(self.folder) in met, f"not met: {point}: {met}"
        assert answer == KILLED or "(INJECTED)" in met, f"not met: {point}: {met}"
        return answer

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class _Saves(Bar):
    """A victim, and a model of the driver's own to restore what the victim leaves."""

    per_point = 1

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.model = known.build()
        self.victim = Victim(folder / "checkpoints")
        self.asked = len(self.victim.points) * self.per_point

    def assert_restores(self, *steps: int) -> int:
        """Asserts that all checkpoints are intact and the newest restores as one of `steps`; returns its step."""
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.victim.folder, copy)
        assert_intact(copy)
        step, said = known.restored(copy, self.model)
        assert said == []
        assert step in steps, (step, steps)
        return step

    def close(self) -> None:
        self.victim.close()


class KilledSaves(_Saves):
    """kill -9 at the entry of each call: the checkpoint is there whole, or the one before is the newest."""

    def trial(self, number: int) -> Outcome:
        self.victim.fork()
        before = self.victim.step
        assert self.victim.meet(self.victim.points[number], "signal=KILL") == KILLED
        step = self.assert_restores(before, before + 1)
        for left in self.victim.folder.glob(LEFTOVERS):  # as the next start of a run does it
            shutil.rmtree(left)
        assert self.victim.save() == SAVED
        return Outcome({"as before" if step == before else "whole": 1})


class FailedSaves(_Saves):
    """Each call fails with each error: whoever says "saved" has saved, else one line with the path and the cause."""

    per_point = len(ERRORS)

    def trial(self, number: int) -> Outcome:
        at, which = divmod(number, len(ERRORS))
        before, point = self.victim.step, self.victim.points[at]
        name, cause = list(ERRORS.items())[which]
        answer = self.victim.meet(point, f"error={name}")
        try:
            if answer == SAVED:
                self.assert_restores(before + 1)
                return Outcome({"saved all the same": 1})
            assert answer.startswith(REFUSED), answer
            assert cause in answer, (point, answer)
            assert str(self.victim.folder) in answer, (point, answer)
            self.assert_restores(before, before + 1)
            return Outcome({"refused in one line": 1})
        finally:
            # The next trial begins with a checkpoint of the step before it.
            assert self.victim.save() == SAVED
