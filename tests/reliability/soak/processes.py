"""Bars about runs and exports that are killed, told to end, or started many times at once: real commands."""

import contextlib
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import numpy as np

from amr_tf.runs.checkpoints import damage
from tests.reliability.faults import harness, test_signals
from tests.reliability.faults.harness import (
    LONGER,
    POINTS,
    ROOT,
    Run,
    assert_ends_like,
    assert_one_line,
    newest,
    outcome,
    saved_steps,
)
from tests.reliability.faults.test_kills import kill_at_random, kill_in_a_save
from tests.reliability.soak.tally import Outcome
from tests.reliability.soak.warm import WarmRun
from tests.serving.test_export_in_use import Poller, export_command

PER_RUN = 20  # interruptions of one run, before its end is compared with that of the unbroken one


class Runs:
    """Runs in a folder that are started often and compared with one that never was interrupted."""

    def __init__(self, folder: pathlib.Path, settings: dict = LONGER):
        self.folder, self.run_folder, self.settings = folder, folder / "run", settings
        self.started: list[Run] = []
        self.kind: type[Run] = Run
        self._unbroken: harness.Outcome | None = None

    def launch(self, folder: pathlib.Path, settings: dict, prefix: tuple[str, ...] = ()) -> Run:
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        self.started.append(self.kind(folder, settings, logs, prefix))
        return self.started[-1]

    def choose(self, number: int) -> str:
        """Every fifth trial begins with a real start; what kind this one does."""
        self.kind = WarmRun if number % 5 else Run
        return "starts forked" if number % 5 else "real starts"

    @property
    def unbroken(self) -> harness.Outcome:
        folder = self.folder / "unbroken"
        if self._unbroken is None:
            done = self.launch(folder, self.settings | {"steps_per_execution": 0}).end()
            assert (done.code, done.err) == (0, ""), done
            self._unbroken = outcome(folder)
        return self._unbroken

    def compare(self) -> None:
        """Lets the interrupted run end, compares it and makes room for the next."""
        assert_ends_like(self.launch(self.run_folder, self.settings), self.unbroken)
        shutil.rmtree(self.run_folder)
        shutil.rmtree(self.folder / "logs")

    def close(self) -> None:
        for run in self.started:
            if run.process.poll() is None:
                run.process.kill()
                run.process.wait()


class Kills(Runs):
    """Every second kill falls into a save."""

    asked = 200

    def trial(self, number: int) -> Outcome:
        rng, before, kind = np.random.default_rng((1, number)), newest(self.run_folder), self.choose(number)
        if number % 2:
            kill_in_a_save(self.launch, self.run_folder, self.settings, rng)
        else:
            kill_at_random(
                self.launch, self.run_folder, self.settings, rng, while_starting=number % PER_RUN == 10
            )
        kept = [
            self.run_folder / "checkpoints" / f"step_{step:010d}" for step in saved_steps(self.run_folder)
        ]
        assert [damage(path) for path in kept] == [""] * len(kept)
        assert newest(self.run_folder) >= before
        counts = {"in a save" if number % 2 else "at random": 1, kind: 1}
        if number % PER_RUN == PER_RUN - 1:
            self.compare()
            counts["ends bit for bit the unbroken run's"] = 1
        return Outcome(counts)


class Signals(Runs):
    """SIGTERM at a random time after the first step, another while it saves."""

    asked = 50

    def trial(self, number: int) -> Outcome:
        rng, kind = np.random.default_rng((5, number)), self.choose(number)
        run = self.launch(self.run_folder, self.settings)
        run.wait_for_steps(1)
        time.sleep(rng.uniform(0, 0.3))
        begin = time.monotonic()
        run.process.send_signal(signal.SIGTERM)
        time.sleep(rng.uniform(0, 0.2))
        with contextlib.suppress(ProcessLookupError):
            run.process.send_signal(signal.SIGTERM)
        run.process.wait(300)
        seconds = time.monotonic() - begin
        code, _, err = run.end()
        assert code == test_signals.EXIT_CODES[signal.SIGTERM], (code, err)
        assert_one_line(err)
        said = re.search(r"Interrupted by SIGTERM at step (\d+) of \d+, which is saved", err)
        assert int(said[1]) == newest(run.folder), (err, newest(run.folder))
        assert seconds < 30, f"saved and left, after {seconds:.0f} s"
        counts = {"saved and left": 1, kind: 1}
        if number % PER_RUN == PER_RUN // 2 - 1:
            self.compare()
            counts["ends bit for bit the unbroken run's"] = 1
        return Outcome(counts, {"seconds to leave": seconds})


class Lock(Runs):
    """One holds the folder, 19 come at once; then it is killed, and of 4 that come at once again one works."""

    asked = 20

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder, POINTS | {"epochs": 200})

    def trial(self, number: int) -> Outcome:
        shutil.rmtree(self.run_folder, ignore_errors=True)
        holder = self.launch(self.run_folder, self.settings)
        assert holder.wait_for((self.run_folder / ".process.json").exists)
        begin = time.monotonic()
        late = [self.launch(self.run_folder, self.settings) for _ in range(self.asked - 1)]
        ends = [run.end() for run in late]
        seconds = time.monotonic() - begin
        for code, out, err in ends:
            assert (code, out) == (2, ""), (code, out, err)
            assert_one_line(err)
            assert f"is in use by process {holder.process.pid} on {socket.gethostname()} since " in err
        assert holder.process.poll() is None
        holder.process.kill()
        holder.process.wait()
        racing = [self.launch(self.run_folder, self.settings) for _ in range(4)]
        while sum(run.process.poll() is None for run in racing) > 1:
            time.sleep(0.1)
        (winner,) = [run for run in racing if run.process.poll() is None]
        winner.before = 0  # it may go on from what the holder saved
        assert winner.wait_for(lambda: winner.printed("run folder: "))
        for run in racing:
            if run is not winner:
                code, _, err = run.end()
                assert code == 2, err
                assert_one_line(err)
        winner.process.kill()
        winner.process.wait()
        figures = {f"seconds for all {len(late)} to leave": seconds}
        return Outcome({"refused": len(late) + 3, "ran": 2}, figures, size=self.asked)


class ExportKills(Runs):
    """Exports that are killed while they write, beside one who looks at the folder all the time."""

    asked = 20

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder, POINTS)
        self.export_dir = folder / "export"
        shutil.rmtree(self.export_dir, ignore_errors=True)
        self.export_dir.mkdir()
        self.poller: Poller | None = None

    def trial(self, number: int) -> Outcome:
        if self.poller is None:
            assert self.unbroken
            self.poller = Poller(self.export_dir)
            self.poller.start()
        rng, looks = np.random.default_rng((16, number)), self.poller.looks
        versions = {path.name for path in self.export_dir.glob("[0-9]*")}
        process = subprocess.Popen(
            export_command(self.folder / "unbroken", self.export_dir), cwd=ROOT, stdout=subprocess.DEVNULL
        )
        try:
            while not list(self.export_dir.glob(".*.tmp")):
                assert process.poll() is None
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 1.2))
        finally:
            process.kill()
            process.wait()
        whole = {path.name for path in self.export_dir.glob("[0-9]*")} - versions
        assert self.poller.broken == []
        if number == self.asked - 1:
            done = subprocess.run(
                export_command(self.folder / "unbroken", self.export_dir), cwd=ROOT, check=True
            )
            assert done.returncode == 0
            assert not list(self.export_dir.glob(".*.tmp"))
        kind = "whole when it came" if whole else "in the middle"
        return Outcome({kind: 1, "looks": self.poller.looks - looks})

    def close(self) -> None:
        super().close()
        if self.poller:
            self.poller.ended.set()
            self.poller.join()
