"""Course of a sweep command: trains what is not finished, then reports, measures and draws."""

import dataclasses
import pathlib
import subprocess
import sys
from typing import Any

from amr_tf.runtime.console import Console
from amr_tf.sweeping import executors, jobs, scheduler, status


@dataclasses.dataclass(frozen=True)
class Options:
    """Parsed command line of a sweep: jobs, where they run, and what is made of the finished runs."""

    jobs: list[jobs.Job]
    out: pathlib.Path
    table: str | None
    figures: list[str]
    metrics: list[str]
    executor: str
    parallel: int
    slurm: dict[str, Any]


def run(options: Options) -> int:
    """Trains what is not finished, reports on all runs and returns the exit code.

    Raises:
        UserError: jobs cannot be started.
        Interrupted: by a signal; the same command resumes the sweep.
    """
    console = Console(status.PIPE_WIDTH)
    executor: executors.Executor
    if options.executor == "slurm":
        executor = executors.Slurm(options.out, options.parallel, options.slurm)
    else:
        executor = executors.Local(options.parallel)
    console.print(
        f"{len(options.jobs)} jobs in {options.out}, {options.executor}, {options.parallel} at a time at most"
    )
    states = scheduler.Scheduler(options.jobs, executor, status.Display(console, options.jobs)).run()
    reported = _report(options)
    done = [str(job.folder.path) for job in options.jobs if states[job][0] is status.State.DONE]
    evaluated = _evaluate(options, done)
    if any(job.setting for job in options.jobs):
        console.print("", *status.comparison(states), sep="\n")
    console.print(f"\n{status.summary(states)}")
    complaints = status.complaints(states)
    for line in complaints:
        print(line, file=sys.stderr)
    return 0 if reported and evaluated and not complaints else 2


def _report(options: Options) -> bool:
    """Compares the runs with the paper; returns whether that succeeded."""
    if not any(job.folder.results.exists() for job in options.jobs):
        print("no report: no run has finished an epoch")
        return True
    table = [f"--table={options.table}"] if options.table else []
    return _command("report", str(options.out), f"--out={options.out}", *table)


def _evaluate(options: Options, folders: list[str]) -> bool:
    """Measures and draws finished runs at their last step; returns whether that succeeded."""
    requested = {"figures": options.figures, "metrics": options.metrics}
    words = [f"--{flag}={','.join(names)}" for flag, names in requested.items() if names]
    if not words or not folders:
        return True
    runs = [f"--run_dir={folder}" for folder in folders]
    return _command("evaluate", *runs, *words, f"--out={options.out}", "--checkpoint=last")


def _command(name: str, *words: str) -> bool:
    """Runs another command of this package; returns whether it succeeded."""
    sys.stdout.flush()
    command = [sys.executable, "-m", f"amr_tf.{name}", *words]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603 (no word comes from a shell)
