"""Course of an evaluation: each metric of each run, saved as it is computed, then a table."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import rich.progress
import rich.table

from amr_tf import registry
from amr_tf.evaluation import figures, measures
from amr_tf.evaluation.request import Request
from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime import errors
from amr_tf.runtime.console import Console
from amr_tf.runtime.errors import DataError, UserError
from amr_tf.runtime.interruption import Interruption

PROGRAM = "amr_tf.evaluate"
PIPE_WIDTH = 160  # columns where the output is not a terminal
# Entries of a result that are in results.json only, not in the table.
PROVENANCE = ("checkpoint", "step", "seed", "data", "seconds", "when")


def run(request: Request, interruption: Interruption) -> int:
    """Measures and draws; returns the exit code, 2 where some metrics or runs failed.

    Args:
        request: metrics and figures of some runs.
        interruption: checked between two metrics.

    Raises:
        UserError: the figures cannot be drawn.
        Interrupted: by a signal; what was measured is saved, and its table printed.
    """
    console = Console(PIPE_WIDTH)
    table, failed = _new_table(), 0
    try:
        for folder in request.folders if request.metrics else ():
            try:
                failed += _measure(folder, request, console, table, interruption)
            except UserError as error:
                errors.report(PROGRAM, error)
                failed += 1
    finally:
        if table.row_count:
            console.print(table, soft_wrap=False)
    if request.figures:
        runs = [TrainedRun(folder, request.checkpoint, request.places) for folder in request.folders]
        for path in figures.draw(runs, request.figures, request.out, request.seed, request.animate):
            console.print(f"figure: {path}")
    return 2 if failed else 0


def _measure(
    folder: pathlib.Path,
    request: Request,
    console: Console,
    table: rich.table.Table,
    interruption: Interruption,
) -> int:
    """Computes the metrics of one run and saves each; returns how many failed because their data are missing."""
    failed = 0
    with _progress(console) as bar:
        trained = TrainedRun(folder, request.checkpoint, request.places, bar.on_images)
        with trained.folder.held():  # before hours of computing
            measures.check(trained.folder)
        for name in request.metrics:
            if interruption.signal:
                raise interruption.interrupted("between two metrics")
            try:
                if reason := registry.load(registry.METRICS, name).reason_not_applicable(trained):
                    console.print(f"{name} does not apply to {folder}: {reason}")
                    continue
                bar.begin(f"{folder.name}: {name}")
                found = measures.evaluate(trained, name, request.checkpoint, request.seed)
            except DataError as error:
                # Further lines say how to prepare the data, which happened on the machine that trained the run.
                first, *more = str(error).splitlines()
                hint = " --data_dir or --raw_dir say where they are." if more else ""
                said = DataError(f"{name} of {folder}: {first}{hint}")
                errors.report(PROGRAM, said.with_traceback(error.__traceback__))
                failed += 1
                continue
            table.add_row(str(folder), str(trained.step), name, *_cells(found))
            measures.save(trained.folder, {name: found})
    return failed


class _Bar:
    """Progress of the current metric: images coded and decoded, and their rate."""

    def __init__(self, progress: rich.progress.Progress):
        self.progress = progress
        self.task = progress.add_task("opening the run", total=None, rate="")

    def begin(self, description: str) -> None:
        self.progress.reset(self.task, description=description, total=0, rate="")

    def on_images(self, due: int, done: int) -> None:
        task = self.progress.tasks[0]
        self.progress.update(self.task, total=(task.total or 0) + due, advance=done)
        if task.speed:
            self.progress.update(self.task, rate=f"{task.speed:,.0f} images/s")


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[_Bar]:
    with rich.progress.Progress(
        rich.progress.SpinnerColumn(), "{task.description}", rich.progress.BarColumn(), "{task.fields[rate]}",
        rich.progress.TimeElapsedColumn(), rich.progress.TimeRemainingColumn(), "left", console=console,
        transient=True, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        yield _Bar(progress)


def _new_table() -> rich.table.Table:
    table = rich.table.Table(box=None, pad_edge=False)
    for column in ("run", "step", "metric", "score", "chance"):
        table.add_column(
            column, justify="right" if column in ("step", "score", "chance") else "left", overflow="fold"
        )
    table.add_column("more", overflow="fold", ratio=1)
    return table


def _cells(found: dict[str, Any]) -> tuple[str, str, str]:
    """Returns score, chance level, and the other numbers of a result."""
    more = {
        n: v
        for n, v in found.items()
        if n not in ("score", "chance", *PROVENANCE) and not isinstance(v, list | dict)
    }
    return (
        _text(found.get("score", "")),
        _text(found.get("chance", "")),
        ", ".join(f"{n} {_text(v)}" for n, v in more.items()),
    )


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
