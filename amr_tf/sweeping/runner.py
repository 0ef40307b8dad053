"""Course of a sweep command: trains what is not finished, then reports, measures and draws."""

import collections
import dataclasses
import pathlib
import shlex
import statistics
import subprocess
import sys
from typing import Any

from amr_tf.runs.folder import best_row, read_rows
from amr_tf.runtime import files
from amr_tf.runtime.console import Console
from amr_tf.sweeping import executors, scheduler
from amr_tf.sweeping.jobs import Job, State

PIPE_WIDTH = 200  # columns of output that is not a terminal


@dataclasses.dataclass(frozen=True)
class Options:
    """Parsed command line of a sweep: jobs, where they run, and what is made of the finished runs."""

    jobs: list[Job]
    out: pathlib.Path
    table: str | None
    figures: list[str]
    metrics: list[str]
    executor: str
    parallel: int
    slurm: dict[str, Any]


def run(options: Options) -> int:
    """Trains what is not finished, reports on all runs and returns the exit code. Raises as `Scheduler.run`."""
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
    if any(job.folder.results.exists() for job in options.jobs):
        table = [f"--table={options.table}"] if options.table else []
        succeeded = _command("report", files.as_word(options.out), f"--out={options.out}", *table)
    else:
        console.print("no report: no run has finished an epoch")
    done = [f"--run_dir={job.folder.path}" for job in options.jobs if states[job][0] is State.DONE]
    requested = {"figures": options.figures, "metrics": options.metrics}
    words = [f"--{flag}={','.join(names)}" for flag, names in requested.items() if names]
    if words and done:
        succeeded &= _command("evaluate", *done, *words, f"--out={options.out}", "--checkpoint=last")
    if any(job.setting for job in options.jobs):
        console.print("", *comparison(states), sep="\n")
    console.print(f"\n{scheduler.summary(states)}")
    for job, (state, note) in states.items():
        if state is not State.DONE:
            log = shlex.quote(str(job.log))
            print(f"{job.name} {state}: {note} (its log: less {log})", file=sys.stderr)
            succeeded = False
    return 0 if succeeded else 2


def _command(name: str, *words: str) -> bool:
    """Runs another command of this package; returns whether it succeeded."""
    sys.stdout.flush()
    command = [sys.executable, "-m", f"amr_tf.{name}", *words]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603 (no word comes from a shell)


def comparison(states: scheduler.States) -> list[str]:
    """Returns a table of the settings of a grid, and the best of each preset by VALIDATION accuracy.

    Accuracies are those of the probe at each run's best epoch, averaged over the seeds.
    """
    groups: dict[tuple[str, str], list[Job]] = collections.defaultdict(list)
    for job in states:
        groups[job.preset, job.setting].append(job)
    scores = {}
    for group, jobs in groups.items():
        if all(states[job][0] is State.DONE for job in jobs):
            rows = [best_row(read_rows(job.folder.metrics)) for job in jobs]
            columns = ("val_probe_accuracy", "test_probe_accuracy")
            scores[group] = [statistics.fmean(row[column] for row in rows) for column in columns]
    width = max(len(" ".join(group)) for group in groups) + 2
    lines = [f"{'setting':<{width}}validation  test     runs"]
    for group, jobs in groups.items():
        rivals = [other for other in scores if other[0] == group[0]]
        best = max(rivals, key=lambda rival: scores[rival][0], default=None)
        shown = "{:<12.2%}{:<9.2%}".format(*scores[group]) if group in scores else f"{'not done':<21}"
        mark = "  <- best by validation" if group == best else ""
        lines.append(f"{' '.join(group):<{width}}{shown}{jobs[0].folder.path.parent}{mark}")
    return lines
