"""Shared parts of the benchmarks: interleaved measurements, medians with spread, facts of the machine, tables, JSON.

Nothing here imports TensorFlow, so that a benchmark can refuse its command line first.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import rich.box
import rich.console
import rich.table

import amr_tf
from amr_tf.runtime import startup

BASE_WORK = 64 * 16**2  # batch x depth^2 of the default networks and batch


class Spread(NamedTuple):
    """The median of the repeats, the smallest and the largest of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        values = list(values)
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 1) -> str:
        """`12.3 (11.9-14.0)`."""
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f}-{self.most:,.{digits}f})"


def in_turn(contenders: dict[Any, Callable[[], float]], repeats: int) -> dict[Any, list[float]]:
    """Calls each contender once, then each again, `repeats` times: what slows the machine for a while hits them all.

    Returns:
        What each of them returned, repeat by repeat, so that ratios can be taken within a repeat.
    """
    results: dict[Any, list[float]] = {name: [] for name in contenders}
    for repeat in range(repeats):
        say(f"repeat {repeat + 1} of {repeats}")
        for name, contender in contenders.items():
            results[name].append(contender())
    return results


def ratio(values: list[float], others: list[float]) -> list[float]:
    """values / others, repeat by repeat."""
    return [a / b for a, b in zip(values, others, strict=True)]


def steps_for(work: float, steps: int, period: int) -> int:
    """Fewer steps where one does more work than the default networks' on their batch; whole periods, at least one.

    Args:
        work: batch x depth^2, to which the time of a step is about proportional.
        steps: for the default networks and batch.
        period: steps after which the mix of expensive and cheap ones repeats.
    """
    wanted = steps * min(1.0, BASE_WORK / work)
    return max(1, round(wanted / period)) * period


def whole_numbers(text: str) -> list[int]:
    """`2,4,8` on a command line."""
    return [positive(part) for part in text.split(",")]


def positive(text: str) -> int:
    """A whole number above 0 on a command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"takes whole numbers above 0. Received: {text}")
    return number


def new_file(text: str) -> pathlib.Path:
    """A file on a command line that can be written once everything is measured."""
    path = pathlib.Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"takes a file in a folder that exists. Received: {text}")
    return path


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark."""
    options = argparse.ArgumentParser(description=description, allow_abbrev=False)
    options.add_argument("--repeats", type=positive, default=5, help="measurements of each, in turn (5)")
    options.add_argument("--json", type=new_file, metavar="PATH", help="write every figure there")
    return options


def machine() -> dict[str, Any]:
    """Facts that the figures depend on besides the code."""
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    return {
        "cpu": _cpu_model(),
        "cores": startup.cores(),
        "threads_per_operation": os.environ.get(startup.THREADS, "TensorFlow's choice"),
        "versions": versions | {"python": platform.python_version(), "amr_tf": amr_tf.__version__},
        "load_before": os.getloadavg(),
    }


def _cpu_model() -> str:
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def say(line: str) -> None:
    """A line of progress, at once: the benchmarks take minutes."""
    print(line, flush=True)


def table(title: str, columns: list[str], rows: Iterable[list[str]]) -> None:
    """Prints a table; the first column is text, the others are numbers."""
    shown = rich.table.Table(title=title, title_justify="left", box=rich.box.SIMPLE)
    for number, column in enumerate(columns):
        shown.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        shown.add_row(*row)
    # As wide as it needs to be: a terminal wraps lines, but a table that is cut off is of no use.
    rich.console.Console(highlight=False, markup=False, width=200).print(shown)


def finish(report: dict[str, Any], path: pathlib.Path | None) -> None:
    """Adds the load that the machine is under by now and writes the report where a path is given."""
    facts = report["machine"]
    facts["load_after"] = os.getloadavg()
    load = " -> ".join(f"{facts[name][0]:.1f}" for name in ("load_before", "load_after"))
    say(f"{facts['cpu']}, {facts['cores']} cores, load {load}, TensorFlow {facts['versions']['tensorflow']}")
    if path:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
