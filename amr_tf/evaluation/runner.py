"""Runs an evaluation: computes and saves each metric of each run, prints a table, and draws the figures."""

import pathlib
from typing import Any

import rich.progress
import rich.table

from amr_tf import registry
from amr_tf.config import ConfigError
from amr_tf.evaluation import Request, figures, measures
from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime import errors, files
from amr_tf.runtime.console import Console
from amr_tf.runtime.errors import DataError, UserError
from amr_tf.runtime.interruption import Interruption

PROGRAM = "amr_tf.evaluate"
PIPE_WIDTH = 160  # width of the table in characters if the output is not a terminal
# Entries of a result that are saved in results.json but not shown in the table.
PROVENANCE = ("checkpoint", "step", "seed", "data", "seconds", "when")


def run(request: Request, interruption: Interruption) -> int:
    """Computes metrics and draws figures. Returns the exit code: 0, or 2 if any metric, run or figure failed.

    Raises:
        UserError: a run cannot be opened for the figures, one figure cannot show all runs, or a file cannot be written.
        Interrupted: a signal arrived. The results of finished metrics are saved and printed.
    """
    console = Console(PIPE_WIDTH)
    table, failed = rich.table.Table(box=None, pad_edge=False), 0
    results: dict[str, dict[str, Any]] = {}
    for column in ("run", "step", "metric", "score", "chance"):
        table.add_column(column, justify="left" if column in ("run", "metric") else "right", overflow="fold")
    table.add_column("more", overflow="fold", ratio=1)
    try:
        for folder in request.folders if request.metrics else ():
            try:
                failed += _measure(folder, request, console, table, results, interruption)
            except UserError as error:
                errors.report(PROGRAM, error)
                failed += 1
    finally:
        if table.row_count:
            console.print(table, soft_wrap=False)
        if results and request.results_file:
            _write(request.results_file, results)
            console.print(f"results: {request.results_file}")
    if request.figures:
        failed += _draw(request, console)
    return 2 if failed else 0


def _draw(request: Request, console: Console) -> int:
    """Draws the figures of all runs together. Returns the number of figures that do not apply to these runs."""
    failed = 0
    runs = [TrainedRun(folder, request.checkpoint, request.places) for folder in request.folders]
    figures.check(runs)
    for name in request.figures:
        try:
            paths = figures.draw(name, runs, request)
        except ConfigError as error:
            errors.report(PROGRAM, error)
            failed += 1
            continue
        for path in paths:
            console.print(f"figure: {path}")
    for trained in () if request.metrics or failed == len(request.figures) else runs:
        console.print(_chosen(trained))
    return failed


def _chosen(trained: TrainedRun) -> str:
    return f"checkpoint of {trained.path}: step {trained.step:,}, {trained.chosen}"


def _measure(
    folder: pathlib.Path,
    request: Request,
    console: Console,
    table: rich.table.Table,
    results: dict[str, dict[str, Any]],
    interruption: Interruption,
) -> int:
    """Computes and saves the metrics of one run. Returns the number of metrics that failed with a DataError."""
    failed = 0
    with _Bar(console) as bar:
        trained = TrainedRun(folder, request.checkpoint, request.places, bar.on_images)
        measures.check(trained.folder)  # checked first, because the metrics can take hours
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
                # The other lines explain how to prepare the data. They are omitted, because the data were prepared
                # before training, possibly on another machine.
                first, *more = str(error).splitlines()
                hint = " --data_dir or --raw_dir say where they are." if more else ""
                said = DataError(f"{name} of {folder}: {first}{hint}")
                errors.report(PROGRAM, said.with_traceback(error.__traceback__))
                failed += 1
                continue
            table.add_row(str(folder), str(trained.step), name, *_cells(found))
            results.setdefault(str(folder), {})[name] = found
            if measures.is_writable(trained.folder):
                measures.save(trained.folder, {name: found})
    if str(folder) in results:
        console.print(_chosen(trained))
    if str(folder) in results and not measures.is_writable(trained.folder):
        other = "" if request.results_file else "; --out=FILE.json keeps them"
        console.print(f"{folder} may only be read: the results are not added to its results.json{other}")
    return failed


def _write(path: pathlib.Path, results: dict[str, dict[str, Any]]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, results)
    except OSError as error:
        raise UserError(f"The results cannot be written: {error}. Choose another --out") from error


class _Bar(rich.progress.Progress):
    """Progress bar of the current metric, shown only on a terminal. It counts encoded and decoded images."""

    def __init__(self, console: Console):
        super().__init__(
            rich.progress.SpinnerColumn(), "{task.description}", rich.progress.BarColumn(), "{task.fields[rate]}",
            rich.progress.TimeElapsedColumn(), rich.progress.TimeRemainingColumn(), "left", console=console,
            transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self.metric = self.add_task("opening the run", total=None, rate="")

    def begin(self, description: str) -> None:
        self.reset(self.metric, description=description, total=0, rate="")

    def on_images(self, due: int, done: int) -> None:
        task = self.tasks[0]
        self.update(self.metric, total=(task.total or 0) + due, advance=done)
        if task.speed:
            self.update(self.metric, rate=f"{task.speed:,.0f} images/s")


def _cells(found: dict[str, Any]) -> tuple[str, str, str]:
    """Returns three cells of the table: the score, the chance level, and the other values of a result."""
    more = ", ".join(
        f"{name} {_text(value)}"
        for name, value in found.items()
        if name not in ("score", "chance", *PROVENANCE)
        and (name == "interval" or not isinstance(value, list | dict))
    )
    return _text(found.get("score", "")), _text(found.get("chance", "")), more


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
