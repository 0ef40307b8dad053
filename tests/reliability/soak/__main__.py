"""Reliability bars, tried for a given time: python -m tests.reliability.soak kills --minutes=10

Counts add up in build/soak/tally.json over calls: the same command resumes an interrupted bar. `table` shows the state
of all bars; without a name every bar that is not complete is tried.
"""

import argparse
import functools
import os
import pathlib
import pkgutil
import sys
import time
from collections.abc import Callable

import rich.console

from tests.reliability.faults.harness import ROOT
from tests.reliability.soak.suites import Suite
from tests.reliability.soak.tally import Bar, Tally

FOLDER = ROOT / "build" / "soak"
# Name: claim, and its class or the tests that are run.
BARS = {
    "kills": ("kill -9, half of them while saving; ends as if unbroken", "processes.Kills"),
    "syscalls": ("kill -9 at each system call of a save", "saves.KilledSaves"),
    "io_errors": ("ENOSPC, EIO, EACCES at each of them", "saves.FailedSaves"),
    "signals": ("SIGTERM at random times: saved, no step lost", "processes.Signals"),
    "disk": ("a disk full under each of the writers", "tests/reliability/faults/test_disk.py"),
    "permissions": (
        "what may not be read or written is refused",
        "tests/reliability/faults/test_permissions.py",
    ),
    "lock": ("20 starts on one run folder: one runs", "processes.Lock"),
    "clock": ("the clock moved by a day and 10 years", "processes.Clock"),
    "endurance": ("20,000 steps: memory, descriptors, threads, retraces", "long_runs.Endurance"),
    "parsers": (
        "generated results and manifests, mutated files",
        "tests/reliability/attacks/test_generated_files.py",
    ),
    "attacks": ("hostile archives, model files and names", "tests/reliability/attacks"),
    "offline": ("commands of every binary without a network", "offline.Offline"),
    "export_kills": (
        "kill -9 of exports: no incomplete version is seen",
        "tests/serving/test_export_in_use.py",
    ),
    "sweep": ("50 jobs, 10 killed, 5 failing", "sweeps.Sweeps"),
}


def bar_class(name: str) -> Callable[[pathlib.Path], Bar]:
    """Returns what makes the bar of a folder."""
    what = BARS[name][1]
    if what.startswith("tests/"):
        return functools.partial(Suite, path=what)
    return pkgutil.resolve_name(f"tests.reliability.soak.{what}")


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.reliability.soak", description=__doc__)
    parser.add_argument("bar", nargs="?", choices=[*BARS, "table"], help="one bar, or the table of all")
    parser.add_argument("--minutes", type=float, default=45.0, help="time after which no trial begins")
    parser.add_argument("--again", action="store_true", help="forget the earlier results of the bar")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tally = Tally(FOLDER / "tally.json")
    console = rich.console.Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    names = [] if options.bar == "table" else [options.bar] if options.bar else list(BARS)
    until = time.monotonic() + 60 * options.minutes
    try:
        for name in names:
            if options.again:
                tally.records.pop(name, None)
            if name in tally.records and tally.records[name].complete:
                continue
            (FOLDER / name).mkdir(parents=True, exist_ok=True)
            make = bar_class(name)
            record = tally.run(name, lambda make=make, name=name: make(FOLDER / name), time.monotonic, until)
            for failure in record.failures:
                console.print(f"{name}, {failure}", markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        console.print("interrupted; the same command resumes")
    console.print(tally.table({name: claim for name, (claim, _) in BARS.items()}))
    return 1 if any(record.failed for record in tally.records.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
