"""What the bars have come to so far: one JSON file that adds up over calls, and the table made of it."""

import dataclasses
import json
import pathlib
import signal
import types
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import rich.table

from amr_tf.runtime import files
from amr_tf.runtime.errors import one_line

KEPT_FAILURES = 20


class Outcome(NamedTuple):
    """What one trial came to, where it did not fail.

    Attributes:
        counts: numbers that are added up over all trials, by name.
        most: numbers of which the largest is kept.
        size: how many of what is asked for the trial was, such as 500 generated inputs.
    """

    counts: Mapping[str, int] = types.MappingProxyType({})
    most: Mapping[str, float] = types.MappingProxyType({})
    size: int = 1


class Bar(Protocol):
    """One of the bars. It is made with a folder of its own, which stays from call to call.

    Attributes:
        asked: how many trials there are.
    """

    asked: int

    def trial(self, number: int) -> Outcome:
        """The trial of that number, counted from 0.

        Raises:
            Exception: it failed.
            Skipped: it cannot be made here.
        """

    def close(self) -> None:
        """Ends what still runs."""


class Skipped(Exception):
    """A bar that this machine cannot try, and why."""


@dataclasses.dataclass
class Record:
    """How far a bar is."""

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

    def add(self, outcome: Outcome, seconds: float) -> None:
        self.done += outcome.size
        self.seconds += seconds
        for name, value in outcome.counts.items():
            self.counts[name] = self.counts.get(name, 0) + value
        for name, value in outcome.most.items():
            self.most[name] = max(self.most.get(name, value), value)

    def fail(self, error: Exception, seconds: float) -> None:
        self.failed += 1
        self.failures.append(f"trial {self.done}: {type(error).__name__}: {one_line(error, 600)}")
        del self.failures[KEPT_FAILURES:]
        self.add(Outcome(), seconds)


class Tally:
    """The records of all bars by name.

    Args:
        path: of the file. It is written after every trial, whole.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        kept = json.loads(path.read_bytes()) if path.exists() else {}
        self.records = {name: Record(**record) for name, record in kept.items()}

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(self.path, {name: dataclasses.asdict(one) for name, one in self.records.items()})

    def run(self, name: str, make: Callable[[], Bar], clock: Callable[[], float], until: float) -> Record:
        """Tries a bar from where it stands until it is complete or the clock is at `until`; returns its record.

        A trial that failed while the process was held (SIGSTOP and SIGCONT) is made again.
        """
        bar = make()
        record = self.records.setdefault(name, Record(bar.asked))
        record.asked, record.skipped = bar.asked, ""
        held = {}
        signal.signal(signal.SIGCONT, lambda number, frame: held.update(signal=number))
        try:
            while not record.complete and (begin := clock()) < until:
                try:
                    held.clear()
                    record.add(bar.trial(record.done), clock() - begin)
                except Skipped as skipped:
                    record.skipped = str(skipped)
                    break
                except Exception as error:
                    if held:  # whoever stopped this process stopped those that it waited for
                        continue
                    record.fail(error, clock() - begin)
                self.write()
        finally:
            bar.close()
            self.write()
        return record

    def table(self, bars: dict[str, tuple[int, str]]) -> rich.table.Table:
        """All bars, also those that were never tried.

        Args:
            bars: number and meaning by name.
        """
        table = rich.table.Table(
            "#", "bar", "asked", "done", "failed", "figure", "minutes", "passed", box=None
        )
        for name, (number, meaning) in bars.items():
            record = self.records.get(name)
            if record is None:
                table.add_row(str(number), f"{name}: {meaning}", "", "0", "", "", "", "not run")
                continue
            table.add_row(
                str(number), f"{name}: {meaning}", f"{record.asked:,}", f"{record.done:,}", str(record.failed),
                record.figure, f"{record.seconds / 60:.1f}", record.verdict,
            )  # fmt: skip
        return table
