"""The driver of the bars: counts add up over calls, whatever ends a call, and failures stay visible."""

import io
import itertools

import pytest
import rich.console

from tests.reliability.faults.harness import ROOT
from tests.reliability.soak import tally
from tests.reliability.soak.__main__ import BARS, bar_class
from tests.reliability.soak.tally import Outcome, Skipped, Tally

FOREVER = 1e9


class Bar:
    """Five trials, of which the test may make one fail."""

    asked = 5

    def __init__(self, at: int | None = None, what: Exception | None = None):
        self.at, self.what, self.tried, self.closed = at, what, [], False

    def trial(self, number: int) -> Outcome:
        self.tried.append(number)
        if number == self.at:
            self.at = None
            raise self.what
        return Outcome({"tried": 1}, {"largest": number})

    def close(self) -> None:
        self.closed = True


def run(path, bar, until=FOREVER, clock=None):
    return Tally(path).run("bar", lambda: bar, clock or itertools.count().__next__, until)


def test_counts_add_up_over_calls(tmp_path):
    """Broken off by time, then by Ctrl-C, then whole; every number is tried once."""
    path, bars = tmp_path / "tally.json", [Bar(), Bar(3, KeyboardInterrupt()), Bar()]
    assert not run(path, bars[0], until=4).complete
    with pytest.raises(KeyboardInterrupt):
        run(path, bars[1])
    record = run(path, bars[2])
    assert record.complete
    assert [number for bar in bars for number in bar.tried] == [0, 1, 2, 3, 3, 4]
    assert all(bar.closed for bar in bars)
    assert (record.counts, record.most, record.verdict) == ({"tried": 5}, {"largest": 4}, "yes")
    assert run(path, bar := Bar()).done == 5
    assert bar.tried == []


def test_failed_and_skipped_bars_are_not_passed(tmp_path):
    record = run(tmp_path / "a.json", Bar(2, AssertionError("not so")))
    assert (record.done, record.failed, record.verdict) == (5, 1, "no")
    assert record.failures == ["trial 2: AssertionError: not so"]
    assert Tally(tmp_path / "a.json").records["bar"] == record
    record = run(tmp_path / "b.json", Bar(0, Skipped("no such tool")))
    assert (record.done, record.verdict) == (0, "skipped: no such tool")


def test_the_table_shows_every_bar(tmp_path):
    run(tmp_path / "tally.json", Bar())
    console = rich.console.Console(file=io.StringIO(), width=200)
    console.print(Tally(tmp_path / "tally.json").table({"bar": "claim", "other": "never tried"}))
    lines = console.file.getvalue().splitlines()
    assert [word for word in lines[1].split() if word in ("5", "yes")] == ["5", "5", "5", "yes"]
    assert lines[2].split()[-2:] == ["not", "run"]


@pytest.mark.parametrize("name", BARS)
def test_bar_names_a_class_or_tests(name):
    made = bar_class(name)
    assert (
        (ROOT / made.keywords["path"]).exists()
        if BARS[name][1].startswith("tests/")
        else issubclass(made, tally.Bar)
    )
