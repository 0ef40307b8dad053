"""Execution of a sweep: trains unfinished runs, then computes metrics, draws figures and writes a report."""

import collections
import dataclasses
import pathlib
import shlex
import statistics
import subprocess
import sys
from typing import Any

from amr_tf import registry
from amr_tf.runs.best import ACCURACY, LAST, Criterion, Row, best_by, best_row
from amr_tf.runs.folder import read_rows
from amr_tf.runtime import files
from amr_tf.runtime.console import Console
from amr_tf.sweeping import executors, scheduler
from amr_tf.sweeping.jobs import Job, State

PIPE_WIDTH = 200  # columns of the output if it is not a terminal


@dataclasses.dataclass(frozen=True)
class Options:
    """Parsed command line of a sweep: the jobs, their executor, and the outputs computed from finished runs."""

    jobs: list[Job]
    out: pathlib.Path
    table: str | None
    figures: list[str]
    metrics: list[str]
    executor: str
    parallel: int
    slurm: dict[str, Any]


def run(options: Options) -> int:
    """Trains unfinished runs, reports on all runs and returns the exit code. Raises the errors of `Scheduler.run`."""
    console = Console(PIPE_WIDTH)
    executor: executors.Executor
    if options.executor == "slurm":
        executor = executors.Slurm(options.out, options.parallel, options.slurm)
    else:
        executor = executors.Local(options.parallel)
    console.print(
        f"{len(options.jobs)} jobs in {options.out}, {options.executor}, {options.parallel} at a time"
    )
    states = scheduler.Scheduler(options.jobs, executor, console).run()
    succeeded = True
    done = [job for job in options.jobs if states[job][0] is State.DONE]
    succeeded &= _evaluated(options, done)
    if any(job.folder.results.exists() for job in options.jobs):
        table = [f"--table={options.table}"] if options.table else []
        succeeded &= _command("report", files.as_word(options.out), f"--out={options.out}", *table)
    else:
        console.print("no report: no run has finished an epoch")
    if any(job.setting for job in options.jobs):
        console.print("", *comparison(states), sep="\n")
    console.print(f"\n{scheduler.summary(states)}")
    for job, (state, note) in states.items():
        if state is not State.DONE:
            log = shlex.quote(str(job.log))
            print(f"{job.name} {state}: {note} (its log: less {log})", file=sys.stderr)
            succeeded = False
    return 0 if succeeded else 2


def _evaluated(options: Options, done: list[Job]) -> bool:
    """Computes metrics of the finished runs and draws figures. Returns true if all commands succeeded.

    Figures of images show only the first finished seed of each preset and setting, to limit the number of rows.
    """
    first = list({(job.preset, job.setting): job for job in reversed(done)}.values())[::-1]
    points = [name for name in options.figures if registry.load(registry.FIGURES, name).points]
    images = [name for name in options.figures if name not in points]
    succeeded = True
    for flag, names, shown in (
        ("metrics", options.metrics, done),
        ("figures", points, done),
        ("figures", images, first),
    ):
        if names and shown:
            runs = [f"--run_dir={job.folder.path}" for job in shown]
            words = [f"--{flag}={','.join(names)}", f"--out={options.out}", "--checkpoint=last"]
            succeeded &= _command("evaluate", *runs, *words)
    return succeeded


def _command(name: str, *words: str) -> bool:
    """Runs another command of this package. Returns true if the command succeeded."""
    sys.stdout.flush()
    command = [sys.executable, "-m", f"amr_tf.{name}", *words]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603 (no word comes from a shell)


def comparison(states: scheduler.States) -> list[str]:
    """Returns the lines of a table of grid settings. The best setting of each preset is marked.

    Values are from the best epoch of each run and are averaged over the seeds. The best setting has the best VALIDATION
    result by the criterion that also selects the best epoch. No setting is marked if the settings have different
    criteria, different reconstruction losses or no validation results.
    """
    groups: dict[tuple[str, str], list[Job]] = collections.defaultdict(list)
    for job in states:
        groups[job.preset, job.setting].append(job)
    done = {
        group: _mean_of_best(number, jobs)
        for number, (group, jobs) in enumerate(groups.items())
        if all(states[job][0] is State.DONE for job in jobs)
    }
    width = max(len(" ".join(group)) for group in groups) + 2
    lines, unlike = [f"{'setting':<{width}}validation  test     runs"], dict[str, str]()
    for group, jobs in groups.items():
        mark, shown = "", f"{'not done':<21}"
        if group in done:
            rivals = [found for other, found in done.items() if other[0] == group[0]]
            (by, _), row = done[group]
            shown = f"{by.shown(row, 'val'):<12}{by.shown(row, 'test'):<9}"
            if len({scale for scale, _ in rivals}) > 1 or by is LAST:
                unlike[group[0]] = f"no best setting of {group[0]}: no number compares all of them"
            elif row is best_row([rival for _, rival in rivals], by):
                mark = f"  <- best by {by.name}"
        lines.append(f"{' '.join(group):<{width}}{shown}{jobs[0].folder.path.parent}{mark}")
    return [*lines, *unlike.values()]


def _mean_of_best(number: int, jobs: list[Job]) -> tuple[tuple[Criterion, str], Row]:
    """Returns ((criterion, name of the reconstruction loss), mean row of the best epochs) for the runs of one setting.

    The name of the loss is "" if the criterion is the accuracy. `number` becomes the row's epoch, to break ties.
    """
    rows = []
    for job in jobs:
        found = read_rows(job.folder.metrics)
        by = best_by(job.folder.read_results(), found)
        rows.append(best_row(found, by))
    columns = [f"{part}_{name}" for part in ("val", "test") for name in ("probe_accuracy", "recon")]
    shared = [column for column in columns if all(column in row for row in rows)]
    mean = {column: statistics.fmean(row[column] for row in rows) for column in shared}
    return (by, "" if by is ACCURACY else jobs[0].config.recon_loss), mean | {"epoch": number}
