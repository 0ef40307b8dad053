"""Results of the bars so far: one JSON file that adds up over calls, and the table made from it."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import rich.table

from amr_tf.runtime import files
from amr_tf.runtime.errors import one_line

KEPT_FAILURES = 20


class Outcome(NamedTuple):
    """The result of a trial that did not fail.

    Attributes:
        counts: numbers that are added up over all trials, by name.
        most: numbers of which the largest is kept.
        size: share of the bar that the trial covers, such as 500 generated inputs.
    """

    counts: Mapping[str, int] = {}
    most: Mapping[str, float] = {}
    size: int = 1


class Skipped(Exception):
    """This machine cannot try the bar; the message gives the reason."""


class Bar:
    """A claim about reliability that is tried repeatedly.

    Attributes:
        asked: number of trials.
        folder: files of the bar, which stay from call to call.
    """

    asked: int

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def trial(self, number: int) -> Outcome:
        """Makes the trial with that number, counted from 0.

        Raises:
            Exception: the trial failed.
            Skipped: this machine cannot try the bar.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Ends the processes of the bar."""


@dataclasses.dataclass
class Record:
    """The progress of a bar."""

    asked: int
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    skipped: str = ""
    failures: list[str] = dataclasses.field(default_factory=list)
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    most: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return self.done >= self.asked

    @property
    def verdict(self) -> str:
        if self.failed:
            return "no"
        return "yes" if self.complete else f"skipped: {self.skipped}" if self.skipped else "so far"

    @property
    def figure(self) -> str:
        """The numbers, such as "120 restored; seconds <= 3.1"."""
        counts = [f"{value:,} {name}" for name, value in self.counts.items()]
        return "; ".join(counts + [f"{name} <= {value:.3g}" for name, value in self.most.items()])

    def add(self, outcome: Outcome) -> None:
        self.done += outcome.size
        for name, value in outcome.counts.items():
            self.counts[name] = self.counts.get(name, 0) + value
        for name, value in outcome.most.items():
            self.most[name] = max(self.most.get(name, value), value)

    def fail(self, error: Exception) -> None:
        self.failed += 1
        self.failures.append(f"trial {self.done}: {type(error).__name__}: {one_line(error, 600)}")
        del self.failures[KEPT_FAILURES:]
        self.add(Outcome())


class Tally:
    """The records of all bars by name.

    Args:
        path: the JSON file, written after every trial.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        kept = json.loads(path.read_bytes()) if path.exists() else {}
        self.records = {name: Record(**record) for name, record in kept.items()}

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(self.path, {name: dataclasses.asdict(one) for name, one in self.records.items()})

    def run(self, name: str, make: Callable[[], Bar], clock: Callable[[], float], until: float) -> Record:
        """Resumes a bar until it is complete or the clock is at `until`; returns its record."""
        bar = make()
        record = self.records.setdefault(name, Record(bar.asked))
        record.asked, record.skipped = bar.asked, ""
        try:
            while not record.complete and (begin := clock()) < until:
                try:
                    record.add(bar.trial(record.done))
                except Skipped as skipped:
                    record.skipped = str(skipped)
                    break
                except Exception as error:
                    record.fail(error)
                record.seconds += clock() - begin
                self.write()
        finally:
            bar.close()
            self.write()
        return record

    def table(self, bars: Mapping[str, str]) -> rich.table.Table:
        """All bars with their claim, including those that were never tried."""
        table = rich.table.Table("bar", "asked", "done", "failed", "figure", "minutes", "passed", box=None)
        for name, claim in bars.items():
            cells = ["", "0", "", "", "", "not run"]
            if record := self.records.get(name):
                cells = [f"{record.asked:,}", f"{record.done:,}", str(record.failed), record.figure]
                cells += [f"{record.seconds / 60:.1f}", record.verdict]
            table.add_row(f"{name}: {claim}", *cells)
        return table
