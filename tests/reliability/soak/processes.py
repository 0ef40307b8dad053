"""Bars of real commands that are killed, terminated or started many times at once."""

import datetime
import pathlib
import re
import shutil
import signal
import sys
import time

import numpy as np
import psutil

from tests.reliability.faults import harness
from tests.reliability.faults.harness import (
    LONGER,
    POINTS,
    WHOLE,
    Run,
    assert_ends_like,
    assert_intact,
    newest,
)
from tests.reliability.faults.test_kills import kill_at_random, kill_in_a_save
from tests.reliability.faults.test_lock import assert_in_use
from tests.reliability.faults.test_signals import signal_twice
from tests.reliability.soak.tally import Bar, Outcome, Skipped

PER_RUN = 20  # interruptions of one run before its end is compared with that of the uninterrupted one


class Runs(Bar):
    """Runs that are started repeatedly and compared with an uninterrupted run of the same settings."""

    settings = LONGER

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.run_folder = folder / "run"
        self.started: list[Run] = []
        self._unbroken: harness.Outcome | None = None

    def launch(self, folder: pathlib.Path, settings: dict, prefix: tuple[str, ...] = ()) -> Run:
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        self.started.append(Run(folder, settings, logs, prefix))
        return self.started[-1]

    @property
    def unbroken(self) -> harness.Outcome:
        if self._unbroken is None:
            self._unbroken = self.launch(self.folder / "unbroken", self.settings | WHOLE).outcome()
        return self._unbroken

    def compare(self, number: int, count: int) -> dict[str, int]:
        """Lets the run end after every `count` interruptions, compares it and makes room for the next."""
        if (number + 1) % count:
            return {}
        assert_ends_like(self.launch(self.run_folder, self.settings), self.unbroken)
        shutil.rmtree(self.run_folder)
        shutil.rmtree(self.folder / "logs")
        return {"ends bit for bit the unbroken run's": 1}

    def close(self) -> None:
        for run in self.started:
            if run.process.poll() is None:
                run.kill()


class Kills(Runs):
    """Every second kill falls into a save."""

    asked = 200

    def trial(self, number: int) -> Outcome:
        rng, before = np.random.default_rng((1, number)), newest(self.run_folder)
        arguments = self.launch, self.run_folder, self.settings, rng
        if number % 2:
            kill_in_a_save(*arguments)
        else:
            kill_at_random(*arguments, while_starting=number % PER_RUN == 10)
        assert_intact(self.run_folder / "checkpoints")
        assert newest(self.run_folder) >= before
        counts = {"in a save" if number % 2 else "at random": 1}
        return Outcome(counts | self.compare(number, PER_RUN))


class Signals(Runs):
    """SIGTERM at a random time after the first step, and again while the run saves."""

    asked = 50

    def trial(self, number: int) -> Outcome:
        rng = np.random.default_rng((5, number))
        seconds = signal_twice(self.launch(self.run_folder, self.settings), signal.SIGTERM, rng)
        assert seconds < 30, f"saved and left, after {seconds:.0f} s"
        counts = {"saved and left": 1} | self.compare(number, PER_RUN // 2)
        return Outcome(counts, {"seconds to leave": seconds})


class Lock(Runs):
    """One process uses the folder, 19 are refused; after it is killed, one of 4 simultaneous starts works."""

    asked = 20
    settings = POINTS | {"epochs": 200}

    def trial(self, number: int) -> Outcome:
        shutil.rmtree(self.run_folder, ignore_errors=True)
        holder = self.launch(self.run_folder, self.settings)
        assert holder.wait_for((self.run_folder / ".process.json").exists)
        begin = time.monotonic()
        late = [self.launch(self.run_folder, self.settings) for _ in range(self.asked - 1)]
        for run in late:
            assert_in_use(run, holder)
        seconds = time.monotonic() - begin
        holder.kill()
        racing = [self.launch(self.run_folder, self.settings) for _ in range(4)]
        while sum(run.process.poll() is None for run in racing) > 1:
            time.sleep(0.1)
        (winner,) = [run for run in racing if run.process.poll() is None]
        winner.before = 0  # it may resume from a checkpoint of the holder
        assert winner.wait_for(lambda: winner.printed("run folder: "))
        for run in racing:
            if run is not winner:
                run.refused()
        winner.kill()
        figures = {f"seconds for all {len(late)} to leave": seconds}
        return Outcome({"refused": len(late) + 3, "ran": 2}, figures, size=self.asked)


class Clock(Runs):
    """The system clock jumps between two starts of a run or during training: saves and results are the same."""

    jumps = tuple(datetime.timedelta(days=sign * days) for days in (1, 3653) for sign in (1, -1))
    asked = 2 * len(jumps)
    library = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
    # A terminal, on which the time left is shown.
    terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"

    def trial(self, number: int) -> Outcome:
        if not self.library.exists():
            raise Skipped("no libfaketime here (Debian: apt install libfaketime)")
        while_it_trains, which = divmod(number, len(self.jumps))
        offset = self.folder / "offset"
        offset.write_text("+0")
        moved = f"{int(self.jumps[which].total_seconds()):+d}"
        prefix = (
            "env", f"LD_PRELOAD={self.library}", f"FAKETIME_TIMESTAMP_FILE={offset}", "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1", "COLUMNS=200", "TERM=xterm", sys.executable, "-c", self.terminal,
        )  # fmt: skip
        shutil.rmtree(self.run_folder, ignore_errors=True)
        run = self.launch(self.run_folder, self.settings, prefix)
        run.wait_for_steps(20)
        if while_it_trains:
            offset.write_text(moved)
            before = newest(run.folder)
            assert run.wait_for(lambda: newest(run.folder) > before + 20), "no save after the jump"
        else:
            for child in psutil.Process(run.process.pid).children(recursive=True):
                child.kill()
            run.process.wait()
            offset.write_text(moved)
            run = self.launch(self.run_folder, self.settings, prefix)
        assert_ends_like(run, self.unbroken)
        shown = re.findall(r"(\S+) .{0,9}left", run.out.read_text())
        assert shown
        assert not [text for text in shown if "-" in text.replace("-:--:--", "")], shown
        return Outcome({"while it trains" if while_it_trains else "between two starts": 1})
